"""Causal convolutions, of lines above a pixel or of pixels to its left, and the stacks of these.

There are no masks: a causal kernel is a smaller one over an image with a border on one side. So
nothing is computed that a mask would cancel, and the layers that own weights are torch's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skood.nn.layers import Shape

__all__ = ["CausalConvolution", "HorizontalStack", "VerticalStack"]

# How far kernels reach to each side that they see: 7 x 7 and 3 x 3 with masks.
_FIRST_REACH, _REACH = 3, 1


class CausalConvolution(nn.Module):
    """A convolution over an image with a border of its own on each side; the size stays the same.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    kernel : tuple of int
        Height and width.
    border : tuple of int
        Zeros to the left, to the right, above and below; a negative number cuts off.
    """

    def __init__(
        self, n_in: int, n_out: int, kernel: tuple[int, int], border: tuple[int, int, int, int]
    ):
        super().__init__()
        self.border = border
        self.convolution = nn.Conv2d(n_in, n_out, kernel)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(F.pad(x, self.border))


def _of_lines_above(n_in: int, n_out: int, reach: int, own: bool) -> CausalConvolution:
    """Sees lines above a pixel, to both sides of it, and its ``own`` line or not."""
    kernel = reach + own, 2 * reach + 1
    return CausalConvolution(n_in, n_out, kernel, (reach, reach, reach, own - 1))


def _of_pixels_before(n_in: int, n_out: int, reach: int, own: bool) -> CausalConvolution:
    """Sees the pixels to the left of a pixel, and the pixel's ``own`` place or not."""
    return CausalConvolution(n_in, n_out, (1, reach + own), (reach, own - 1, 0, 0))


class VerticalStack(nn.Module):
    """What the lines above a pixel say of it: for each layer, features for the `HorizontalStack`.

    Parameters
    ----------
    n_channels : int
        Of the image.
    sides : tuple of int
        Height and width of the image.
    width, n_layers : int
        Channels of the features, and how many layers.
    """

    def __init__(self, n_channels: int, sides: Sequence[int], width: int, n_layers: int):
        super().__init__()
        self.first = _of_lines_above(n_channels, 2 * width, _FIRST_REACH, own=False)
        self.place = PlaceBias((2 * width, *sides))
        self.others = nn.ModuleList(
            _of_lines_above(width, 2 * width, _REACH, own=True) for _ in range(n_layers - 1)
        )
        self.across = nn.ModuleList(nn.Conv2d(2 * width, 2 * width, 1) for _ in range(n_layers))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Of the image, or of its first lines alone."""
        features = [self.place(self.first(image))]
        for convolution in self.others:
            features.append(convolution(_gated(features[-1])))
        return [across(f) for across, f in zip(self.across, features, strict=True)]


class HorizontalStack(nn.Module):
    """Features of all pixels before each pixel: those to its left, and the lines above.

    Parameters
    ----------
    n_channels, width, n_layers : int
        As in `VerticalStack`.
    """

    def __init__(self, n_channels: int, width: int, n_layers: int):
        super().__init__()
        self.first = _of_pixels_before(n_channels, 2 * width, _FIRST_REACH, own=False)
        self.others = nn.ModuleList(
            _of_pixels_before(width, 2 * width, _REACH, own=True) for _ in range(n_layers - 1)
        )
        self.out = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(n_layers))

    def forward(self, image: Tensor, from_above: Sequence[Tensor]) -> Tensor:
        """Of the image, or of some of its lines, for which ``from_above`` then is."""
        features = self.out[0](_gated(self.first(image) + from_above[0]))
        rest = zip(self.others, self.out[1:], from_above[1:], strict=True)
        for convolution, out, above in rest:
            features = features + out(_gated(convolution(features) + above))
        return features


class PlaceBias(nn.Module):
    """Adds a learned number to each value, which tells where in the image it is.

    Parameters
    ----------
    shape : tuple of int
        (channels, height, width).
    """

    def __init__(self, shape: Shape):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """For all lines, or the first ones."""
        return x + self.bias[:, : x.shape[2]]


def _gated(features: Tensor) -> Tensor:
    content, gate = features.chunk(2, dim=1)
    return torch.tanh(content) * torch.sigmoid(gate)
