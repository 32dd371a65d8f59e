"""Affine couplings: one part of a row scales and shifts the other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from skood.nn.bijections.base import Bijection
from skood.nn.layers import Linear

__all__ = ["AlternatingCoupling", "ChannelCoupling", "bounded", "zero_initialised"]

LARGEST_LOG_SCALE = 2.0


class _AffineCoupling(Bijection):
    """One part of x scales and shifts the other: y_b = (x_b + t(x_a)) exp(s(x_a)).

    The logarithm s is bounded by a hyperbolic tangent, which keeps the inverse exact.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        condition, changed = self._split(x)
        shift, log_scale = self._parameters_for(condition)
        y = self._merge(condition, (changed + shift) * log_scale.exp(), x)
        return y, log_scale.flatten(1).sum(1)

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        condition, changed = self._split(y)
        shift, log_scale = self._parameters_for(condition)
        return self._merge(condition, changed * (-log_scale).exp() - shift, y)

    def _parameters_for(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = self.network(condition).chunk(2, dim=1)
        return shift, bounded(raw)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def _merge(self, condition: Tensor, changed: Tensor, like: Tensor) -> Tensor:
        raise NotImplementedError


class ChannelCoupling(_AffineCoupling):
    """The first half of the channels changes the second; the network is convolutional."""

    def __init__(self, n_channels: int, width: int, n_hidden_layers: int):
        self.n_conditions = n_channels // 2
        n_out = 2 * (n_channels - self.n_conditions)
        layers: list[nn.Module] = [nn.Conv2d(self.n_conditions, width, 3, padding=1), nn.ReLU()]
        for _ in range(n_hidden_layers - 1):
            layers += [nn.Conv2d(width, width, 1), nn.ReLU()]
        super().__init__(
            nn.Sequential(*layers, zero_initialised(nn.Conv2d(width, n_out, 3, padding=1)))
        )

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, : self.n_conditions], x[:, self.n_conditions :]

    def _merge(self, condition: Tensor, changed: Tensor, like: Tensor) -> Tensor:
        return torch.cat([condition, changed], dim=1)


class AlternatingCoupling(_AffineCoupling):
    """Every second value changes those between, x being taken as one vector.

    Parameters
    ----------
    n_values : int
        At least 2.
    parity : {0, 1}
        Whether the values at even places, or those at odd ones, stay as they are.
    width, n_hidden_layers : int
        Of the multilayer perceptron.
    """

    def __init__(self, n_values: int, parity: int, width: int, n_hidden_layers: int):
        self.parity = parity
        n_conditions = len(range(parity, n_values, 2))
        sizes = [n_conditions, *[width] * n_hidden_layers]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [Linear(n_in, n_out), nn.ReLU()]
        last = zero_initialised(Linear(sizes[-1], 2 * (n_values - n_conditions)))
        super().__init__(nn.Sequential(*layers, last))

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        values = x.flatten(1)
        return values[:, self.parity :: 2], values[:, 1 - self.parity :: 2]

    def _merge(self, condition: Tensor, changed: Tensor, like: Tensor) -> Tensor:
        even, odd = (changed, condition) if self.parity else (condition, changed)
        n_pairs = odd.shape[1]
        pairs = torch.stack([even[:, :n_pairs], odd], dim=2).flatten(1)
        return torch.cat([pairs, even[:, n_pairs:]], dim=1).reshape(like.shape)


def bounded(log_scale: Tensor) -> Tensor:
    """Between -`LARGEST_LOG_SCALE` and that, and the same near 0."""
    return LARGEST_LOG_SCALE * torch.tanh(log_scale / LARGEST_LOG_SCALE)


def zero_initialised(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    """A layer whose outputs are all zero before training: a flow starts as a linear map."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
