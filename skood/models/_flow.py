"""What the flows share: base variables, and the way back from them."""

from __future__ import annotations

import math

import torch
from sklearn.utils.validation import check_array, check_is_fitted

from skood.core.batches import map_batches, to_array
from skood.models._base import BaseGenerativeModel
from skood.models._likelihood import standardisation
from skood.nn.dequantization import DequantizedPixels, StandardizedReals

__all__ = ["BaseFlow", "continuous_coordinates"]


class BaseFlow(BaseGenerativeModel):
    """Base of the flows, whose network is a `skood.nn.networks.flow.FlowNetwork`."""

    def transform(self, X):
        """Base variables, shape (n, values in a row), float64.

        They are about independent, and standard normal or logistic, for rows from the model.
        """
        check_is_fitted(self)
        noise = self._scoring_noise()
        return self._map(X, lambda network, x: network.transform(x, noise), row_axis=0)

    def inverse_transform(self, Z):
        """From base variables (n, values in a row) back to rows, on the scale of the data."""
        check_is_fitted(self)
        Z = check_array(Z, dtype="numeric")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but the rows of {type(self).__name__} have "
                f"{self._n_features_out} values. Give what transform returns."
            )
        network = self.network_  # on the CPU, as in `sample`

        def to_rows(z):
            return to_array(network.inverse(z.float()), self.input_shape_)

        return map_batches(to_rows, Z, torch.device("cpu"), row_axis=0)

    @property
    def _n_features_out(self):
        return math.prod(self.input_shape_)


def continuous_coordinates(X, kind):
    """The module that makes training rows X of that kind continuous."""
    loc, scale = standardisation(X)
    if kind == "real":
        return StandardizedReals(loc, scale)
    return DequantizedPixels(loc, scale, white=255.0 if kind == "bytes" else 1.0)
