"""Invertible maps with log-determinants."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["RankOneAffine"]


@dataclass(frozen=True)
class RankOneAffine:
    """z = shift + (diag(d) + u u') epsilon, for each row its own.

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

    def forward(self, epsilon: Tensor) -> Tensor:
        """From the base space to the latent, shape (n, units)."""
        # Products row by row: the gradient of a broadcast sum has other last bits at other places.
        along = self.direction[:, None, :] @ epsilon[:, :, None]
        rank_one = (self.direction[:, :, None] @ along)[:, :, 0]
        return self.shift + self.diagonal * epsilon + rank_one

    def inverse(self, z: Tensor) -> Tensor:
        """From the latent to the base space, shape (n, units)."""
        centred = (z - self.shift) / self.diagonal
        along = (self.direction * centred).sum(1, keepdim=True) / self._lemma()[:, None]
        return centred - self.direction / self.diagonal * along

    def log_det(self) -> Tensor:
        """log |dz / d epsilon| of each row, shape (n,)."""
        return self.diagonal.log().sum(1) + self._lemma().log()

    def _lemma(self) -> Tensor:
        return 1 + (self.direction.square() / self.diagonal).sum(1)
