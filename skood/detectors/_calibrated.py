"""What all detectors share of `fit`: the split, what is learned, the threshold."""

from __future__ import annotations

import logging
import warnings
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skood.calibration import CalibrationWarning, threshold
from skood.core.callbacks import CallbackSupportMixin, fit_task
from skood.core.callers import stacklevel_of_user
from skood.core.doc_link import DocLinkMixin
from skood.core.modes import use_one_thread_after_a_fork
from skood.core.noise import Stream
from skood.core.parameters import draw_seed
from skood.core.progress import shows_progress
from skood.core.rows import Rows, check_rows, unfitted_copy
from skood.core.savable import Savable
from skood.detectors._decisions import CalibratedDecisions
from skood.detectors._shared_models import SharedModels

__all__ = ["CalibratedDetector"]

_Floats = NDArray[np.float64]
_log = logging.getLogger(__name__)


class CalibratedDetector(CallbackSupportMixin, Savable, DocLinkMixin, CalibratedDecisions):
    """Base of the detectors: from a number for each row to decisions at a false positive rate.

    It knows no model. `CalibratedDecisions` has what there is after `fit`. A subclass gives
    ``__init__`` with at least the parameters constrained below; ``_learn(rows, seed, shared)``,
    which learns whatever the scores need from a part of the rows; and ``_statistic(rows)``, a
    number for each row (higher: more OOD). ``_calibrate(rows)`` sets the threshold with the other
    rows. What can be refused before it is learned is refused by ``_check_learnable(rows)``.
    If a detector learns something of normal rows that the threshold must not see, it gives
    ``_reference_fraction`` and ``_fit_reference(rows)``. If its score is not the statistic itself,
    and the score of a group not the mean of the statistics, it gives ``_combine(statistics)``; if a
    group's score is not made of one number for each row, ``_fit_threshold``, ``_score_groups`` and
    ``_calibration_groups``.

    Attributes
    ----------
    calibration_scores_ : ndarray of shape (n_calibration,), float64
        `score_samples` of the normal rows kept out of training, in ascending order.
    calibration_statistics_ : ndarray of shape (n_calibration,), float64
        The number from which scores of rows and groups are made, in random order.
    calibrated_with_ : dict
        The parameters, such as ``k``, that the threshold was set for.
    fpr_ : float
        The false positive rate that `fit` was asked for.
    offset_ : float
        The threshold of `score_samples` for the present ``fpr``: ``set_params(fpr=...)`` moves it
        without a new fit.
    input_shape_ : tuple of int
    n_features_in_ : int
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "fpr": [Interval(Real, 0, 1, closed="neither")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }
    # Whether learning takes no more than seconds.
    _learns_quickly: ClassVar[bool] = False
    calibration_fraction: Any
    random_state: Any

    @fit_task
    @shows_progress
    def fit(self, X: ArrayLike | Tensor, y: Any = None) -> Any:
        """Learn what is normal and set the threshold, from normal rows.

        Parameters
        ----------
        X : array-like or tensor of shape (n, features), (n, height, width), \
