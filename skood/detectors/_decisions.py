"""What a calibrated detector says of rows: the one change of sign, decisions, p-values, groups."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skood.calibration import chunk, p_values, threshold, warn_if_few
from skood.core.modes import use_one_thread_after_a_fork
from skood.core.out import write_scores
from skood.core.parameters import check_count, check_group_size
from skood.core.progress import shows_progress
from skood.core.rows import Rows, check_rows

__all__ = ["CalibratedDecisions"]

_Floats = NDArray[np.float64]


class CalibratedDecisions(OutlierMixin, BaseEstimator):
    """Scores, decisions and p-values from a number for each row, for fitted detectors.

    `skood.detectors._calibrated.CalibratedDetector` fits what it needs, and describes the hooks.
    """

    # Parameters on which no score depends, once there is a fit.
    _not_scoring: ClassVar[frozenset[str]] = frozenset(
        {"fpr", "calibration_fraction", "random_state"}
    )
    fpr: float
    fpr_: float
    calibrated_with_: dict[str, Any]
    calibration_scores_: _Floats
    calibration_statistics_: _Floats

    def _scoring_parameters(self) -> dict[str, Any]:
        """Parameters on which scores depend: they are fixed by `fit`."""
        parameters = self.get_params(deep=False)
        return {name: parameters[name] for name in parameters if name not in self._not_scoring}

    def _check_scoring_parameters(self) -> None:
        for name, value in self._scoring_parameters().items():
            if not np.array_equal(value, self.calibrated_with_[name]):
                raise ValueError(
                    f"{name} was changed from {self.calibrated_with_[name]!r} to {value!r} after "
                    "the threshold had been set for the former. Call fit again; with memory= or a "
                    "FrozenEstimator that trains nothing. Only fpr may change without a new fit."
                )

    def _checked(self, X: ArrayLike | Tensor | Rows) -> Rows:
        """Rows to be scored by the fitted detector."""
        check_is_fitted(self)
        use_one_thread_after_a_fork()
        self._check_scoring_parameters()
        return check_rows(self, X, reset=False)

    def _statistic(self, rows: Rows) -> _Floats:
        """A number for each row, shape (n,), float64."""
        raise NotImplementedError

    def _combine(self, statistics: _Floats) -> _Floats:
        """OOD scores (m,) of m groups from the statistics (m, group_size) of their rows."""
        mean: _Floats = statistics.mean(axis=1)
        return mean

    def _score_groups(self, rows: Rows, group_size: int) -> _Floats:
        """OOD scores of consecutive groups of rows."""
        return self._combine(chunk(self._statistic(rows), group_size))

    def _calibration_groups(self, group_size: int) -> _Floats:
        """OOD scores of groups of the calibration rows."""
        return self._combine(chunk(self.calibration_statistics_, group_size))

    @shows_progress
    def ood_score(self, X: ArrayLike | Tensor | Rows) -> _Floats:
        """The papers' number for each row, shape (n,), float64: the HIGHER, the more OOD.

        `score_samples` is its negative.
        """
        return self._combine(self._statistic(self._checked(X))[:, None])

    @shows_progress
    def score_samples(self, X: ArrayLike | Tensor | Rows, *, out: _Floats | None = None) -> _Floats:
        """scikit-learn's score for each row: the LOWER, the more abnormal.

        Parameters
        ----------
        X : array-like of shape (n, ...)
        out : ndarray of shape (n,), float64, default=None
            The scores are written to it, for instance to a memory map, and it is returned. Then no
            more than some ten thousand rows and their scores are in memory at a time.

        Returns
        -------
        ndarray of shape (n,), float64
            A row's score does not depend on the rows beside it.

        Raises
        ------
        ValueError
            If X has rows unlike those of `fit` in shape or kind, if a parameter of the score was
            changed after `fit`, or if ``out`` is another array or cannot be written to.
        """
        if out is not None:
            return write_scores(self.score_samples, self._checked(X), out)
        return -self.ood_score(X)

    @property
    def offset_(self) -> float:
        if "calibration_scores_" not in vars(self):
            raise AttributeError(f"offset_: this {type(self).__name__} is not fitted yet.")
        # `fit` has warned of its own rate once, and need not at every call.
        return threshold(self.calibration_scores_, self.fpr, warn=self.fpr != self.fpr_)

    def decision_function(self, X: ArrayLike | Tensor) -> _Floats:
        """`score_samples` minus ``offset_``, shape (n,), float64: negative where OOD."""
        scores = self.score_samples(X)
        return scores - self.offset_

    def predict(self, X: ArrayLike | Tensor) -> NDArray[np.int_]:
        """+1 for normal rows, -1 for OOD ones, shape (n,), at false positive rate ``fpr``.

        Of fresh normal rows a part ``fpr`` at most is called -1, on average over the draw of the
        calibration rows; see `skood.calibration.false_positive_rate_interval` for the spread.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def p_values(self, X: ArrayLike | Tensor) -> _Floats:
        """Conformal p-value of each row, shape (n,): at most ``a`` for a part ``a`` of normal rows.

        `predict` is -1 where it is at most ``fpr``.
        """
        return p_values(self.score_samples(X), self.calibration_scores_)

    @shows_progress
    def group_ood_score(self, X: ArrayLike | Tensor, group_size: int) -> _Floats:
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

        Raises
        ------
        ValueError
            If ``group_size`` is no positive integer that divides n.
        """
        rows = self._checked(X)
        return self._score_groups(rows, check_group_size(group_size, len(rows)))

    def group_p_values(self, X: ArrayLike | Tensor, group_size: int) -> _Floats:
        """Conformal p-value of each group of `group_ood_score`, shape (n // group_size,).

        Referred to groups of the same size made of the calibration rows, of which there must be
        at least one.

        Warns
        -----
        CalibrationWarning
            If there are so few that no p-value can be as small as ``fpr``.
        """
        scores = -self.group_ood_score(X, group_size)
        calibration = self.calibration_group_scores(group_size)
        warn_if_few(len(calibration), self.fpr, "groups")
        return p_values(scores, calibration)

    def calibration_group_scores(self, group_size: int) -> _Floats:
        """Scores of groups of the calibration rows, of which each row belongs to one at most.

        Parameters
        ----------
        group_size : int

        Returns
        -------
        ndarray of shape (n_calibration // group_size,), float64
            In the sign of `score_samples`: the LOWER, the more abnormal. Minus `group_ood_score` of
            groups of normal rows is exchangeable with them.

        Raises
        ------
        ValueError
            If ``group_size`` is no positive integer, or larger than the number of calibration rows.
        """
        check_is_fitted(self)
        return -self._calibration_groups(check_count("group_size", group_size))
