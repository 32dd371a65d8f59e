"""The linear map to the principal axes of the data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skood.nn.bijections.base import Bijection
from skood.nn.layers import product_with_columns

__all__ = ["PrincipalAxes"]


class PrincipalAxes(Bijection):
    """y = A (x - mean) / std: each row as one vector, whitened along orthogonal axes.

    With a standard normal y, x is Gaussian with any mean and covariance.

    Attributes
    ----------
    mean, log_std : Parameter of shape (n_values,)
        Of x, and of A (x - mean).
    axes : Tensor of shape (n_values, n_values)
        A, orthogonal: one axis in each row.
    """

    def __init__(self, n_values: int):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n_values))
        self.log_std = nn.Parameter(torch.zeros(n_values))
        self.axes: Tensor
        self.register_buffer("axes", torch.eye(n_values))

    def project(self, x: Tensor) -> Tensor:
        """A (x - mean), shape (n, n_values)."""
        return product_with_columns(self.axes, (x.flatten(1) - self.mean).mT).mT

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        y = self.project(x) * (-self.log_std).exp()
        return y, -self.log_std.sum().expand(x.shape[0])

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        return (y * self.log_std.exp()) @ self.axes + self.mean

    @torch.no_grad()
    def set_moments(self, mean: Tensor, covariance: Tensor, noise_std: float) -> None:
        """Whiten x with this mean (n_values,) and covariance, float64, and with noise added."""
        variances, axes = torch.linalg.eigh(covariance)
        # Rounding makes some of a singular covariance negative.
        variances = variances.clamp(min=0) + noise_std**2
        self.mean.copy_(mean)
        self.log_std.copy_(0.5 * variances.log())
        self.axes.copy_(axes.mT)
