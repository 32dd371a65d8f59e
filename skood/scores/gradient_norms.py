"""From the layer-wise gradient norms of a row to one score, referred to those of normal rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr
from sklearn.covariance import LedoitWolf

__all__ = [
    "COMBINATIONS",
    "LogNorms",
    "Rarity",
    "gaussian_score",
    "mahalanobis_score",
    "max_score",
    "one_sided_score",
]

_Floats = NDArray[np.float64]

_N_FOLDS = 5
# Standard deviations: a norm of zero is rare, but how far out its logarithm is has no meaning.
_ZERO = -4.0


@dataclass(frozen=True)
class Rarity:
    """-log of the part of normal rows that score at least as high, nats; never negative.

    As counted up to the 90 % quantile (of fewer than 20, the last but one), with straight lines
    between scores, and above it with an exponential tail: rows beyond all normal ones still differ
    from one another.

    Attributes
    ----------
    scores, values : ndarray of shape (n_knots,)
        Normal scores in ascending order, and their rarity.
    scale : float
        Mean distance of higher scores from the last of these.
    """

    scores: _Floats
    values: _Floats
    scale: float

    @classmethod
    def fit(cls, scores: _Floats) -> Rarity:
        """From the scores (n,) of normal rows, n > 0."""
        scores, n = np.sort(scores), len(scores)
        start = n - min(n, max(2, n // 10))  # of the tail
        scale = (scores[start:] - scores[start]).sum() / max(1, n - start - 1)
        at_least = n - np.arange(start + 1)
        return cls(scores[: start + 1], np.log(n / at_least), float(scale) or 1.0)

    def __call__(self, scores: _Floats) -> _Floats:
        """Of new rows, shape (n,)."""
        tail = np.maximum(scores - self.scores[-1], 0) / self.scale
        return np.asarray(np.interp(scores, self.scores, self.values) + tail)


@dataclass(frozen=True)
class LogNorms:
    """What the logarithms of the squared norms of normal rows look like.

    Attributes
    ----------
    used : ndarray of shape (n_layers,), bool
        False for dead layers, which are left out: those whose norm is zero for more than half of
        the rows, or always the same.
    floor, mean, std : ndarray of shape (n_used,)
        Smallest squared norm that is told from zero; mean and standard deviation of the logarithm
        of norms that are not zero.
    precision : ndarray of shape (n_used, n_used)
        Inverse of the covariance of the standardised logarithms, shrunk (Ledoit & Wolf 2004).
    rarity : dict from str to Rarity
        Of the scores "mahalanobis" and "one-sided". Each normal row is scored as if it were new:
        by moments of four fifths of the rows, without it.
    """

    used: NDArray[np.bool_]
    floor: _Floats
    mean: _Floats
    std: _Floats
    precision: _Floats
    rarity: dict[str, Rarity]

    @classmethod
    def fit(cls, squared_norms: _Floats) -> LogNorms:
        """From the squared norms (n, n_layers) of normal rows, n > 0.

        Raises
        ------
        ValueError
            If all layers are dead.
        """
        used = (squared_norms > 0).mean(axis=0) >= 0.5
        used &= (np.ptp(squared_norms, axis=0) > 0) | (len(squared_norms) == 1)
        if not used.any():
            raise ValueError(
                f"None of the {len(used)} layers has a gradient norm that differs from row to row. "
                "Train the model, or give rows that are not all the same."
            )
        alive = squared_norms[:, used]
        # Below any norm that is not zero.
        floor = np.maximum(1e-20 * np.median(alive, axis=0), np.finfo(float).tiny)
        n, everything = len(alive), cls(used, floor, *_moments(alive, floor), {})
        scores = {name: np.empty(n) for name in _MOST_SIGNIFICANT}
        n_folds = min(_N_FOLDS, n)
        for fold in range(n_folds):
            new = np.arange(n) % n_folds == fold
            others = cls(used, floor, *_moments(alive[~new], floor), {}) if n > 1 else everything
            for name, values in scores.items():
                values[new] = COMBINATIONS[name](squared_norms[new], others)
        rarity = {name: Rarity.fit(values) for name, values in scores.items()}
        return replace(everything, rarity=rarity)

    def standardise(self, squared_norms: _Floats) -> _Floats:
        """Logarithms in standard deviations from their means, shape (n, n_used).

        A norm of zero, that of a row for which a layer is switched off, is four below.
        """
        # Rows in one piece: sums over columns add up in another order otherwise.
        squared_norms = np.ascontiguousarray(squared_norms[:, self.used])
        return _standardised(squared_norms, self.floor, self.mean, self.std)


def _standardised(squared_norms: _Floats, floor: _Floats, mean: _Floats, std: _Floats) -> _Floats:
    z = (np.log(np.maximum(squared_norms, floor)) - mean) / std
    return np.where(squared_norms > floor, z, _ZERO)


def _moments(squared_norms: _Floats, floor: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """Mean, standard deviation and precision of `LogNorms`, from rows (n, n_used)."""
    logs = np.ma.masked_array(np.log(np.maximum(squared_norms, floor)), squared_norms <= floor)
    mean = logs.mean(axis=0).filled(0.0)
    std = logs.std(axis=0, ddof=1).filled(0.0) if len(logs) > 1 else np.zeros_like(mean)
    std = np.where(std > 0, std, 1.0)  # where a few rows are the same
    z = _standardised(squared_norms, floor, mean, std)
    if len(z) == 1:
        return mean, std, np.eye(len(mean))
    return mean, std, LedoitWolf(assume_centered=True).fit(z).precision_


def gaussian_score(squared_norms: _Floats, normal: LogNorms) -> _Floats:
    """-log density of the logarithms under independent Gaussians, shape (n,), nats.

    Montazeran et al., eqs. 11 and 12, with the variance as the variance: eq. 11 calls the variance
    sigma, which eq. 12 squares again.
    """
    z = normal.standardise(squared_norms)
    constant = (np.log(normal.std) + 0.5 * np.log(2 * np.pi)).sum()
    return 0.5 * np.square(z).sum(axis=1) + constant


def mahalanobis_score(squared_norms: _Floats, normal: LogNorms) -> _Floats:
    """Squared Mahalanobis distance of the logarithms from normal, shape (n,).

    Unlike independent Gaussians it knows that neighbouring layers go up and down together.
    """
    z = normal.standardise(squared_norms)
    return np.einsum("ni,ij,nj->n", z, normal.precision, z)


def one_sided_score(squared_norms: _Floats, normal: LogNorms) -> _Floats:
    """-log of the product over layers of P(a normal norm is at least as large), (n,), nats.

    Fisher's way to combine one-sided tests (1932), under the same independent Gaussians as
    `gaussian_score`. Small norms add nothing, and cannot make up for large ones elsewhere.
    """
    return -log_ndtr(-normal.standardise(squared_norms)).sum(axis=1)


def max_score(squared_norms: _Floats, normal: LogNorms) -> _Floats:
    """The rarer of `mahalanobis_score` and `one_sided_score`, each among normal rows, (n,), nats.

    The smaller of two p-values (Tippett 1931): a row is abnormal if its norms are in an unusual
    proportion, or if they are large.
    """
    each = [
        normal.rarity[name](COMBINATIONS[name](squared_norms, normal)) for name in _MOST_SIGNIFICANT
    ]
    return np.maximum(*each)


_MOST_SIGNIFICANT = ("mahalanobis", "one-sided")
COMBINATIONS: dict[str, Callable[[_Floats, LogNorms], _Floats]] = {
    "gaussian": gaussian_score,
    "mahalanobis": mahalanobis_score,
    "max": max_score,
    "one-sided": one_sided_score,
}
