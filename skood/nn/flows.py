"""Invertible layers.

Every layer is called with x, shape (n, ...), and returns y and log |dy / dx| of each row, shape
(n,); ``inverse(y)`` gives x back.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skood.nn.blocks import Shape

__all__ = [
    "ActNorm",
    "Bijection",
    "Chain",
    "Flatten",
    "InvertibleConvolution",
    "Squeeze",
    "Whiten",
]


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
