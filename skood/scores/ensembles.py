"""What several models of the same rows say together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["waic"]


def waic(log_likelihoods: ArrayLike) -> NDArray[np.float64]:
    """Watanabe-Akaike information criterion of each row: mean minus variance over the models.

    Parameters
    ----------
    log_likelihoods : array-like of shape (n_models, n)
        log p(x) of each row under each model, nats; at least two models.

    Returns
    -------
    ndarray of shape (n,), float64
        E[log p(x)] - Var[log p(x)], with the unbiased estimate of the variance: the LOWER, the more
        OOD.

    Raises
    ------
    ValueError
        If there are fewer than two models, which have no variance.

    References
    ----------
    H. Choi, E. Jang, A. A. Alemi, "WAIC, but Why? Generative Ensembles for Robust Anomaly
    Detection", 2018, arXiv:1810.01392, section 2; after S. Watanabe, "Asymptotic Equivalence of
    Bayes Cross Validation and Widely Applicable Information Criterion", JMLR 11, 2010.

    Examples
    --------
    >>> from skood.scores.ensembles import waic
    >>> waic([[-10.0, -8.0], [-10.0, -12.0]])  # the models do not agree on the second row
    array([-10., -18.])
    """
    values = np.asarray(log_likelihoods, dtype=np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(
            "log_likelihoods must have the shape (n_models, n) with at least two models, since one "
            f"has no variance; got an array of shape {values.shape}."
        )
    # Along memory, NumPy adds in the same order however many rows there are.
    by_row = np.ascontiguousarray(values.T)
    criterion: NDArray[np.float64] = by_row.mean(axis=1) - by_row.var(axis=1, ddof=1)
    return criterion
