"""Lower bounds of the log-likelihood from log importance weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

__all__ = ["importance_weighted_bound"]


def importance_weighted_bound(log_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Importance-weighted bound of log p(x), nats; the higher, the more likely.

    Parameters
    ----------
    log_weights : ndarray of shape (n_samples, ...)
        log p(x, z) - log q(z | x) of independent samples of z.

    Returns
    -------
    ndarray of shape (...)
        log of the mean weight. With one sample it is the evidence lower bound.

    Notes
    -----
    Burda et al. 2016, eq. 8; Havtorn et al. 2021, eq. 9 (where N stands for S).
    """
    return np.asarray(logsumexp(log_weights, axis=0) - np.log(len(log_weights)))
