"""The interface of the invertible layers.

Every layer is called with x, shape (n, ...), and returns y and log |dy / dx| of each row, shape
(n,); ``inverse(y)`` gives x back.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

__all__ = ["Bijection", "Chain"]


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
