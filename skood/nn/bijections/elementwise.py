"""Affine maps with learned constants for each channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skood.nn.bijections.base import Bijection
from skood.nn.layers import DataDependent

__all__ = ["ActNorm", "ElementwiseAffine"]


class ActNorm(Bijection, DataDependent):
    """y = (x + shift) exp(log_scale), for each channel; the first batch sets both.

    So that its y have zero mean and unit variance (Kingma & Dhariwal 2018, section 3.1).
    """

    def __init__(self, n_channels: int):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(n_channels))
        self.log_scale = nn.Parameter(torch.zeros(n_channels))

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        if self.initialising:
            std, mean = torch.std_mean(x.transpose(0, 1).flatten(1), dim=1, correction=0)
            self.shift.copy_(-mean)
            self.log_scale.copy_(-torch.where(std > 1e-6, std, torch.ones_like(std)).log())
        shift, log_scale = self._broadcast(x)
        log_det = self.log_scale.sum() * x[0, 0].numel()
        return (x + shift) * log_scale.exp(), log_det.expand(x.shape[0])

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        shift, log_scale = self._broadcast(y)
        return y * (-log_scale).exp() - shift

    def _broadcast(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1,) + (1,) * (x.ndim - 2)
        return self.shift.view(shape), self.log_scale.view(shape)


class ElementwiseAffine(Bijection):
    """epsilon = (z - mean) / std of a Gaussian whose parameters are learned, for each channel."""

    def __init__(self, n_channels: int):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_channels, 1, 1))
        self.log_std = nn.Parameter(torch.zeros(n_channels, 1, 1))

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        log_det = -self.log_std.sum() * x[0, 0].numel()
        return (x - self.mean) * (-self.log_std).exp(), log_det.expand(x.shape[0])

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        return y * self.log_std.exp() + self.mean
