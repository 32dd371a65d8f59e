"""Invertible layers, and a multi-scale flow made of them.

Every layer is called with x, shape (n, ...), and returns y and log |dy / dx| of each row, shape
(n,); ``inverse(y)`` gives x back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skood.nn.blocks import Linear, Shape

__all__ = [
    "ActNorm",
    "AlternatingCoupling",
    "Bijection",
    "Chain",
    "ChannelCoupling",
    "Flatten",
    "InvertibleConvolution",
    "MultiScale",
    "Squeeze",
    "Whiten",
]


LARGEST_LOG_SCALE = 2.0


class Bijection(nn.Module):
    """Base of the invertible layers."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def inverse(self, y: Tensor) -> Tensor:
        """From y back to x."""
        raise NotImplementedError


class Chain(Bijection):
    """One bijection after the other."""

    def __init__(self, bijections: Iterable[Bijection]):
        super().__init__()
        self.bijections = nn.ModuleList(bijections)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for bijection in self.bijections:
            x, log_det = bijection(x)
            total = total + log_det
        return x, total

    def inverse(self, y: Tensor) -> Tensor:
        for bijection in reversed(self.bijections):
            y = bijection.inverse(y)  # type: ignore[operator]
        return y


class ActNorm(Bijection):
    """y = (x + shift) exp(log_scale), for each channel; the first batch sets both.

    So that its y have zero mean and unit variance (Kingma & Dhariwal 2018, section 3.1).
    """

    def __init__(self, n_channels: int):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(n_channels))
        self.log_scale = nn.Parameter(torch.zeros(n_channels))
        self.initialising = False

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.initialising:
            std, mean = torch.std_mean(x.transpose(0, 1).flatten(1), dim=1, correction=0)
            self.shift.copy_(-mean)
            self.log_scale.copy_(-torch.where(std > 1e-6, std, torch.ones_like(std)).log())
        shift, log_scale = self._broadcast(x)
        log_det = self.log_scale.sum() * x[0, 0].numel()
        return (x + shift) * log_scale.exp(), log_det.expand(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        shift, log_scale = self._broadcast(y)
        return y * (-log_scale).exp() - shift

    def _broadcast(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1,) + (1,) * (x.ndim - 2)
        return self.shift.view(shape), self.log_scale.view(shape)


class InvertibleConvolution(Bijection):
    """A 1x1 convolution with the weights P L (U + diag(s)) (Kingma & Dhariwal 2018, eq. 10).

    For a vector, an invertible linear layer. The permutation P and the signs of s are fixed.
    """

    def __init__(self, n_channels: int):
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(n_channels, n_channels))
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.permutation: Tensor
        self.sign: Tensor
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(diagonal.abs().log())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = self.factors()
        # The rows lie along the last axis: see `skood.nn.blocks.Linear`. One factor at a time, so
        # that this holds for the gradients with respect to them as well.
        columns = self.permutation @ (lower @ (upper @ x.transpose(0, 1).flatten(1)))
        log_det = self.log_diagonal.sum() * x[0, 0].numel()
        return self._rows(columns, x), log_det.expand(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        lower, upper = self.factors()
        columns = self.permutation.mT @ y.transpose(0, 1).flatten(1)
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        columns = torch.linalg.solve_triangular(upper, columns, upper=True)
        return self._rows(columns, y)

    def factors(self) -> tuple[Tensor, Tensor]:
        """L and U + diag(s)."""
        identity = torch.eye(len(self.sign), dtype=self.lower.dtype, device=self.lower.device)
        diagonal = torch.diag(self.sign * self.log_diagonal.exp())
        return self.lower.tril(-1) + identity, self.upper.triu(1) + diagonal

    @staticmethod
    def _rows(columns: Tensor, like: Tensor) -> Tensor:
        n, n_channels, *rest = like.shape
        return columns.reshape(n_channels, n, *rest).transpose(0, 1)


class _AffineCoupling(Bijection):
    """One part of x scales and shifts the other: y_b = (x_b + t(x_a)) exp(s(x_a)).

    The logarithm s is bounded by a hyperbolic tangent, which keeps the inverse exact.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        condition, changed = self._split(x)
        shift, log_scale = self._parameters_for(condition)
        y = self._merge(condition, (changed + shift) * log_scale.exp(), x)
        return y, log_scale.flatten(1).sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        condition, changed = self._split(y)
        shift, log_scale = self._parameters_for(condition)
        return self._merge(condition, changed * (-log_scale).exp() - shift, y)

    def _parameters_for(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = self.network(condition).chunk(2, dim=1)
        return shift, _bounded(raw)

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
        super().__init__(nn.Sequential(*layers, _silent(nn.Conv2d(width, n_out, 3, padding=1))))

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
        last = _silent(Linear(sizes[-1], 2 * (n_values - n_conditions)))
        super().__init__(nn.Sequential(*layers, last))

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        values = x.flatten(1)
        return values[:, self.parity :: 2], values[:, 1 - self.parity :: 2]

    def _merge(self, condition: Tensor, changed: Tensor, like: Tensor) -> Tensor:
        even, odd = (changed, condition) if self.parity else (condition, changed)
        n_pairs = odd.shape[1]
        pairs = torch.stack([even[:, :n_pairs], odd], dim=2).flatten(1)
        return torch.cat([pairs, even[:, n_pairs:]], dim=1).reshape(like.shape)


class Squeeze(Bijection):
    """Patches of side x side pixels become channels."""

    def __init__(self, side: int):
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return F.pixel_unshuffle(x, self.side), x.new_zeros(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        return F.pixel_shuffle(y, self.side)


class Flatten(Bijection):
    """Rows of ``shape`` become vectors."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.flatten(1), x.new_zeros(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        return y.reshape(-1, *self.shape)


class Whiten(Bijection):
    """epsilon = (z - mean) / std of a Gaussian whose parameters are learned, for each channel."""

    def __init__(self, n_channels: int):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_channels, 1, 1))
        self.log_std = nn.Parameter(torch.zeros(n_channels, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_det = -self.log_std.sum() * x[0, 0].numel()
        return (x - self.mean) * (-self.log_std).exp(), log_det.expand(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        return y * self.log_std.exp() + self.mean


class MultiScale(Bijection):
    """Levels, after each of which but the last half of the channels leaves the flow.

    What leaves is Gaussian given what stays, with a mean and a standard deviation that a
    convolution predicts; likewise the channels that are left in the end, with learned constants
    (Kingma & Dhariwal 2018, their published code). Taken as a standardisation that is one more
    affine coupling, so the whole is one bijection to standard normal numbers.

    Parameters
    ----------
    levels : sequence of Bijection
        Each takes a map of half the channels (rounded down) that the level before gives.
    shapes : sequence of (channels, height, width)
        What each level gives.
    """

    def __init__(self, levels: Sequence[Bijection], shapes: Sequence[Shape]):
        super().__init__()
        self.levels = nn.ModuleList(levels)
        self.kept = [shape[0] // 2 for shape in shapes[:-1]]
        leaving = [(c - kept, *sides) for (c, *sides), kept in zip(shapes, self.kept, strict=False)]
        self.left_shapes = [*leaving, shapes[-1]]
        self.priors = nn.ModuleList(
            _silent(nn.Conv2d(kept, 2 * shape[0], 3, padding=1))
            for kept, shape in zip(self.kept, leaving, strict=True)
        )
        self.top = Whiten(shapes[-1][0])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        left, total = [], x.new_zeros(len(x))
        for i, level in enumerate(self.levels):
            x, log_det = level(x)
            total = total + log_det
            if i < len(self.priors):
                x, leaving = x.tensor_split([self.kept[i]], dim=1)
                mean, log_std = self._prior(i, x)
                left.append(((leaving - mean) * (-log_std).exp()).flatten(1))
                total = total - log_std.flatten(1).sum(1)
        x, log_det = self.top(x)
        return torch.cat([*left, x.flatten(1)], dim=1), total + log_det

    def inverse(self, y: Tensor) -> Tensor:
        sizes = [math.prod(shape) for shape in self.left_shapes]
        left = [
            part.reshape(-1, *shape)
            for part, shape in zip(y.split(sizes, dim=1), self.left_shapes, strict=True)
        ]
        x = self.top.inverse(left.pop())
        for i in reversed(range(len(self.levels))):
            if i < len(self.priors):
                mean, log_std = self._prior(i, x)
                x = torch.cat([x, left.pop() * log_std.exp() + mean], dim=1)
            x = self.levels[i].inverse(x)  # type: ignore[operator]
        return x

    def _prior(self, i: int, kept: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self.priors[i](kept).chunk(2, dim=1)
        return mean, _bounded(raw)


def _bounded(log_scale: Tensor) -> Tensor:
    return LARGEST_LOG_SCALE * torch.tanh(log_scale / LARGEST_LOG_SCALE)


def _silent(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    """A layer whose outputs are all zero before training: a flow starts as a linear map."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
