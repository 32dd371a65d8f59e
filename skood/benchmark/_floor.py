"""What every detector has to beat: simple scores with the threshold that users give them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skood.calibration import chunk

__all__ = ["Floor", "NeighbourDistance", "SklearnScore", "TrivialStatistics", "floors"]

_Floats = NDArray[np.float64]
_FPR = 0.05


class Floor:
    """Base: the threshold is a quantile of the scores of the training rows themselves.

    A subclass gives ``_fit(X)`` and ``_scores(X)``, and ``_training_scores(X)`` where a row that it
    was fitted on would look too normal.
    """

    offset_: float

    def fit(self, X: NDArray[Any]) -> Floor:
        """Learn from normal rows, all of them."""
        self._fit(X)
        self.offset_ = float(np.quantile(-self._training_scores(X), _FPR))
        return self

    def ood_score(self, X: NDArray[Any]) -> _Floats:
        """The higher, the more OOD, shape (n,)."""
        return self._scores(X)

    def group_ood_score(self, X: NDArray[Any], group_size: int) -> _Floats:
        """Mean score of consecutive rows."""
        means: _Floats = chunk(self._scores(X), group_size).mean(axis=1)
        return means

    def _training_scores(self, X: NDArray[Any]) -> _Floats:
        return self._scores(X)

    def _fit(self, X: NDArray[Any]) -> None:
        raise NotImplementedError

    def _scores(self, X: NDArray[Any]) -> _Floats:
        raise NotImplementedError


class TrivialStatistics(Floor):
    """Mahalanobis distance of four numbers: two total variations, mean and standard deviation."""

    def _fit(self, X: NDArray[Any]) -> None:
        statistics = self.statistics(X)
        self.mean_ = statistics.mean(axis=0)
        self.precision_ = np.linalg.pinv(np.cov(statistics, rowvar=False))

    def _scores(self, X: NDArray[Any]) -> _Floats:
        away = self.statistics(X) - self.mean_
        squares = np.einsum("ni,ij,nj->n", away, self.precision_, away)
        distances: _Floats = np.sqrt(np.maximum(squares, 0.0))
        return distances

    @staticmethod
    def statistics(X: NDArray[Any]) -> _Floats:
        """Mean absolute horizontal and vertical differences, mean, deviation; shape (n, 4)."""
        images = X.astype(np.float64)
        parts = [np.abs(np.diff(images, axis=axis)) for axis in (2, 1)]
        columns = [part.reshape(len(X), -1).mean(axis=1) for part in [*parts, images]]
        return np.column_stack([*columns, _flat(images).std(axis=1)])


class NeighbourDistance(Floor):
    """Mean distance to the five nearest training rows."""

    def __init__(self, preprocessing: Any, n_neighbors: int = 5):
        self.preprocessing, self.n_neighbors = preprocessing, n_neighbors

    def _fit(self, X: NDArray[Any]) -> None:
        codes = self.preprocessing.fit_transform(_flat(X))
        self.neighbours_ = NearestNeighbors(n_neighbors=self.n_neighbors).fit(codes)

    def _training_scores(self, X: NDArray[Any]) -> _Floats:
        return self._mean_distances(None)  # no row is its own neighbour

    def _scores(self, X: NDArray[Any]) -> _Floats:
        return self._mean_distances(self.preprocessing.transform(_flat(X)))

    def _mean_distances(self, codes: NDArray[Any] | None) -> _Floats:
        means: _Floats = self.neighbours_.kneighbors(codes)[0].mean(axis=1)
        return means


class SklearnScore(Floor):
    """The score of a scikit-learn estimator, which may be a pipeline."""

    def __init__(self, estimator: Any):
        self.estimator = estimator

    def _fit(self, X: NDArray[Any]) -> None:
        self.estimator.fit(_flat(X))

    def _training_scores(self, X: NDArray[Any]) -> _Floats:
        last = self.estimator[-1] if isinstance(self.estimator, Pipeline) else self.estimator
        if isinstance(last, LocalOutlierFactor):  # knows them: no row is its own neighbour
            return -last.negative_outlier_factor_
        return self._scores(X)

    def _scores(self, X: NDArray[Any]) -> _Floats:
        scores: _Floats = -self.estimator.score_samples(_flat(X))
        return scores


def floors(X: NDArray[Any], seed: int) -> dict[str, Floor]:
    """The floor for images or for tables, unfitted, by name."""
    forest = SklearnScore(IsolationForest(random_state=seed))
    if X.ndim > 2:
        codes = PCA(min(50, *_flat(X).shape), random_state=seed)
        return {
            "trivial statistics": TrivialStatistics(),
            "IsolationForest": forest,
            "5 neighbours, PCA": NeighbourDistance(codes),
        }
    mixture = GaussianMixture(5, reg_covar=1e-3, random_state=seed)
    factor = LocalOutlierFactor(novelty=True)
    return {
        "IsolationForest": forest,
        "5 neighbours": NeighbourDistance(StandardScaler()),
        "GaussianMixture": SklearnScore(make_pipeline(StandardScaler(), mixture)),
        "LocalOutlierFactor": SklearnScore(make_pipeline(StandardScaler(), factor)),
    }


def _flat(X: NDArray[Any]) -> NDArray[Any]:
    return X.reshape(len(X), -1)
