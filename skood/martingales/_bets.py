"""Bets against the uniformity of a p-value."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["N_BETS", "log_bets"]

# Powers near 0 bet on a drift that a few rows show, powers near 1 on some outliers among normal
# rows. Of three amplitudes one is within a factor of two of the best for any drift that can be
# found at all, and then gains at least half of what the best would.
_POWERS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
_AMPLITUDES = np.array([-0.9, -0.3, -0.1, 0.1, 0.3, 0.9])
_SMALLEST, _LARGEST = np.finfo(np.float64).tiny, 1 - 2.0**-53

N_BETS = 2 * len(_POWERS) + 2 * len(_AMPLITUDES)


def log_bets(p_values: ArrayLike) -> NDArray[np.float64]:
    """Log of the factor by which each of 22 bets multiplies its stake.

    A bet is a density on [0, 1], so that its expectation under a uniform p-value is 1. There are
    those on low p-values, e p^(e - 1), which is how rows look that are more abnormal than normal
    ones, or some of them; on high ones, e (1 - p)^(e - 1), for rows that are more normal than
    normal, as plain frames are to many likelihoods; 1 + a (2 p - 1), for both, with less risk; and
    1 + a cos(2 pi p), for p-values that crowd in the middle, as of a camera that shows one picture
    for ever, or at both ends.

    Parameters
    ----------
    p_values : array-like of shape (n,)
        In [0, 1], from `OnlinePValues`.

    Returns
    -------
    ndarray of shape (n, 22), float64
        Nats: e = 0.1, 0.3, 0.5, 0.7, 0.9 for low and for high p-values, then a = -0.9, -0.3, -0.1,
        0.1, 0.3, 0.9, linear and cosine.

    References
    ----------
    The first are the power martingales of Vovk, Nouretdinov, Gammerman 2003, the linear ones those
    of the "Simple Jumper" of Vovk et al. 2021; see `skood.martingales`. The others are ours.

    Examples
    --------
    >>> from skood.martingales import log_bets
    >>> bets = log_bets([0.001, 0.5, 0.999])
    >>> bets.argmax(axis=1)  # the strongest on low p-values, on central and on high ones
    array([ 0, 16,  5])
    >>> bets.max(axis=1).round(2)
    array([3.91, 0.64, 3.91])
    """
    # A rank of a billion scores may be rounded to 1, which is no possible value.
    p = np.clip(np.asarray(p_values, dtype=np.float64), _SMALLEST, _LARGEST)[:, None]
    low = np.log(_POWERS) + (_POWERS - 1) * np.log(p)
    high = np.log(_POWERS) + (_POWERS - 1) * np.log1p(-p)
    line = np.log1p(_AMPLITUDES * (2 * p - 1))
    wave = np.log1p(_AMPLITUDES * np.cos(2 * np.pi * p))
    return np.hstack([low, high, line, wave])
