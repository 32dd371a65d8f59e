"""Thresholds and p-values with a finite-sample guarantee.

Everything here is split conformal inference in its simplest form: the scores of ``n`` calibration
rows, unseen by whatever computed the scores, say how unusual the score of a further row is.

Scores are in scikit-learn's sign: **the lower, the more abnormal**.

The guarantees need one thing only, that the calibration rows and the row in question are
*exchangeable* (independent draws of one distribution are); they hold for every finite ``n``, every
score and every distribution. They extend to groups of rows: disjoint groups cut from exchangeable
rows (see `chunk`) are themselves exchangeable, so the statistics of groups go into `threshold` and
`p_values` just as the scores of rows do, one statistic of a group counting as one row.

References
----------
.. [1] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2005, ch. 2.
.. [2] S. Bates, E. Candes, L. Lei, Y. Romano, M. Sesia, "Testing for outliers with conformal
       p-values", Annals of Statistics 51(1), 2023, eq. 2 and section 2. arXiv:2104.08279.
.. [3] V. Vovk, "Conditional validity of inductive conformal predictors", ACML 2012,
       arXiv:1209.2673, prop. 2a.
"""

from __future__ import annotations

import itertools
import math
import warnings
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from skood.core.callers import stacklevel_of_user

__all__ = [
    "CalibrationWarning",
    "chunk",
    "false_positive_rate_interval",
    "p_values",
    "threshold",
    "warn_if_few",
]

_Scalar = TypeVar("_Scalar", bound=np.generic)


class CalibrationWarning(UserWarning):
    """Calibration rows are too few for the false positive rate asked for, or all score the same.

    The threshold is then not at the rate asked for; scores and their order are not affected. Where
    only these are needed, as for an AUROC, the warning may be ignored.

    Examples
    --------
    >>> import warnings
    >>> from skood.calibration import CalibrationWarning, threshold
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", CalibrationWarning)
    ...     threshold([0.0, 1.0, 2.0], fpr=0.05)  # 19 rows would be enough
    0.0
    """


def threshold(calibration_scores: ArrayLike, fpr: float, *, warn: bool = True) -> float:
    """Score below which a row is flagged, for a false positive rate of at most `fpr`.

    The threshold is the m-th smallest calibration score, m = floor(fpr (n + 1)). A row is flagged
    if and only if its score is strictly smaller, which is the same as ``p_values(...) <= fpr``.

    Parameters
    ----------
    calibration_scores : array-like of shape (n,)
        Scores of inliers unseen by the fitted detector, in any unit; the lower, the more abnormal.
    fpr : float
        Wanted false positive rate, between 0 and 1, both excluded.
    warn : bool, default=True
        Whether to warn if there are too few rows for it.

    Returns
    -------
    float
        The threshold, one of the calibration scores.

    Raises
    ------
    ValueError
        If `fpr` is not inside (0, 1), or `calibration_scores` is empty, not one-dimensional, or
        holds NaN or infinite values.

    Warns
    -----
    CalibrationWarning
        If m = 0, that is n < ceil(1 / fpr) - 1. The smallest calibration score is then returned,
        and the rate delivered is 1 / (n + 1), which is more than `fpr`.

    Notes
    -----
    ``np.quantile(calibration_scores, fpr)`` does not keep the promise: for fpr = 0.1 and n = 37 it
    gives a rate of 0.121 on average.

    The rate is an average over calibration sets; `false_positive_rate_interval` says how far the
    rate of one of them may be off. Ties among scores only make the rate smaller.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.calibration import threshold
    >>> calibration_scores = np.arange(99.0)  # the lower, the more abnormal
    >>> threshold(calibration_scores, fpr=0.05)  # the fifth smallest
    4.0
    """
    scores = np.sort(_calibration(calibration_scores))
    rank = _rank(scores.size, fpr)
    if warn:
        warn_if_few(scores.size, fpr, "rows")
    return float(scores[max(rank, 1) - 1])


