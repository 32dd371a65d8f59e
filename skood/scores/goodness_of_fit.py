"""How well the values of one row fit independent numbers of a known distribution.

Each test statistic is one number for each row; the higher, the worse the fit. The base variables of
a flow should be such numbers for rows like those that it was trained on.

Notation: e are the d values of a row, such as the base variables of a flow, F is a distribution
function, and P_j is the power of e at the frequency j. Of white noise with unit variance, the
powers at frequencies that are not their own mirror image are independent and exponential with mean
1.

References
----------
.. [1] T. W. Anderson, D. A. Darling, "A Test of Goodness of Fit", Journal of the American
       Statistical Association 49(268), 1954.
.. [2] M. S. Bartlett, "Periodogram Analysis and Continuous Spectra", Biometrika 37, 1950.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtri_exp

__all__ = [
    "anderson_darling_exponential",
    "anderson_darling_normal",
    "normal_from_logistic",
    "periodogram",
]

_Floats = NDArray[np.float64]

# log(1 - exp(-p)) of a power of 0 is minus infinity.
_SMALLEST_POWER = 1e-300


def anderson_darling_normal(values: ArrayLike) -> _Floats:
    """Anderson-Darling statistic of each row against the standard normal distribution.

    Parameters
    ----------
    values : array-like of shape (n, d)

    Returns
    -------
    ndarray of shape (n,), float64
        A^2 = -d - sum_i (2 i - 1) / d (log F(e_i) + log(1 - F(e_d+1-i))), e being in ascending
        order ([1]_ in the module's references, with nothing estimated). Its mean is 1 for
        independent standard normal values.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.goodness_of_fit import anderson_darling_normal
    >>> e = np.random.default_rng(0).normal(size=(1, 1000))
    >>> anderson_darling_normal(np.concatenate([e, 0.5 * e, e + 1])).round()
    array([  2.,  87., 439.])
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=1)
    return _anderson_darling(log_ndtr(ordered), log_ndtr(-ordered))


def anderson_darling_exponential(values: ArrayLike) -> _Floats:
    """The same against the exponential distribution with mean 1; values are not negative.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.goodness_of_fit import anderson_darling_exponential
    >>> powers = np.random.default_rng(0).exponential(size=(1, 1000))
    >>> anderson_darling_exponential(np.concatenate([powers, np.ones((1, 1000))])).round()
    array([  1., 459.])
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=1)
    ordered = np.maximum(ordered, _SMALLEST_POWER)
    return _anderson_darling(np.log(-np.expm1(-ordered)), -ordered)


def _anderson_darling(log_below: _Floats, log_above: _Floats) -> _Floats:
    """From log F and log(1 - F) of values in ascending order."""
    d = log_below.shape[1]
    weights = (2 * np.arange(1, d + 1) - 1) / d
    terms = np.ascontiguousarray(weights * (log_below + log_above[:, ::-1]))
    statistic: _Floats = -d - terms.sum(axis=1)
    return statistic


def normal_from_logistic(values: ArrayLike) -> _Floats:
    """Map standard logistic values to standard normal ones of the same probability.

    Parameters
    ----------
    values : array-like of any shape

    Returns
    -------
    ndarray of the same shape, float64
        The normal quantile of their logistic distribution function, also far out, where this is 1
        in floating point.

    Examples
    --------
    >>> from skood.scores.goodness_of_fit import normal_from_logistic
    >>> normal_from_logistic([-2.0, 2.0, 200.0]).round(2)
    array([-1.18,  1.18, 19.8 ])
    """
    values = np.asarray(values, dtype=np.float64)
    log_tail = -np.logaddexp(0, np.abs(values))
    return np.asarray(-np.sign(values) * ndtri_exp(log_tail))


def periodogram(maps: ArrayLike) -> _Floats:
    """Power of each row at every frequency but those that are their own mirror image.

    Parameters
    ----------
    maps : array-like of shape (n, d) or (n, channels, height, width)
        Vectors, or maps, of which each channel is transformed in two dimensions.

    Returns
    -------
    ndarray of shape (n, n_frequencies), float64
        Squared absolute values of the Fourier transform over the number of values transformed: of
        each pair of mirror images one ([2]_ in the module's references). There are (d - 1) // 2 of
        a vector, and about height * width / 2 of each channel.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.goodness_of_fit import periodogram
    >>> wave = np.cos(2 * np.pi * 2 * np.arange(8) / 8)
    >>> periodogram([wave]).round(2)  # all at frequency 2 of 1, 2 and 3
    array([[0., 2., 0.]])
    """
    maps = np.asarray(maps, dtype=np.float64)
    if maps.ndim == 2:
        maps = maps[:, None, None, :]
    height, width = maps.shape[2:]
    # numpy.fft transforms one row after the other; scipy.fft takes several at a time, with other
    # last digits.
    power = np.square(np.abs(np.fft.rfft2(maps))) / (height * width)
    inner = power[..., 1 : (width + 1) // 2]
    # Columns that are their own mirror image: there the lower half mirrors the upper one.
    columns = [0] if width % 2 else [0, width // 2]
    edges = power[..., 1 : (height + 1) // 2, columns]
    parts = [part.reshape(len(maps), -1) for part in (inner, edges)]
    return np.concatenate(parts, axis=1)
