"""Maps that only change the shape of a row."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from skood.nn.bijections.base import Bijection
from skood.nn.layers import Shape

__all__ = ["Flatten", "Squeeze"]


class Squeeze(Bijection):
    """Patches of side x side pixels become channels."""

    def __init__(self, side: int):
        super().__init__()
        self.side = side

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        return F.pixel_unshuffle(x, self.side), x.new_zeros(x.shape[0])

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        return F.pixel_shuffle(y, self.side)


class Flatten(Bijection):
    """Rows of ``shape`` become vectors."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        return x.flatten(1), x.new_zeros(x.shape[0])

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        return y.reshape(-1, *self.shape)
