"""From the layer-wise gradient norms of a row to one score, referred to those of normal rows.

Notation: a row has one squared gradient norm for each layer (parameter tensor or module), and d
is the vector of their logarithms, standardised by mean and standard deviation over normal rows. All
scores are functions of d, the higher, the more OOD. The norms themselves depend on the size and the
parametrisation of a layer; only comparisons with normal rows mean something.

References
----------
.. [1] B. Montazeran, U. Koethe, "OOD Detection with Immature Models", 2025. arXiv:2502.00820.
.. [2] S. Dauncey, C. Holmes, C. Williams, F. Falck, "Approximations to the Fisher Information
       Metric of Deep Generative Models for Out-Of-Distribution Detection", 2024.
       arXiv:2403.01485.
.. [3] O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
       Journal of Multivariate Analysis 88(2), 2004.
.. [4] R. A. Fisher, "Statistical Methods for Research Workers", 4th ed., 1932, section 21.1.
.. [5] L. H. C. Tippett, "The Methods of Statistics", 1931.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from skood.scores.survival import LogSurvival

__all__ = [
    "COMBINATIONS",
    "LogNorms",
    "gaussian_score",
    "mahalanobis_score",
    "max_score",
    "one_sided_score",
]

_Floats = NDArray[np.float64]

_N_FOLDS = 5
# Standard deviations: a norm of zero is unusual, but how far out its logarithm lies means nothing.
_ZERO = -4.0


@dataclass(frozen=True)
class LogNorms:
    """Distribution of the logarithms of squared gradient norms over normal rows.

    Use `fit`, not the constructor.

    Attributes
    ----------
    used : ndarray of shape (n_layers,), bool
        False for layers without information, which are left out: those whose norm is zero for more
        than half of the rows, or the same for all.
    floor : ndarray of shape (n_used,)
        Largest squared norm that counts as zero.
    mean, std : ndarray of shape (n_used,)
        Mean and standard deviation of the logarithm of norms that are not zero.
    precision : ndarray of shape (n_used, n_used)
        Inverse of the covariance of d, with Ledoit-Wolf shrinkage ([3]_ in the module's
        references).
    log_survival : dict from str to LogSurvival
        Of the scores "mahalanobis" and "one-sided" over normal rows, by five-fold
        cross-validation: each row is scored with the moments of the other folds. In-sample
        distances would be far too small where rows are few and layers many.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.gradient_norms import LogNorms
    >>> squared_norms = np.random.default_rng(0).lognormal(size=(500, 3))
    >>> squared_norms[:, 1] = 0  # a layer that is never active
    >>> normal = LogNorms.fit(squared_norms)
    >>> normal.used
    array([ True, False,  True])
    >>> normal.standardise(squared_norms).shape
    (500, 2)
    """

    used: NDArray[np.bool_]
    floor: _Floats
    mean: _Floats
    std: _Floats
    precision: _Floats
    log_survival: dict[str, LogSurvival]

    @classmethod
    def fit(cls, squared_norms: _Floats) -> LogNorms:
        """Estimate it from normal rows that the model was not trained on.

        Parameters
        ----------
        squared_norms : ndarray of shape (n, n_layers)
            Not negative, n > 0.

        Raises
        ------
        ValueError
            If no layer has a norm that differs from row to row.
        """
        used = (squared_norms > 0).mean(axis=0) >= 0.5
        used &= (np.ptp(squared_norms, axis=0) > 0) | (len(squared_norms) == 1)
        if not used.any():
            raise ValueError(
                f"None of the {len(used)} layers has a gradient norm that differs from row to row. "
                "Train the model, or give rows that are not all the same."
            )
        informative = squared_norms[:, used]
        # Below any norm that is not zero.
        floor = np.maximum(1e-20 * np.median(informative, axis=0), np.finfo(float).tiny)
        n, all_rows = len(informative), cls(used, floor, *_moments(informative, floor), {})
        scores = {name: np.empty(n) for name in _TESTS}
        n_folds = min(_N_FOLDS, n)
        for fold in range(n_folds):
            new = np.arange(n) % n_folds == fold
            moments = _moments(informative[~new] if n > 1 else informative, floor)
            others = cls(used, floor, *moments, {})
            for name, values in scores.items():
                values[new] = COMBINATIONS[name](squared_norms[new], others)
        log_survival = {name: LogSurvival.fit(values) for name, values in scores.items()}
        return replace(all_rows, log_survival=log_survival)

    def standardise(self, squared_norms: _Floats) -> _Floats:
        """Logarithms of squared norms as deviations from normal rows: d.

        Parameters
        ----------
        squared_norms : ndarray of shape (n, n_layers)

        Returns
        -------
        ndarray of shape (n, n_used)
            In standard deviations; positive where the gradient is larger than usual. A norm of
            zero (none of the layer's units is active for this row) counts as -4, whatever the
            floor: its logarithm has no meaning beyond that.
        """
        # Rows in one piece: sums over columns add up in another order otherwise.
        squared_norms = np.ascontiguousarray(squared_norms[:, self.used])
        return _standardised(squared_norms, self.floor, self.mean, self.std)


def _standardised(squared_norms: _Floats, floor: _Floats, mean: _Floats, std: _Floats) -> _Floats:
    deviations = (np.log(np.maximum(squared_norms, floor)) - mean) / std
    return np.where(squared_norms > floor, deviations, _ZERO)


def _moments(squared_norms: _Floats, floor: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """Mean, standard deviation and precision of `LogNorms`, from rows (n, n_used)."""
    logs = np.ma.masked_array(np.log(np.maximum(squared_norms, floor)), squared_norms <= floor)
    mean = logs.mean(axis=0).filled(0.0)
    std = logs.std(axis=0, ddof=1).filled(0.0) if len(logs) > 1 else np.zeros_like(mean)
    std = np.where(std > 0, std, 1.0)  # where a few rows are the same
    deviations = _standardised(squared_norms, floor, mean, std)
    if len(deviations) == 1:
        return mean, std, np.eye(len(mean))
    from sklearn.covariance import LedoitWolf

    return mean, std, LedoitWolf(assume_centered=True).fit(deviations).precision_


def gaussian_score(squared_norms: _Floats, normal: LogNorms) -> _Floats:
    """Negative log density of the logarithms under independent Gaussians.

    The score of the paper. It takes layers as independent, which neighbouring layers are not, and
    counts small norms as much as large ones.

    Parameters
    ----------
    squared_norms : ndarray of shape (n, n_layers)
    normal : LogNorms

    Returns
    -------
    ndarray of shape (n,)
        Nats; the higher, the more OOD.

    Notes
    -----
    [1]_ in the module's references, eqs. 11 and 12, with the variance as the variance: eq. 11 calls
    the variance sigma, which eq. 12 squares again.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.gradient_norms import LogNorms, gaussian_score
    >>> normal = LogNorms.fit(np.random.default_rng(0).lognormal(size=(500, 3)))
    >>> usual, small, large = gaussian_score(np.array([[1.0] * 3, [1e-3] * 3, [1e3] * 3]), normal)
    >>> bool(usual < small), bool(usual < large)
    (True, True)
    """
    deviations = normal.standardise(squared_norms)
    constant = (np.log(normal.std) + 0.5 * np.log(2 * np.pi)).sum()
    return 0.5 * np.square(deviations).sum(axis=1) + constant


def mahalanobis_score(squared_norms: _Floats, normal: LogNorms) -> _Floats:
    """Squared Mahalanobis distance of the logarithms from their mean over normal rows.

    Unlike `gaussian_score` it takes account of the correlation between layers: it finds norms in an
    unusual proportion. It weighs all directions alike, though, and misses rows that vary *less*
    than normal ones in most of them, as simple images can.

    Parameters
    ----------
    squared_norms : ndarray of shape (n, n_layers)
    normal : LogNorms

    Returns
    -------
    ndarray of shape (n,)
        At least 0, without unit; the higher, the more OOD. Its mean over normal rows is about the
        number of layers used.

    Examples
    --------
    Two layers whose norms rise and fall together:

    >>> import numpy as np
    >>> from skood.scores.gradient_norms import LogNorms, mahalanobis_score
    >>> rng = np.random.default_rng(0)
    >>> normal = LogNorms.fit(np.exp(rng.normal(size=(500, 1)) + 0.1 * rng.normal(size=(500, 2))))
    >>> together, apart = mahalanobis_score(np.exp([[1.0, 1.0], [1.0, -1.0]]), normal)
    >>> bool(apart > 10 * together)
    True
    """
    deviations = normal.standardise(squared_norms)
    return np.einsum("ni,ij,nj->n", deviations, normal.precision, deviations)


def one_sided_score(squared_norms: _Floats, normal: LogNorms) -> _Floats:
    """Negative log of the product over layers of P(a normal norm is at least as large).

    Fisher's combination of one-sided tests ([4]_ in the module's references), under the same
    independent Gaussians as `gaussian_score`. It finds rows with large gradients: those that would
    change the weights much. Small norms add nothing and cannot make up for large ones in other
    layers; rows with small gradients everywhere are missed.

    Parameters
    ----------
    squared_norms : ndarray of shape (n, n_layers)
    normal : LogNorms

    Returns
    -------
    ndarray of shape (n,)
        Nats, at least 0; the higher, the more OOD.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.gradient_norms import LogNorms, one_sided_score
    >>> normal = LogNorms.fit(np.random.default_rng(0).lognormal(size=(500, 3)))
    >>> small, usual, large = one_sided_score(np.array([[1e-3] * 3, [1.0] * 3, [1e3] * 3]), normal)
    >>> bool(small < usual < large)
    True
    """
    return -log_ndtr(-normal.standardise(squared_norms)).sum(axis=1)


def max_score(squared_norms: _Floats, normal: LogNorms) -> _Floats:
    """The more significant of `mahalanobis_score` and `one_sided_score`.

    A row is OOD if its norms are in an unusual proportion, or if they are large. The two scores
    have different units, so each is replaced by its log survival function over normal rows; the
    smaller of two p-values is Tippett's combination ([5]_ in the module's references).

    Parameters
    ----------
    squared_norms : ndarray of shape (n, n_layers)
    normal : LogNorms

    Returns
    -------
    ndarray of shape (n,)
        Minus the smaller log survival function, nats, at least 0; the higher, the more OOD.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.gradient_norms import LogNorms, max_score
    >>> normal = LogNorms.fit(np.random.default_rng(0).lognormal(size=(500, 3)))
    >>> usual, mixed, large = max_score(np.array([[1.0] * 3, [1e3, 1e-3, 1], [1e3] * 3]), normal)
    >>> bool(usual < mixed), bool(usual < large)
    (True, True)
    """
    each = [
        -normal.log_survival[name](COMBINATIONS[name](squared_norms, normal)) for name in _TESTS
    ]
    return np.maximum(*each)


_TESTS = ("mahalanobis", "one-sided")
COMBINATIONS: dict[str, Callable[[_Floats, LogNorms], _Floats]] = {
    "gaussian": gaussian_score,
    "mahalanobis": mahalanobis_score,
    "max": max_score,
    "one-sided": one_sided_score,
}
