"""What the flows share: base variables, and the way back from them."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor, nn

from skood.core.batches import map_batches
from skood.core.protocols import InvertibleNetwork
from skood.core.row_spec import RowSpec
from skood.nn.dequantization import Coordinates, DequantizedPixels, StandardizedReals

__all__ = ["FlowMixin", "coordinates_for"]

_Floats = NDArray[np.float64]


class FlowMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """For models, to the left of their base, with a `skood.core.protocols.InvertibleNetwork`."""

    def transform(self, X: ArrayLike | Tensor) -> _Floats:
        """Base variables, shape (n, values in a row), float64.

        They are about independent, and standard normal or logistic, for rows from the model.
        """
        check_is_fitted(self)
        noise = self.scoring_noise()

        def base_variables(network: nn.Module, x: Tensor) -> Tensor:
            return cast(InvertibleNetwork, network).transform(x, noise)

        return self.map_network(base_variables, X, row_axis=0)

    def inverse_transform(self, Z: ArrayLike) -> _Floats:
        """From base variables (n, values in a row) back to rows, on the scale of the data.

        Raises
        ------
        ValueError
            If Z has another number of columns.
        """
        check_is_fitted(self)
        Z = np.asarray(check_array(Z, dtype="numeric"))
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but the rows of {type(self).__name__} have "
                f"{self._n_features_out} values. Give what transform returns."
            )
        network = cast(InvertibleNetwork, self.network_)  # on the CPU, as in `sample`

        def to_rows(z: Tensor) -> _Floats:
            return self.rows_.to_array(network.inverse(z))

        def to_tensor(part: NDArray[np.floating]) -> Tensor:
            return torch.from_numpy(np.array(part, dtype=np.float32))

        return map_batches(to_rows, Z, to_tensor, self.batch_sizes_, row_axis=0)

    @property
    def _n_features_out(self) -> int:
        return math.prod(self.input_shape_)


def coordinates_for(rows: RowSpec) -> Coordinates:
    """The module that makes such training rows continuous."""
    if rows.kind == "real":
        return StandardizedReals(*rows.standardisation())
    return DequantizedPixels(*rows.standardisation(), white=rows.white)
