"""How far out in the upper tail a score is: the survival function of normal scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LogSurvival"]


@dataclass(frozen=True)
class LogSurvival:
    """Estimate of log P(S >= s) for the score S of a normal row, with an exponential tail.

    Scores of different methods have different units; their log survival functions have one, so
    that they can be compared and combined. Up to the 90 % quantile (the last but one of fewer than
    20 scores) the estimate is the empirical survival function, with straight lines between the
    logarithms at neighbouring scores. Above it the tail is exponential: it goes on beyond the
    largest normal score, where the empirical survival function is 0, so that rows out there still
    differ from one another.

    Use `fit`, not the constructor.

    Attributes
    ----------
    scores, values : ndarray of shape (n_knots,)
        Different normal scores up to the start of the tail, in ascending order; and log P(S >= s)
        there, nats, from 0 downwards.
    scale : float
        Mean excess of normal scores over the last of ``scores``, in their unit: 1 over the slope of
        the tail.

    See Also
    --------
    skood.calibration.p_values : P-values with a guarantee, which stop at 1 / (n + 1).

    Notes
    -----
    ``exp`` of it estimates a p-value, without a finite-sample guarantee: the tail is a model. It
    gives too large values far out for scores with Gaussian tails, and too small ones for scores
    with heavy tails. It is the peaks-over-threshold method with a generalised Pareto distribution
    of shape 0: J. Pickands, "Statistical Inference Using Extreme Order Statistics", Annals of
    Statistics 3(1), 1975.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.survival import LogSurvival
    >>> normal_scores = np.random.default_rng(0).exponential(size=10_000)
    >>> log_survival = LogSurvival.fit(normal_scores)
    >>> log_survival(np.array([-1.0, 1.0, 5.0, 50.0])).round(1)  # exact: 0, -1, -5, -50
    array([  0.,  -1.,  -5., -50.])
    """

    scores: NDArray[np.float64]
    values: NDArray[np.float64]
    scale: float

    @classmethod
    def fit(cls, scores: ArrayLike) -> LogSurvival:
        """Estimate it from the scores of normal rows.

        Parameters
        ----------
        scores : array-like of shape (n,)
            Finite, n > 0; the higher, the more OOD, in any unit. Ties are allowed.

        Raises
        ------
        ValueError
            If ``scores`` is empty, not one-dimensional, or not finite.
        """
        ordered = np.asarray(scores, dtype=np.float64)
        if ordered.ndim != 1 or not ordered.size or not np.isfinite(ordered).all():
            raise ValueError(
                "scores must hold at least one number, in one dimension, and only finite ones; got "
                f"an array of shape {ordered.shape}. Give the scores of normal rows."
            )
        ordered, n = np.sort(ordered), len(ordered)
        start = n - min(n, max(2, n // 10))  # of the tail
        excess = ordered[start:] - ordered[start]
        # Of tied scores the first counts, since P(S >= s) includes all of them.
        knots, n_lower = np.unique(ordered[: start + 1], return_index=True)
        scale = float(excess.sum() / max(1, n - start - 1))
        return cls(knots, np.log((n - n_lower) / n), scale or 1.0)

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Log P(S >= s) of new rows.

        Parameters
        ----------
        scores : array-like of shape (n,)
            In the unit of the scores given to `fit`.

        Returns
        -------
        ndarray of shape (n,), float64
            Nats, at most 0: the lower, the more OOD.
        """
        scores = np.asarray(scores, dtype=np.float64)
        tail = np.maximum(scores - self.scores[-1], 0) / self.scale
        return np.asarray(np.interp(scores, self.scores, self.values) - tail)
