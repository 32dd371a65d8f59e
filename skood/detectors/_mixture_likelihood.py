"""The likelihood of averaged Gaussian mixtures."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn import config_context
from sklearn.utils._param_validation import Interval

from skood.core.noise import Stream
from skood.core.rows import Rows
from skood.detectors._calibrated import CalibratedDetector
from skood.detectors._shared_models import SharedModels
from skood.detectors._standardized_vectors import StandardizedVectors

__all__ = ["MixtureLikelihood"]

_Floats = NDArray[np.float64]

# Of the rows that each mixture is fitted to: a random part, and no more than takes a second or two.
_PART, _MOST_ROWS = 0.8, 2_000
_ROWS_PER_COMPONENT = 5
# A tenth of a standard deviation in each direction: columns with few different values have no
# density, and narrow components fit single rows.
_SMALLEST_VARIANCE = 0.01
# Rows that differ by less than 1e-6 standard deviations are the same.
_DIGITS = 6
# Nats per row: expectation maximisation stops once a step gains less.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class MixtureDensity:
    """The density of a Gaussian mixture.

    Attributes
    ----------
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_coordinates)
    roots : ndarray of shape (n_components, n_coordinates, n_coordinates)
        R, upper triangular, where R R' is the inverse of the covariance.
    """

    weights: _Floats
    means: _Floats
    roots: _Floats

    def log_density(self, X: _Floats) -> _Floats:
        """At rows X of shape (n, n_coordinates), nats, shape (n,)."""
        squares = np.square((X - self.means[:, None]) @ self.roots).sum(axis=2)
        volumes = np.log(np.diagonal(self.roots, axis1=1, axis2=2)).sum(axis=1)
        constants = np.log(self.weights) + volumes - X.shape[1] / 2 * np.log(2 * np.pi)
        log_density: _Floats = logsumexp(constants[:, None] - squares / 2, axis=0)
        return log_density


class MixtureLikelihood(CalibratedDetector):
    """Out-of-distribution detection by the negative log density of averaged Gaussian mixtures.

    On tables it sees rows between and beyond the clusters, and rows whose columns do not go
    together as usual, in seconds. The average of several mixtures is a better density than any of
    them. It fails where clusters are many and curved, and on images, where it only knows the 64
    principal axes.

    Parameters
    ----------
    n_components : int, default=10
        Of each mixture; fewer where there are less than five rows for each.
    n_mixtures : int, default=10
        Each fitted to another random part of the rows.
    fpr, calibration_fraction, random_state
        As in `ConformalDetector`.

    Attributes
    ----------
    vectors_ : StandardizedVectors
        From rows to standardised coordinates.
    mixtures_ : list of MixtureDensity
        In standardised coordinates.
    calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    Notes
    -----
    `ood_score` is minus the log of the mean density, nats, in standardised coordinates
    (D. Ormoneit, V. Tresp: "Averaging, Maximum Penalized Likelihood and Bayesian Estimation for
    Improving Gaussian Mixture Probability Density Estimates", IEEE Transactions on Neural Networks
    9(4), 1998, section III). Each mixture is fitted to 80 % of the rows, at most 2,000.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import MixtureLikelihood
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> X[:250] += 10
    >>> detector = MixtureLikelihood(random_state=0).fit(X)
    >>> detector.predict([[10, 10], [5, 5]])  # in a cluster, and between the two
    array([ 1, -1])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CalibratedDetector._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "n_mixtures": [Interval(Integral, 1, None, closed="left")],
    }

    _learns_quickly = True

    def __init__(
        self,
        *,
        n_components: int = 10,
        n_mixtures: int = 10,
        fpr: float = 0.05,
        calibration_fraction: float = 0.2,
        random_state: Any = None,
    ):
        self.n_components = n_components
        self.n_mixtures = n_mixtures
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    def _learn(self, rows: Rows, seed: int, shared: SharedModels | None = None) -> None:
        self.vectors_, X = StandardizedVectors.fit(rows, seed)
        rng = np.random.default_rng([seed, Stream.INITIALISATION])
        self.mixtures_ = [self._fitted_mixture(X, rng) for _ in range(self.n_mixtures)]

    def _fitted_mixture(self, X: _Floats, rng: np.random.Generator) -> MixtureDensity:
        from sklearn.mixture import GaussianMixture

        n_rows = min(_MOST_ROWS, max(2, round(_PART * len(X))), len(X))
        part = X[rng.permutation(len(X))[:n_rows]]
        part = np.concatenate([part] * (2 // len(part) or 1))  # scikit-learn wants two rows
        # Of few different rows k-means makes as few clusters.
        n_different = len(np.unique(part.round(_DIGITS), axis=0))
        mixture = GaussianMixture(
            max(1, min(self.n_components, n_rows // _ROWS_PER_COMPONENT, n_different)),
            reg_covar=_SMALLEST_VARIANCE,
            tol=_TOLERANCE,
            max_iter=1_000,
            random_state=int(rng.integers(2**31)),
        )
        with config_context(array_api_dispatch=False):  # which k-means does not know
            mixture.fit(part)
        return MixtureDensity(mixture.weights_, mixture.means_, mixture.precisions_cholesky_)

    def _statistic(self, rows: Rows) -> _Floats:
        return self.vectors_.map(self._negative_log_density, rows, type(self).__name__)

    def _negative_log_density(self, X: _Floats) -> _Floats:
        log_densities = [mixture.log_density(X) for mixture in self.mixtures_]
        total: _Floats = logsumexp(log_densities, axis=0)
        return np.log(len(log_densities)) - total
