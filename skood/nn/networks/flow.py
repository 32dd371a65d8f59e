"""The network of a flow: from data to base variables and a log-likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from skood.core.noise import Noise
from skood.core.terms import Terms
from skood.nn.bijections.base import Bijection
from skood.nn.dequantization import Coordinates
from skood.nn.layers import InitialisedFromData, Shape

__all__ = ["ActNormFlowNetwork", "FlowNetwork"]


class FlowNetwork(nn.Module):
    """x, in real coordinates, through a bijection to independent base variables.

    Parameters
    ----------
    x_shape : tuple of int
        (features,) or (channels, height, width).
    coordinates : Coordinates
    bijection : Bijection
        From coordinates (n, ...) to base variables with as many values.
    base : {"normal", "logistic"}
        Distribution of each base variable.
    base_shapes : sequence of tuples of int, or None
        Of the maps that the base variables are made of, see `skood.core.protocols.KnownBase`. None
        is a vector without an order.
    """

    def __init__(
        self,
        x_shape: Shape,
        coordinates: Coordinates,
        bijection: Bijection,
        base: str,
        base_shapes: Sequence[Shape] | None = None,
    ):
        super().__init__()
        self.x_shape = x_shape
        self.coordinates = coordinates
        self.bijection = bijection
        self.base = base
        self.base_shapes = [(math.prod(x_shape),)] if base_shapes is None else list(base_shapes)

    @property
    def max_log_px(self) -> float:
        return self.coordinates.max_log_px

    def terms(self, x: Tensor, noise: Noise) -> Terms:
        epsilon, log_det = self._forward(x, noise)
        return Terms(_LOG_DENSITY[self.base](epsilon).sum(1) + log_det)

    def transform(self, x: Tensor, noise: Noise) -> Tensor:
        """Base variables of each row, shape (n, values)."""
        return self._forward(x, noise)[0]

    def inverse(self, epsilon: Tensor) -> Tensor:
        """From base variables to x on the scale of the data, shape (n, ...)."""
        return self.coordinates.inverse(self.bijection.inverse(epsilon))

    def sample(self, n: int, noise: Noise) -> Tensor:
        shape = (n, math.prod(self.x_shape))
        if self.base == "normal":
            epsilon = noise.normal("base", shape)
        else:
            uniform = noise.uniform("base", shape).clamp(1e-7, 1 - 1e-7)
            epsilon = uniform.log() - (-uniform).log1p()
        return self.inverse(epsilon.to(next(self.parameters()).dtype))

    def _forward(self, x: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        y, log_det = self.coordinates(x, noise)
        dtype = next(self.parameters()).dtype
        epsilon, log_det_of_flow = self.bijection(y.to(dtype))
        return epsilon.flatten(1), log_det.to(dtype) + log_det_of_flow


class ActNormFlowNetwork(InitialisedFromData, FlowNetwork):
    """A flow with `ActNorm` layers, which a first batch sets."""


def _normal(x: Tensor) -> Tensor:
    return -0.5 * (x.square() + math.log(2 * math.pi))


def _logistic(x: Tensor) -> Tensor:
    return -F.softplus(x) - F.softplus(-x)


_LOG_DENSITY = {"normal": _normal, "logistic": _logistic}