(n, height, width, channels) or (n, channels, height, width)
            Normal data.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or X is not valid; the detector is then as it was before.
        KeyboardInterrupt
            After Ctrl-C. Where all models have been trained for one epoch at least, the threshold
            is set first, and the detector can be used.

        Warns
        -----
        CalibrationWarning
            If there are too few rows to promise ``fpr``, or if all have the same score.
        """
        self._validate_params()
        use_one_thread_after_a_fork()
        fitted = unfitted_copy(self)
        try:
            fitted._fit(check_rows(self, X, reset=True))
        except BaseException as error:
            is_stop = isinstance(error, KeyboardInterrupt | SystemExit)
            if not is_stop:
                vars(fitted).pop("calibration_scores_", None)
            # A trained model is worth keeping, unless an error would take a whole detector away.
            is_whole = self.__sklearn_is_fitted__()
            if (is_stop and fitted._has_learned) or (fitted._has_models and not is_whole):
                self._take_over(fitted)
            raise
        self._take_over(fitted)
        return self

    def _fit(self, rows: Rows) -> None:
        """All of `fit` on a detector that nobody uses yet."""
        seed = self._draw_seed()
        training, left = self._split(rows, seed)
        self._check_learnable(training)
        stop = self._learn(training, seed)
        rows.remember_on(self)
        self._calibrate(left)
        _log.info(
            "%s: the threshold is %.6g, for a false positive rate of %g, from %d of %d rows",
            *(type(self).__name__, self.offset_, self.fpr, len(left), len(rows)),
        )
        if stop is not None:
            raise stop

    def _draw_seed(self) -> int:
        fixed = self.random_state is None and self._keeps_training
        return draw_seed(0 if fixed else self.random_state)

    @property
    def _keeps_training(self) -> bool:
        """Whether a trained network is found again, which it can only be on the same rows."""
        return False

    def _split(self, rows: Rows, seed: int) -> tuple[Rows, Rows]:
        """Rows to learn from, and rows in random order that set the threshold."""
        order = np.random.default_rng([seed, Stream.CALIBRATION_SPLIT]).permutation(len(rows))
        n_calibration = self._count_calibration_rows(rows)
        return rows[np.sort(order[n_calibration:])], rows[order[:n_calibration]]

    def _count_calibration_rows(self, rows: Rows) -> int:
        n, fewest = len(rows), self._fewest_calibration_rows
        self._check_rows_enough(n, fewest if self._is_frozen else fewest + 1)
        if self._is_frozen:
            return n
        n_calibration = max(fewest, round(self._fraction_of(rows) * n))
        if n_calibration >= n:
            raise ValueError(
                f"calibration_fraction={self.calibration_fraction} leaves none of the {n} "
                "rows of X to train on. Use a smaller one."
            )
        return n_calibration

    def _fraction_of(self, rows: Rows) -> float:
        """Part of the rows that sets the threshold."""
        return float(self.calibration_fraction)

    @property
    def _has_learned(self) -> bool:
        """Whether `_learn` came to its end, if not the threshold."""
        return "input_shape_" in vars(self)

    @property
    def _has_models(self) -> bool:
        """Whether there is something learned that is worth keeping."""
        return self._has_learned

    @property
    def _is_frozen(self) -> bool:
        """Whether there is nothing to learn, so that all rows set the threshold."""
        return False

    @property
    def _fewest_calibration_rows(self) -> int:
        return 2 if self._reference_fraction else 1

    def _check_rows_enough(self, n: int, fewest: int) -> None:
        if n < fewest:
            raise ValueError(
                f"{type(self).__name__} needs at least {fewest} rows to train on and to set the "
                f"threshold, and many more to be of use; X has {n} sample{'s' * (n != 1)}."
            )

    def _take_over(self, fitted: Any) -> None:
        """Become what was fitted on a copy."""
        self.__dict__ = dict(vars(fitted))

    def __sklearn_is_fitted__(self) -> bool:
        return "calibration_scores_" in vars(self)

    def _restore(self, attributes: dict[str, Any]) -> None:
        scores = attributes["calibration_scores_"]
        is_ordered = scores.ndim == 1 and len(scores) > 0 and (np.diff(scores) >= 0).all()
        if scores.dtype != np.float64 or not is_ordered or not np.isfinite(scores).all():
            raise ValueError("its calibration scores are not finite numbers in ascending order")
        super()._restore(attributes)

    def _calibrate(self, rows: Rows) -> None:
        """Set the reference and the threshold from normal rows that nothing has seen."""
        self.calibrated_with_ = self._scoring_parameters()
        if self._reference_fraction:
            n_reference = max(1, int(self._reference_fraction * len(rows)))
            self._fit_reference(rows[:n_reference])
            rows = rows[n_reference:]
        self._fit_threshold(rows)
        scores = self.calibration_scores_
        self.fpr_ = self.fpr
        threshold(scores, self.fpr)  # warns now if there are too few rows
        if len(scores) > 1 and scores[0] == scores[-1]:
            warnings.warn(
                f"All {len(scores)} calibration rows have the same score {scores[0]:.4g}, so this "
                f"{type(self).__name__} tells nothing apart. Look at the scale of X: images should "
                "use the whole range of their type, columns of tables should not hold single huge "
                "values.",
                CalibrationWarning,
                stacklevel=stacklevel_of_user(),
            )

    def _fit_threshold(self, rows: Rows) -> None:
        """Keep what the threshold and the p-values of rows and groups are made of."""
        self.calibration_statistics_ = self._statistic(rows)
        scores = -self._combine(self.calibration_statistics_[:, None])
        if not np.isfinite(scores).all():
            bad = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise ValueError(
                f"{np.sum(~np.isfinite(scores))} of {len(scores)} normal rows have a score that is "
                f"not finite, such as {scores[bad]}. The model has not learned them: lower its "
                "learning_rate, train longer, or look for columns with extreme values."
            )
        self.calibration_scores_ = np.sort(scores)

    @property
    def _reference_fraction(self) -> float:
        """Part of the calibration rows that `_fit_reference` gets."""
        return 0.0

    def _check_learnable(self, rows: Rows) -> None:
        """Raise ValueError if `_learn` cannot work: before any training, which may take hours."""

    def _learn(
        self, rows: Rows, seed: int, shared: SharedModels | None = None
    ) -> BaseException | None:
        """Learn what scores need.

        Parameters
        ----------
        rows : Rows
        seed : int
        shared : SharedModels, optional
            Of detectors that learn from the same rows.

        Returns
        -------
        BaseException or None
            An interruption after which something was learned, to be raised in the end.
        """
        raise NotImplementedError

    def _fit_reference(self, rows: Rows) -> None:
        """Learn from normal rows; only called where ``_reference_fraction`` is not 0."""