def warn_if_few(n_calibration: int, fpr: float, what: str) -> None:
    """Warn if no p-value is as small as ``fpr``, with so many calibration rows or groups.

    Parameters
    ----------
    n_calibration : int
        Number of calibration rows or groups.
    fpr : float
        Wanted false positive rate, between 0 and 1, both excluded.
    what : {"rows", "groups"}
        What the message calls them.

    Raises
    ------
    ValueError
        If `fpr` is not inside (0, 1).

    Warns
    -----
    CalibrationWarning
        If ``n_calibration`` is smaller than ``ceil(1 / fpr) - 1``.

    Examples
    --------
    >>> import warnings
    >>> from skood.calibration import warn_if_few
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_if_few(18, 0.05, "rows")
    ...     warn_if_few(19, 0.05, "rows")
    >>> print(*(warning.message for warning in caught))
    18 calibration rows are too few for fpr=0.05: the false positive rate will be 0.0526. Give at
    least 19 calibration rows or a larger fpr.
    """
    if _rank(n_calibration, fpr) == 0:
        warnings.warn(
            f"{n_calibration} calibration {what} are too few for fpr={fpr}: the false positive "
            f"rate will be {1 / (n_calibration + 1):.3g}. Give at least {_rows_needed(fpr)} "
            f"calibration {what} or a larger fpr.",
            CalibrationWarning,
            stacklevel=stacklevel_of_user(),
        )


def p_values(scores: ArrayLike, calibration_scores: ArrayLike) -> NDArray[np.float64]:
    """Conformal p-values of the hypothesis "this row is an inlier": the lower, the more abnormal.

    p(s) = (1 + #{calibration scores <= s}) / (n + 1), eq. 2 of [2]_ in the module's references.
    For an inlier, P(p <= a) <= a for every a, whatever n is; the smallest possible value is
    1 / (n + 1).

    Parameters
    ----------
    scores : array-like of shape (m,)
        Scores to judge, the lower, the more abnormal. Infinite values are allowed: a row that is
        impossible under a model has the score -inf and the smallest p-value.
    calibration_scores : array-like of shape (n,)
        Scores of inliers unseen by the fitted detector, in the same unit and sign.

    Returns
    -------
    ndarray of shape (m,), float64
        P-values, in [1 / (n + 1), 1].

    Raises
    ------
    ValueError
        If an input is not one-dimensional or holds NaN, or `calibration_scores` is empty or
        infinite somewhere.

    Notes
    -----
    For groups of rows give one statistic for each group in both arguments, the calibration
    groups being disjoint, of the same size, and cut by `chunk` from rows in random order.

    The p-values of several rows share their calibration set and so depend on one another, in the
    positive way that leaves the Benjamini-Hochberg procedure valid (theorem 2 of [2]_).

    Examples
    --------
    >>> import numpy as np
    >>> from skood.calibration import p_values
    >>> p_values([-1.0, 4.0, 98.0], calibration_scores=np.arange(99.0))
    array([0.01, 0.06, 1.  ])
    """
    reference = np.sort(_calibration(calibration_scores))
    n_as_low = np.searchsorted(reference, _vector("scores", scores), side="right")
    return np.asarray(_attainable(n_as_low + 1, reference.size), dtype=np.float64)


