"""One number from the evidence of several detectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls
from scipy.special import logsumexp

__all__ = ["METHODS", "fisher", "harmonic", "independent_weights", "largest"]

_Floats = NDArray[np.float64]

_FEWEST_ROWS = 20


def fisher(evidence: ArrayLike, weights: ArrayLike) -> _Floats:
    """Weighted sum of -log p: what several see a little adds up.

    Parameters
    ----------
    evidence : array-like of shape (n, n_members)
        -log p of each member, nats.
    weights : array-like of shape (n_members,)
        Not negative; see `independent_weights`.

    Returns
    -------
    ndarray of shape (n,), float64
        The higher, the more OOD.

    References
    ----------
    R. A. Fisher, "Statistical Methods for Research Workers", 4th edition, 1932, section 21.1;
    with weights I. J. Good, "On the Weighted Combination of Significance Tests", Journal of the
    Royal Statistical Society B 17(2), 1955.

    Examples
    --------
    >>> from skood.scores.combination import fisher
    >>> fisher([[1.0, 2.0], [0.0, 5.0]], weights=[1.0, 1.0])
    array([3., 5.])
    """
    total: _Floats = np.asarray(evidence, dtype=np.float64) @ np.asarray(weights, dtype=np.float64)
    return total


def harmonic(evidence: ArrayLike, weights: ArrayLike | None = None) -> _Floats:
    """Minus the log of the harmonic mean of p, up to a constant: between the sum and the largest.

    Parameters and result are those of `fisher`; weights are not used.

    References
    ----------
    D. J. Wilson, "The harmonic mean p-value for combining dependent tests", PNAS 116(4), 2019.

    Examples
    --------
    >>> from skood.scores.combination import harmonic
    >>> harmonic([[1.0, 20.0]]).round(3)
    array([20.])
    """
    return np.asarray(logsumexp(np.asarray(evidence, dtype=np.float64), axis=1))


def largest(evidence: ArrayLike, weights: ArrayLike | None = None) -> _Floats:
    """The largest -log p: one that sees something is enough.

    Parameters and result are those of `fisher`; weights are not used.

    References
    ----------
    L. H. C. Tippett, "The Methods of Statistics", 1931.

    Examples
    --------
    >>> from skood.scores.combination import largest
    >>> largest([[1.0, 2.0], [0.0, 5.0]])
    array([2., 5.])
    """
    values: _Floats = np.asarray(evidence, dtype=np.float64).max(axis=1)
    return values


def independent_weights(evidence: ArrayLike) -> _Floats:
    """Weights by which what several members say together counts once.

    Parameters
    ----------
    evidence : array-like of shape (n, n_members)
        -log p of each member on normal rows, nats.

    Returns
    -------
    ndarray of shape (n_members,), float64
        Not negative, with mean 1: w that makes R w as equal as possible, R being the correlation of
        the evidence. Independent members have equal weights, and of two that say the same each has
        half. All are 1 where there are fewer than 20 rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.combination import independent_weights
    >>> a, b = np.random.default_rng(0).exponential(size=(2, 10_000))
    >>> independent_weights(np.column_stack([a, a, b])).round(1)
    array([0.8, 0.8, 1.5])
    """
    evidence = np.asarray(evidence, dtype=np.float64)
    n_members = evidence.shape[1]
    if len(evidence) < _FEWEST_ROWS or not evidence.std(axis=0).all():
        return np.ones(n_members)
    correlation = np.corrcoef(evidence, rowvar=False).reshape(n_members, n_members)
    # Rounding decides between equal members otherwise.
    weights, _ = nnls(correlation + 1e-6 * np.eye(n_members), np.ones(n_members))
    scaled: _Floats = weights / weights.mean()
    return scaled


# By name: functions of evidence and weights.
METHODS: dict[str, Callable[[ArrayLike, ArrayLike], _Floats]] = {
    "fisher": fisher,
    "harmonic": harmonic,
    "max": largest,
}
