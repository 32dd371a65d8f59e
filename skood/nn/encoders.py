"""Encoders and decoders that turn all of x into one vector for each layer, and back."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skood.nn.layers import Linear, ResidualBlock, Shape, adapter

__all__ = ["ImageDecoder", "ImageEncoders", "VectorDecoder", "VectorEncoders", "mlp"]


def mlp(n_in: int, width: int, n_out: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Two hidden layers, with the initialisation of Glorot & Bengio 2010.

    torch's own starts with outputs that hardly depend on the inputs; a chain of such networks
    learns to use one unit in ten.
    """
    linears = [Linear(n_in, width), Linear(width, width), Linear(width, n_out)]
    for linear in linears:
        nn.init.xavier_normal_(linear.weight)
        nn.init.zeros_(linear.bias)
    return nn.Sequential(linears[0], activation(), linears[1], activation(), linears[2])


class VectorEncoders(nn.Module):
    """One `mlp` of x for each of several layers, all evaluated at once; a list of (n, n_out)."""

    def __init__(self, shape_in: Shape, n_out: int, n_layers: int, width: int):
        super().__init__()
        singles = [mlp(math.prod(shape_in), width, n_out) for _ in range(n_layers)]
        self.first = Linear(math.prod(shape_in), n_layers * width)
        with torch.no_grad():
            weights = [cast(nn.Linear, single[0]).weight for single in singles]
            self.first.weight.copy_(torch.cat(weights))
            self.first.bias.zero_()
        self.second_weight, self.second_bias = _stacked(singles, 2)
        self.third_weight, self.third_bias = _stacked(singles, 4)

    def forward(self, x: Tensor) -> list[Tensor]:
        n_layers = len(self.second_weight)
        hidden = F.relu(self.first(x.flatten(1))).unflatten(1, (n_layers, -1)).transpose(0, 1)
        # The rows lie along the last axis: see `Linear`.
        hidden = hidden.mT
        hidden = F.relu(torch.baddbmm(self.second_bias.mT, self.second_weight.mT, hidden))
        return list(torch.baddbmm(self.third_bias.mT, self.third_weight.mT, hidden).mT)


def _stacked(singles: list[nn.Sequential], index: int) -> tuple[nn.Parameter, nn.Parameter]:
    """One linear layer of each: weights (n_layers, n_in, n_out), biases (n_layers, 1, n_out)."""
    layers = [cast(nn.Linear, single[index]) for single in singles]
    weights = torch.stack([layer.weight.detach().T for layer in layers])
    biases = torch.stack([layer.bias.detach()[None] for layer in layers])
    return nn.Parameter(weights), nn.Parameter(biases)


class VectorDecoder(nn.Sequential):
    """Two hidden layers, twice as wide, to the parameters of p(x | z)."""

    def __init__(self, n_in: int, shape_out: Shape, width: int):
        super().__init__(mlp(n_in, 2 * width, math.prod(shape_out)), nn.Unflatten(1, shape_out))


class ImageEncoders(nn.Module):
    """For each layer two residual blocks that halve the sides, then one linear layer."""

    def __init__(self, shape_in: Shape, n_out: int, n_layers: int, width: int):
        super().__init__()
        self.encoders = nn.ModuleList(
            self._encoder(shape_in, n_out, width) for _ in range(n_layers)
        )

    @staticmethod
    def _encoder(shape_in: Shape, n_out: int, width: int) -> nn.Sequential:
        narrow, wide = max(1, width // 16), max(1, width // 8)
        shapes = _pyramid(shape_in, narrow, wide)
        return nn.Sequential(
            adapter(shape_in, shapes[0]),
            ResidualBlock(shapes[0], shapes[1], 3),
            adapter(shapes[1], shapes[2]),
            ResidualBlock(shapes[2], shapes[3], 3),
            nn.ReLU(),
            adapter(shapes[3], (n_out,)),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        return [encoder(x) for encoder in self.encoders]


class ImageDecoder(nn.Sequential):
    """The mirror image of one of `ImageEncoders`, twice as wide."""

    def __init__(self, n_in: int, shape_out: Shape, width: int):
        narrow, wide = max(1, width // 8), max(1, width // 4)
        shapes = _pyramid(shape_out, narrow, wide)
        super().__init__(
            adapter((n_in,), shapes[3]),
            ResidualBlock(shapes[3], shapes[2], 3),
            adapter(shapes[2], shapes[1]),
            ResidualBlock(shapes[1], shapes[0], 3),
            nn.ReLU(),
            adapter(shapes[0], shape_out),
        )


def _pyramid(shape: Shape, narrow: int, wide: int) -> list[Shape]:
    height, width = shape[1:]
    return [
        (narrow, height, width),
        (narrow, height // 2, width // 2),
        (wide, height // 2, width // 2),
        (wide, height // 4, width // 4),
    ]
