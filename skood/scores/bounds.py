"""Lower bounds of the log-likelihood from log importance weights."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["importance_weighted_bound"]


def importance_weighted_bound(
    log_weights: Iterable[NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Importance-weighted bound of log p(x), nats; the higher, the more likely.

    Parameters
    ----------
    log_weights : iterable of ndarrays of shape (...), or ndarray of shape (n_samples, ...)
        log p(x, z) - log q(z | x) of independent samples of z. One at a time is in memory if a
        generator makes them.

    Returns
    -------
    ndarray of shape (...)
        log of the mean weight. With one sample it is the evidence lower bound.

    Notes
    -----
    Burda et al. 2016, eq. 8; Havtorn et al. 2021, eq. 9 (where N stands for S).
    """
    n_samples = 0
    total: NDArray[np.float64] = np.asarray(-np.inf)
    for weight in log_weights:
        n_samples, total = n_samples + 1, np.logaddexp(total, weight)
    return np.asarray(total - np.log(n_samples))
