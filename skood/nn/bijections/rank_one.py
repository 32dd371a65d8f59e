"""Affine maps whose matrix is a positive diagonal plus one of rank one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from skood.nn.bijections.base import Bijection

__all__ = ["RankOneAffine", "RankOneParameters", "RankOneStandardization"]


class RankOneParameters(NamedTuple):
    """shift + (diag(d) + u u') x, for each row its own.

    The matrix is positive definite, hence the map can be inverted.

    Attributes
    ----------
    shift, diagonal, direction : Tensor of shape (n, units)
        The diagonal d is positive; the direction u is anything.

    Notes
    -----
    The self-reflective VAE's "positive diagonal plus unit-rank affine transformation" (section
    5.2.1). Inverse by Sherman and Morrison, determinant by the matrix determinant lemma.
    """

    shift: Tensor
    diagonal: Tensor
    direction: Tensor

    def multiply(self, x: Tensor) -> Tensor:
        """The map of x, shape (n, units)."""
        # Products row by row: the gradient of a sum over broadcast rows would be rounded
        # differently at different places of a batch.
        along = self.direction[:, None, :] @ x[:, :, None]
        rank_one = (self.direction[:, :, None] @ along)[:, :, 0]
        return self.shift + self.diagonal * x + rank_one

    def solve(self, y: Tensor) -> Tensor:
        """The x of which y is the map, shape (n, units)."""
        centred = (y - self.shift) / self.diagonal
        along = (self.direction * centred).sum(1, keepdim=True) / self._lemma()[:, None]
        return centred - self.direction / self.diagonal * along

    def log_det(self) -> Tensor:
        """log |dy / dx| of each row, shape (n,)."""
        return self.diagonal.log().sum(1) + self._lemma().log()

    def _lemma(self) -> Tensor:
        return 1 + (self.direction.square() / self.diagonal).sum(1)


class RankOneAffine(Bijection):
    """y = shift + (diag(d) + u u') x, with parameters that depend on the context.

    Parameters
    ----------
    conditioner : module
        From the context to `RankOneParameters`.
    """

    def __init__(self, conditioner: nn.Module):
        super().__init__()
        self.conditioner: Callable[[Any], RankOneParameters] = conditioner

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        affine = self.conditioner(context)
        return affine.multiply(x), affine.log_det()

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        return self.conditioner(context).solve(y)


class RankOneStandardization(RankOneAffine):
    """The inverse of `RankOneAffine`: from a Gaussian of that mean and scale to a standard one."""

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        affine = self.conditioner(context)
        return affine.solve(x), -affine.log_det()

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        return self.conditioner(context).multiply(y)
