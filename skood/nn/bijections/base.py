"""The interface of all invertible maps.

A bijection is called with x, shape (n, ...), and a context, and returns y and log |dy / dx| of each
row, shape (n,); ``inverse(y, context)`` gives x back. A conditional bijection is a map of its own
for each row of the context; the others ignore it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

__all__ = ["Bijection", "Chain"]


class Bijection(nn.Module):
    """Base of the invertible maps."""

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        """From x to y, and log |dy / dx| of each row, shape (n,).

        A subclass says what its context is, a tensor (n, ...) for most.
        """
        raise NotImplementedError

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        """From y back to x."""
        raise NotImplementedError


class Chain(Bijection):
    """One bijection after the other, all with the same context."""

    def __init__(self, bijections: Iterable[Bijection]):
        super().__init__()
        self.bijections = nn.ModuleList(bijections)

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(x.shape[0])
        for bijection in self.bijections:
            x, log_det = bijection(x, context)
            total = total + log_det
        return x, total

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        for bijection in reversed(self.bijections):
            y = bijection.inverse(y, context)  # type: ignore[operator]
        return y
