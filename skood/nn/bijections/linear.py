"""Linear maps that mix the channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skood.nn.bijections.base import Bijection
from skood.nn.layers import product_with_columns

__all__ = ["InvertibleConvolution"]


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

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        lower, upper = self.factors()
        # One factor at a time, so that the gradients with respect to them are as independent of
        # other rows and of threads.
        columns = x.transpose(0, 1).flatten(1)
        for factor in (upper, lower, self.permutation):
            columns = product_with_columns(factor, columns)
        log_det = self.log_diagonal.sum() * x[0, 0].numel()
        return self._rows(columns, x), log_det.expand(x.shape[0])

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
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
