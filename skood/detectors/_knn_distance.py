"""The distance to the nearest neighbours."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from skood.core.rows import Rows
from skood.detectors._calibrated import CalibratedDetector
from skood.detectors._shared_models import SharedModels
from skood.detectors._standardized_vectors import StandardizedVectors

__all__ = ["KNNDistance"]


class KNNDistance(CalibratedDetector):
    """Out-of-distribution detection by the distance to the nearest normal rows.

    It needs no model and no training, and on tables few methods are better: it sees rows that lie
    where no normal ones are, whatever the shape of the normal region. It fails where many columns
    say nothing, since they hide the others, and on images, where pixels are not a measure of what
    is shown.

    Parameters
    ----------
    n_neighbors : int, default=5
    fpr, calibration_fraction, random_state
        As in `ConformalDetector`.

    Attributes
    ----------
    vectors_ : StandardizedVectors
        From rows to standardised coordinates.
    training_vectors_ : ndarray of shape (n, n_coordinates)
        The normal rows, in standardised coordinates.
    neighbors_ : sklearn.neighbors.NearestNeighbors
        Fitted to them.
    calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    Notes
    -----
    `ood_score` is the mean Euclidean distance to the ``n_neighbors`` nearest training rows, in
    standard deviations of each column (Ramaswamy, Rastogi, Shim: "Efficient Algorithms for Mining
    Outliers from Large Data Sets", SIGMOD 2000; the mean is that of Angiulli, Pizzuti: "Fast
    Outlier Detection in High Dimensional Spaces", PKDD 2002). Rows of more than 64 values are first
    projected on their 64 principal axes.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import KNNDistance
    >>> angle = np.random.default_rng(0).uniform(0, 2 * np.pi, size=500)
    >>> detector = KNNDistance(random_state=0).fit(np.c_[np.cos(angle), np.sin(angle)])
    >>> detector.predict([[1, 0], [0, 0]])  # on the circle, and in the middle
    array([ 1, -1])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CalibratedDetector._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    }

    _learns_quickly = True

    def __init__(
        self,
        *,
        n_neighbors: int = 5,
        fpr: float = 0.05,
        calibration_fraction: float = 0.2,
        random_state: Any = None,
    ):
        self.n_neighbors = n_neighbors
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    def _learn(self, rows: Rows, seed: int, shared: SharedModels | None = None) -> None:
        self.vectors_, self.training_vectors_ = StandardizedVectors.fit(rows, seed)
        self._index()

    def _index(self) -> None:
        """Make the training vectors ready to be searched."""
        from sklearn.neighbors import NearestNeighbors

        self.neighbors_ = NearestNeighbors().fit(self.training_vectors_)

    def _to_save(self) -> dict[str, Any]:
        attributes = super()._to_save()
        del attributes["neighbors_"]  # follows from the vectors
        return attributes

    def _restore(self, attributes: dict[str, Any]) -> None:
        super()._restore(attributes)
        self._index()

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        return self.vectors_.map(self._mean_distance, rows, type(self).__name__)

    def _mean_distance(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        n_neighbors = min(self.n_neighbors, len(self.training_vectors_))
        mean: NDArray[np.float64] = self.neighbors_.kneighbors(X, n_neighbors)[0].mean(axis=1)
        return mean
