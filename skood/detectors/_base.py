"""What all detectors share: the split, the one change of sign, the threshold, the p-values."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from joblib import Memory
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted, check_memory

from skood.calibration import CalibrationWarning, chunk, p_values, threshold, warn_if_few
from skood.core.validation import check_group_size, check_rows, draw_seed, keep_fitted
from skood.models import HVAE

__all__ = ["BaseDetector"]

_OF_X = {"input_shape_", "n_features_in_", "feature_names_in_"}
_NOT_SCORING = {"model", "fpr", "calibration_fraction", "memory", "random_state"}


class BaseDetector(OutlierMixin, BaseEstimator):
    """Base of the detectors.

    A subclass gives ``__init__`` with at least the parameters constrained below, and
    ``_statistic(X)``, a number for each row. If a detector learns something from normal rows
    besides the model, it gives ``_fit_reference(X)``, which gets rows that neither the model nor
    the threshold sees. If its score is not the statistic itself, and the score of a group not the
    mean of the statistics, it gives ``_combine(statistics)``; if a group's score is not made of one
    number for each row, ``_fit_threshold``, ``_score_groups`` and ``_calibration_groups``.

    Attributes
    ----------
    model_ : estimator
        The fitted generative model.
    calibration_scores_ : ndarray of shape (n_calibration,), float64
        `score_samples` of the normal rows kept out of training, in ascending order.
    calibration_statistics_ : ndarray of shape (n_calibration,), float64
        The number from which scores of rows and groups are made, in random order.
    calibrated_with_ : dict
        The parameters, such as ``k``, that the threshold was set for.
    offset_ : float
        The threshold of `score_samples` for the present ``fpr``: ``set_params(fpr=...)`` moves it
        without a new fit.
    input_shape_ : tuple of int
    n_features_in_ : int
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "model": [HasMethods(["fit", "bounds"]), FrozenEstimator, None],
        "fpr": [Interval(Real, 0, 1, closed="neither")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "memory": [str, Memory, None],
        "random_state": ["random_state"],
    }
    _reference_fraction = 0.0

    def fit(self, X, y=None):
        """Train the model on normal rows and set the threshold on others.

        Parameters
        ----------
        X : array-like or tensor of shape (n, features), (n, height, width), \
(n, height, width, channels) or (n, channels, height, width)
            Normal data. With ``model=FrozenEstimator(model)`` they only calibrate, and must be
            rows that the model was not trained on.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or X is not valid; the detector is then as it was before.

        Warns
        -----
        CalibrationWarning
            If there are too few rows to promise ``fpr``, or if all have the same score.
        """
        with keep_fitted(self):
            self._validate_params()
            X = check_rows(self, X, reset=True)
            # A cache can only hit if the split is the same again.
            fixed = self.random_state is None and self.memory is not None
            seed = draw_seed(0 if fixed else self.random_state)
            model, X = self._fit_model(X, seed)
        before = dict(vars(self))
        for name in before.keys() - _OF_X:
            if name.endswith("_"):
                delattr(self, name)
        # From here on what was trained is kept: Ctrl-C while the threshold is being set leaves
        # ``model_`` to be used in a FrozenEstimator.
        self.model_ = model
        try:
            self._calibrate(X)
        except Exception:
            if "calibration_scores_" in before:
                vars(self).clear()
                vars(self).update(before)
            raise
        return self

    def __sklearn_is_fitted__(self):
        return "calibration_scores_" in vars(self)

    def _scoring_parameters(self):
        """Parameters on which scores depend, apart from the model: they are fixed by `fit`."""
        parameters = self.get_params(deep=False)
        return {name: parameters[name] for name in parameters if name not in _NOT_SCORING}

    def _check_scoring_parameters(self):
        for name, value in self._scoring_parameters().items():
            if value != self.calibrated_with_[name]:
                raise ValueError(
                    f"{name} was changed from {self.calibrated_with_[name]!r} to {value!r} after "
                    "the threshold had been set for the former. Call fit again; with memory= or a "
                    "FrozenEstimator that trains nothing. Only fpr may change without a new fit."
                )

    def _calibrate(self, X):
        """Set the reference and the threshold from normal rows that the model has not seen."""
        self.calibrated_with_ = self._scoring_parameters()
        if self._reference_fraction:
            n_reference = max(1, int(self._reference_fraction * len(X)))
            self._fit_reference(X[:n_reference])
            X = X[n_reference:]
        self._fit_threshold(X)
        scores = self.calibration_scores_
        threshold(scores, self.fpr)  # warns now if there are too few rows
        if len(scores) > 1 and scores[0] == scores[-1]:
            warnings.warn(
                f"All {len(scores)} calibration rows have the same score {scores[0]:.4g}, so this "
                f"{type(self).__name__} tells nothing apart. Look at the scale of X: 8-bit images "
                "should use the values up to 255, columns of tables should not hold single huge "
                "values.",
                CalibrationWarning,
                stacklevel=3,
            )

    def _fit_threshold(self, X):
        """Keep what the threshold and the p-values of rows and groups are made of."""
        self.calibration_statistics_ = self._statistic(X)
        self.calibration_scores_ = np.sort(-self._combine(self.calibration_statistics_[:, None]))

    def _fit_model(self, X, seed):
        """The fitted model, and the rows left for calibration, in random order."""
        order = np.random.default_rng([seed, 0]).permutation(len(X))
        fewest = self._fewest_calibration_rows
        if isinstance(self.model, FrozenEstimator):
            model = self.model.estimator
            if not hasattr(model, "bounds"):
                raise ValueError(
                    f"FrozenEstimator holds a {type(model).__name__}, which is no generative model "
                    "of skood. Freeze the model itself, and transform X before."
                )
            check_is_fitted(model)
            self._check_layers(type(model).__name__, getattr(model.network_, "n_layers", 0))
            self._check_rows_enough(len(X), fewest)
            return model, X[order]
        n_calibration = max(fewest, round(self.calibration_fraction * len(X)))
        self._check_rows_enough(len(X), fewest + 1)
        if n_calibration >= len(X):
            raise ValueError(
                f"calibration_fraction={self.calibration_fraction} leaves none of the {len(X)} "
                "rows of X to train on. Use a smaller one."
            )
        model = self._default_model() if self.model is None else clone(self.model)
        if model.random_state is None:
            model.set_params(random_state=seed)
        # Before the training, which may take hours, and not after it.
        self._check_layers(type(model).__name__, model.count_layers(X))
        rows, kept = order[n_calibration:], order[:n_calibration]
        stored = check_memory(self.memory).cache(_fit).call_and_shelve(model, X[np.sort(rows)])
        model = stored.get()
        if model.interrupted_:
            stored.clear()  # the next fit should train to the end
        return model, X[kept]

    @property
    def _fewest_calibration_rows(self):
        return 2 if self._reference_fraction else 1

    def _check_rows_enough(self, n, fewest):
        if n < fewest:
            raise ValueError(
                f"{type(self).__name__} needs at least {fewest} rows to train on and to set the "
                f"threshold, and many more to be of use; X has {n} sample{'s' * (n != 1)}."
            )

    def _default_model(self):
        """What ``model=None`` stands for."""
        return HVAE()

    def _check_layers(self, name, n_layers):
        """Raise ValueError if the model called ``name`` has the wrong number of latent layers."""

    def _fit_reference(self, X):
        """Learn from normal rows; only called where ``_reference_fraction`` is not 0."""

    def _statistic(self, X):
        """A number for each row of X, shape (n,), float64."""
        raise NotImplementedError

    def _combine(self, statistics):
        """OOD scores (m,) of m groups from the statistics (m, group_size) of their rows."""
        return statistics.mean(axis=1)

    def _score_groups(self, X, group_size):
        """OOD scores of consecutive groups of rows."""
        return self._combine(chunk(self._statistic(X), group_size))

    def _calibration_groups(self, group_size):
        """OOD scores of groups of the calibration rows."""
        return self._combine(chunk(self.calibration_statistics_, group_size))

    def ood_score(self, X):
        """The papers' number for each row, shape (n,), float64: the HIGHER, the more OOD.

        `score_samples` is its negative.
        """
        check_is_fitted(self)
        self._check_scoring_parameters()
        X = check_rows(self, X, reset=False)
        return self._combine(self._statistic(X)[:, None])

    def score_samples(self, X):
        """scikit-learn's score for each row, shape (n,), float64: the LOWER, the more abnormal.

        A row's score does not depend on the rows beside it.
        """
        return -self.ood_score(X)

    @property
    def offset_(self):
        if "calibration_scores_" not in vars(self):
            raise AttributeError(f"offset_: this {type(self).__name__} is not fitted yet.")
        return threshold(self.calibration_scores_, self.fpr)

    def decision_function(self, X):
        """`score_samples` minus ``offset_``, shape (n,), float64: negative where OOD."""
        scores = self.score_samples(X)
        return scores - self.offset_

    def predict(self, X):
        """+1 for normal rows, -1 for OOD ones, shape (n,), at false positive rate ``fpr``.

        Of fresh normal rows a part ``fpr`` at most is called -1, on average over the draw of the
        calibration rows; see `skood.calibration.false_positive_rate_interval` for the spread.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def p_values(self, X):
        """Conformal p-value of each row, shape (n,): at most ``a`` for a part ``a`` of normal rows.

        `predict` is -1 where it is at most ``fpr``.
        """
        return p_values(self.score_samples(X), self.calibration_scores_)

    def group_ood_score(self, X, group_size):
        """OOD score of consecutive groups of rows that come from one source.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            Rows 0 to group_size - 1 are the first group, and so on; a remainder is an error.
        group_size : int

        Returns
        -------
        ndarray of shape (n // group_size,), float64
            The higher, the more OOD.
        """
        check_is_fitted(self)
        self._check_scoring_parameters()
        X = check_rows(self, X, reset=False)
        return self._score_groups(X, check_group_size(group_size, len(X)))

    def group_p_values(self, X, group_size):
        """Conformal p-value of each group of `group_ood_score`, shape (n // group_size,).

        Referred to groups of the same size made of the calibration rows, of which there must be
        at least one.

        Warns
        -----
        CalibrationWarning
            If there are so few that no p-value can be as small as ``fpr``.
        """
        scores = -self.group_ood_score(X, group_size)
        calibration = -self._calibration_groups(int(group_size))
        warn_if_few(len(calibration), self.fpr, "groups")
        return p_values(scores, calibration)

    def score(self, X, y=None):
        """Mean held-out log-likelihood of the model, nats per row; the higher, the better.

        So a grid search over the model's parameters needs no outliers. It says nothing of ``k``.
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        return self.model_.score(X)


def _fit(model, X):
    return model.fit(X)
