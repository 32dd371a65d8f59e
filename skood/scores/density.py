"""The density of normal scores, on both sides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

__all__ = ["LogDensity"]


@dataclass(frozen=True)
class LogDensity:
    """Kernel estimate of the log density of a score, for tests that look at both sides.

    `scipy.stats.gaussian_kde` is the same, but needs memory that can be written to, and its last
    digits depend on how many scores are asked for at once.

    Use `fit`, not the constructor.

    Attributes
    ----------
    scores : ndarray of shape (n,)
        Normal scores.
    bandwidth : float
        Standard deviation of the Gaussian kernels, by Scott's rule.

    See Also
    --------
    skood.scores.survival.LogSurvival : One-sided, with a tail that is not Gaussian.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.density import LogDensity
    >>> log_density = LogDensity.fit(np.random.default_rng(0).normal(size=1_000))
    >>> log_density([0.0, 2.0]).round()  # exact: -0.9, -2.9
    array([-1., -3.])
    """

    scores: NDArray[np.float64]
    bandwidth: float

    @classmethod
    def fit(cls, scores: ArrayLike) -> LogDensity:
        """Estimate it from the scores of normal rows.

        Parameters
        ----------
        scores : array-like of shape (n,)
            Finite, n > 1, not all the same, in any unit.

        Raises
        ------
        ValueError
            If they are not.
        """
        values = np.asarray(scores, dtype=np.float64)
        spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
        if values.ndim != 1 or not spread > 0 or not np.isfinite(spread):
            raise ValueError(
                "scores must hold at least two finite numbers, in one dimension, that differ; got "
                f"an array of shape {values.shape}. Give the scores of normal rows."
            )
        return cls(values, spread * len(values) ** -0.2)

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Log density at new scores.

        Parameters
        ----------
        scores : array-like of shape (m,)
            In the unit of the scores given to `fit`.

        Returns
        -------
        ndarray of shape (m,), float64
            Nats, of a density per that unit.
        """
        distances = np.asarray(scores, dtype=np.float64)[:, None] - self.scores
        exponents = -0.5 * np.square(distances / self.bandwidth)
        constant = math.log(len(self.scores) * self.bandwidth * math.sqrt(2 * math.pi))
        return np.asarray(logsumexp(exponents, axis=1) - constant)
