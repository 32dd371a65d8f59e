"""Likelihood ratios of rows that are less likely than all normal ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["with_likelihood_floor"]


def with_likelihood_floor(
    ratios: ArrayLike,
    log_likelihoods: ArrayLike,
    *,
    largest_ratio: float,
    smallest_log_likelihood: float,
) -> NDArray[np.float64]:
    """Ratios that also see rows far out, where both likelihoods of a ratio fall without end.

    Parameters
    ----------
    ratios, log_likelihoods : array-like of shape (n,)
        Of each row, nats: the higher the ratio, the more OOD.
    largest_ratio, smallest_log_likelihood : float
        Of some normal rows, nats.

    Returns
    -------
    ndarray of shape (n,), float64
        The ratio itself, but for rows less likely than all those normal ones at least
        ``largest_ratio`` and the nats that their likelihood lacks.

    Examples
    --------
    >>> from skood.scores.likelihood_floor import with_likelihood_floor
    >>> normal = {"largest_ratio": 3.0, "smallest_log_likelihood": -20.0}
    >>> with_likelihood_floor([1.0, -50.0], [-10.0, -90.0], **normal)
    array([ 1., 73.])
    """
    ratios = np.asarray(ratios, dtype=np.float64)
    missing = smallest_log_likelihood - np.asarray(log_likelihoods, dtype=np.float64)
    return np.where(missing > 0, np.maximum(ratios, largest_ratio + missing), ratios)
