"""From the layer-wise gradient norms of a row to one score, referred to those of normal rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr
from scipy.stats import rankdata
from sklearn.covariance import LedoitWolf

__all__ = [
    "COMBINATIONS",
    "LogNorms",
    "gaussian_score",
    "mahalanobis_score",
    "one_sided_score",
    "rank_correlation",
]

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LogNorms:
    """What the logarithms of the squared norms of normal rows look like.

    Attributes
    ----------
    used : ndarray of shape (n_layers,), bool
        False for dead layers, which are left out: those whose norm is zero for more than one row in
        a hundred, or always the same.
    floor, mean, std : ndarray of shape (n_used,)
        Smallest squared norm that is told from zero; mean and standard deviation of the logarithm.
    precision : ndarray of shape (n_used, n_used)
        Inverse of the covariance of the standardised logarithms, shrunk (Ledoit & Wolf 2004).
    """

    used: NDArray[np.bool_]
    floor: _Floats
    mean: _Floats
    std: _Floats
    precision: _Floats

    @classmethod
    def fit(cls, squared_norms: _Floats) -> LogNorms:
        """From the squared norms (n, n_layers) of normal rows, n > 0.

        Raises
        ------
        ValueError
            If all layers are dead.
        """
        used = (squared_norms > 0).mean(axis=0) >= 0.99
        used &= (np.ptp(squared_norms, axis=0) > 0) | (len(squared_norms) == 1)
        if not used.any():
            raise ValueError(
                f"None of the {len(used)} layers has a gradient norm that differs from row to row. "
                "Train the model, or give rows that are not all the same."
            )
        squared_norms = squared_norms[:, used]
        floor = np.maximum(1e-10 * np.median(squared_norms, axis=0), np.finfo(float).tiny)
        logs = np.log(np.maximum(squared_norms, floor))
        mean = logs.mean(axis=0)
        if len(logs) == 1:
            return cls(used, floor, mean, np.ones_like(mean), np.eye(len(mean)))
        std = logs.std(axis=0, ddof=1)
        covariance = LedoitWolf(assume_centered=True).fit((logs - mean) / std)
        return cls(used, floor, mean, std, covariance.precision_)

    def standardise(self, squared_norms: _Floats) -> _Floats:
        """Logarithms in standard deviations from their means, shape (n, n_used)."""
        # Rows in one piece: sums over columns add up in another order otherwise.
        squared_norms = np.ascontiguousarray(squared_norms[:, self.used])
        return (np.log(np.maximum(squared_norms, self.floor)) - self.mean) / self.std


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


COMBINATIONS: dict[str, Callable[[_Floats, LogNorms], _Floats]] = {
    "gaussian": gaussian_score,
    "mahalanobis": mahalanobis_score,
    "one-sided": one_sided_score,
}


def rank_correlation(scores: _Floats, nll: _Floats) -> float:
    """Spearman's correlation, in [-1, 1], of a score with -log p on normal rows.

    Near 1 the score calls normal what the likelihood calls likely, and is fooled by what fools the
    likelihood. 0 where one of them is the same for all rows.
    """
    ranks = [rankdata(values) - (len(values) + 1) / 2 for values in (scores, nll)]
    size = np.sqrt(np.prod([np.sum(np.square(r)) for r in ranks]))
    return float(ranks[0] @ ranks[1] / size) if size > 0 else 0.0