def chunk(statistics: NDArray[_Scalar], group_size: int) -> NDArray[_Scalar]:
    """Cut rows into consecutive disjoint groups; the rows left over at the end are dropped.

    Groups cut so from exchangeable rows are exchangeable, hence `threshold` and `p_values` hold for
    any statistic of a group. Rows that are sorted, by class for instance, are not exchangeable:
    shuffle them first.

    Parameters
    ----------
    statistics : array of shape (n,)
        One number for each row: a statistic, or the row's index.
    group_size : int
        Rows in a group, at least 1.

    Returns
    -------
    ndarray of shape (n // group_size, group_size)
        The groups, in the order of the rows.

    Raises
    ------
    ValueError
        If `statistics` is not one-dimensional, `group_size` is smaller than 1, or there are fewer
        rows than `group_size`.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.calibration import chunk
    >>> chunk(np.arange(8), 3)
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    rows = np.asarray(statistics)
    if rows.ndim != 1:
        raise ValueError(f"statistics must have one dimension; got shape {rows.shape}. Ravel it.")
    if group_size < 1:
        raise ValueError(f"group_size is {group_size}; give an integer of at least 1.")
    if rows.size < group_size:
        raise ValueError(
            f"statistics has {rows.size} rows, fewer than group_size={group_size}. "
            "Give more rows or a smaller group_size."
        )
    n_groups = rows.size // group_size
    return rows[: n_groups * group_size].reshape(n_groups, group_size)


def false_positive_rate_interval(
    n_calibration: int, fpr: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Central interval of the true false positive rate of one `threshold`.

    Over draws of the calibration set, the rate of a threshold at the m-th smallest of n continuous
    scores is Beta(m, n + 1 - m) distributed ([3]_ in the module's references). Its mean
    m / (n + 1) is at most `fpr`; the interval says how many calibration rows are enough.

    Parameters
    ----------
    n_calibration : int
        Number n of calibration rows (or groups), at least 1.
    fpr : float
        False positive rate given to `threshold`, between 0 and 1, both excluded.
    confidence : float, default=0.95
        Probability that the true rate lies in the interval, between 0 and 1, both excluded.

    Returns
    -------
    low, high : float
        Ends of the interval, false positive rates.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    With too few rows for `fpr` the interval is that of the smallest calibration score, which is
    what `threshold` then returns; it warns and this function does not. With ties among the scores
    the true rate can only be smaller.

    Examples
    --------
    >>> from skood.calibration import false_positive_rate_interval
    >>> for n_calibration in (100, 1000, 10_000):
    ...     low, high = false_positive_rate_interval(n_calibration, fpr=0.05)
    ...     print(f"{n_calibration:>6} rows: {low:.3f} to {high:.3f}")
       100 rows: 0.016 to 0.099
      1000 rows: 0.037 to 0.064
     10000 rows: 0.046 to 0.054
    """
    if n_calibration < 1:
        raise ValueError(f"n_calibration is {n_calibration}; give an integer of at least 1.")
    _check_probability("confidence", confidence)
    rank = max(_rank(n_calibration, fpr), 1)
    tail = (1.0 - confidence) / 2.0
    low, high = betaincinv(float(rank), float(n_calibration + 1 - rank), [tail, 1.0 - tail])
    return float(low), float(high)


def _attainable(count: ArrayLike, n: int) -> NDArray[np.float64]:
    """The p-value count / (n + 1): one division, shared by p-values and threshold."""
    return np.asarray(count, dtype=np.float64) / (n + 1)


def _rank(n: int, fpr: float) -> int:
    """floor(fpr (n + 1)), the number of attainable p-values that are <= fpr."""
    _check_probability("fpr", fpr)
    # The product must not be rounded down by accident: 0.29 * 100 is 28.999999999999996. Counting
    # with the very quotients that p_values returns makes "score < threshold" and "p <= fpr" agree
    # exactly, which no tolerance added to the product would.
    return int(np.searchsorted(_attainable(np.arange(1, n + 1), n), fpr, side="right"))


def _rows_needed(fpr: float) -> int:
    """The smallest n for which `_rank` is not 0: ceil(1 / fpr) - 1."""
    # 1 / fpr is rounded, up or down (1 / (1 / 49) exceeds 49), so the definition decides.
    return next(n for n in itertools.count(math.ceil(1.0 / fpr) - 2) if 1.0 / (n + 1) <= fpr)


def _check_probability(name: str, value: float) -> None:
    # Written so that NaN fails too.
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} is {value}; give a number between 0 and 1, both excluded.")


def _calibration(scores: ArrayLike) -> NDArray[np.float64]:
    """Calibration scores as a float64 vector that is not empty and finite."""
    array = _vector("calibration_scores", scores)
    if array.size == 0:
        raise ValueError("calibration_scores is empty. Give the scores of held-out inliers.")
    n_infinite = int(np.isinf(array).sum())
    if n_infinite:
        raise ValueError(
            f"calibration_scores holds {n_infinite} infinite values out of {array.size}. "
            "Remove these rows, or find out why inliers get an infinite score."
        )
    return array


def _vector(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """A float64 vector without NaN, which would sort as the most normal score of all."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension; got shape {array.shape}. Ravel it.")
    n_missing = int(np.isnan(array).sum())
    if n_missing:
        raise ValueError(
            f"{name} holds {n_missing} NaN out of {array.size} values. "
            "Remove these rows, or find out why their score is undefined."
        )
    return array
