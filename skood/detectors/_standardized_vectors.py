"""Rows as vectors in which distances mean something, for methods that know no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skood.core.batches import LARGE_BATCH, map_batches
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows

__all__ = ["StandardizedVectors"]

_Floats = NDArray[np.float64]

# Beyond, distances are all alike and covariances have too many entries.
_MOST_COORDINATES = 64
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class StandardizedVectors:
    """Each row as a vector, in standard deviations; long ones along their 64 principal axes.

    Attributes
    ----------
    rows : RowSpec
        Of the training rows.
    mean, scale : ndarray of shape (n_values,)
        Of each value; the scale of pixels is 1, since they share a unit.
    axes : ndarray of shape (n_coordinates, n_values), or None
        None where rows have at most 64 values.
    """

    rows: RowSpec
    mean: _Floats
    scale: _Floats
    axes: _Floats | None

    @classmethod
    def fit(cls, rows: Rows, seed: int) -> tuple[StandardizedVectors, _Floats]:
        """The map, and the training rows in it, shape (n, n_coordinates)."""
        from sklearn.decomposition import PCA
        from sklearn.preprocessing import StandardScaler

        spec = RowSpec.of(rows)
        X = _vectors(spec, spec.to_tensor(np.asarray(rows), _CPU))
        scaling = StandardScaler(with_std=not spec.is_image).fit(X)
        scale = np.ones(X.shape[1]) if spec.is_image else scaling.scale_
        vectors = cls(spec, scaling.mean_, scale, None)
        Z = vectors._coordinates(X)
        if Z.shape[1] <= _MOST_COORDINATES:
            return vectors, Z
        axes = PCA(min(_MOST_COORDINATES, *Z.shape), random_state=seed % 2**32)
        with np.errstate(divide="ignore", invalid="ignore"):  # the variance of equal rows is 0
            axes.fit(Z)
        vectors = replace(vectors, axes=np.ascontiguousarray(axes.components_))
        return vectors, vectors._coordinates(X)

    def _coordinates(self, X: _Floats) -> _Floats:
        Z = (X - self.mean) / self.scale
        return Z if self.axes is None else Z @ self.axes.T

    def map(self, function: Callable[[_Floats], _Floats], rows: Rows, name: str) -> _Floats:
        """``function`` of new rows in batches of a fixed size, so that company does not matter.

        ``name``, of the detector, is for the message where rows are on another scale.
        """
        self.rows.check(name, rows)

        def evaluate(x: Tensor) -> _Floats:
            return function(self._coordinates(_vectors(self.rows, x)))

        return map_batches(
            evaluate, rows, lambda part: self.rows.to_tensor(part, _CPU), (LARGE_BATCH["cpu"],)
        )


def _vectors(spec: RowSpec, x: Tensor) -> _Floats:
    """Rows in the unit that they share or, of a table, as they are."""
    loc, scale = spec.standardisation() if spec.is_image else (torch.zeros(()), torch.ones(()))
    X: _Floats = ((x.double() - loc) / scale).flatten(1).numpy()
    return X
