"""Lower bounds of the log-likelihood from log importance weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["importance_weighted_bound"]


def importance_weighted_bound(log_weights: ArrayLike) -> NDArray[np.float64]:
    """Importance-weighted lower bound of log p(x): the log of the mean weight.

    The weight of a sample z of q(z | x) is ``p(x, z) / q(z | x)``. In expectation over the samples
    the bound rises with their number S, from the evidence lower bound at S = 1 towards log p(x).

    Parameters
    ----------
    log_weights : array-like of shape (n_samples, ...)
        log p(x, z) - log q(z | x), nats, of independent samples of z along the first axis. -inf is
        a weight of 0.

    Returns
    -------
    ndarray of shape (...), float64
        Nats; the higher, the more likely. With one sample, bitwise equal to its log weight.

    Raises
    ------
    ValueError
        If there is no sample.

    Notes
    -----
    Burda, Grosse, Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016, arXiv:1509.00519,
    eq. 8; Havtorn et al. 2021, arXiv:2102.08248, eq. 9 (where N stands for S).

    Examples
    --------
    Two samples for each of three rows, with weights 1 and 3, 2 and 2, 4 and 0:

    >>> import numpy as np
    >>> from skood.scores.bounds import importance_weighted_bound
    >>> log_weights = [[0, np.log(2), np.log(4)], [np.log(3), np.log(2), -np.inf]]
    >>> importance_weighted_bound(log_weights).round(3)  # log 2 for all
    array([0.693, 0.693, 0.693])
    """
    log_weights = np.asarray(log_weights, dtype=np.float64)
    if log_weights.ndim == 0 or not len(log_weights):
        raise ValueError(
            f"log_weights must have at least one sample along its first axis; got an array of "
            f"shape {log_weights.shape}."
        )
    # `scipy.special.logsumexp` adds in another order for one row than for several: the bound of a
    # row would depend, in the last digit, on the number of rows.
    return np.asarray(np.logaddexp.reduce(log_weights, axis=0) - np.log(len(log_weights)))
