"""A multi-scale flow: half of the channels become base variables after each level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skood.nn.bijections.base import Bijection
from skood.nn.bijections.couplings import bounded, zero_initialised
from skood.nn.bijections.elementwise import ElementwiseAffine
from skood.nn.layers import Shape

__all__ = ["MultiScale"]


class MultiScale(Bijection):
    """Levels, after each of which but the last half of the channels leaves the flow.

    What leaves is Gaussian given what stays, with a mean and a standard deviation that a
    convolution predicts; likewise the channels that are left in the end, with learned constants
    (Kingma & Dhariwal 2018, their published code). Taken as a standardisation that is one more
    affine coupling, so the whole is one bijection to standard normal numbers.

    Parameters
    ----------
    levels : sequence of Bijection
        Each takes a map of half the channels (rounded down) that the level before gives. All get
        the same context.
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
            zero_initialised(nn.Conv2d(kept, 2 * shape[0], 3, padding=1))
            for kept, shape in zip(self.kept, leaving, strict=True)
        )
        self.top = ElementwiseAffine(shapes[-1][0])

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        left, total = [], x.new_zeros(x.shape[0])
        for i, level in enumerate(self.levels):
            x, log_det = level(x, context)
            total = total + log_det
            if i < len(self.priors):
                x, leaving = x.tensor_split([self.kept[i]], dim=1)
                mean, log_std = self._prior(i, x)
                left.append(((leaving - mean) * (-log_std).exp()).flatten(1))
                total = total - log_std.flatten(1).sum(1)
        x, log_det = self.top(x)
        return torch.cat([*left, x.flatten(1)], dim=1), total + log_det

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
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
            x = self.levels[i].inverse(x, context)  # type: ignore[operator]
        return x

    def _prior(self, i: int, kept: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self.priors[i](kept).chunk(2, dim=1)
        return mean, bounded(raw)
