"""Layers between features of any shape, and stages made of them.

A shape is that of one row: ``(units,)`` for a vector, ``(channels, height, width)`` for a map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skood.core.noise import Noise

__all__ = [
    "DataDependent",
    "InitialisedFromData",
    "Join",
    "Linear",
    "ResidualBlock",
    "Stage",
    "WeightNorm",
    "adapter",
    "product_with_columns",
]

Shape = tuple[int, ...]


# With 5 to 11 rows in the left factor, MKL adds up in another order on two threads than on one.
_AWKWARD = range(5, 12)


def product_with_columns(weight: Tensor, columns: Tensor) -> Tensor:
    """``weight @ columns``, (..., n_in, n), where each column belongs to one row of a batch.

    Bitwise equal for a row at any place in a batch, and for any number of threads, backwards too.
    MKL multiplies a few rows at a time, and some in another order than others: with the rows of a
    batch along its lanes, all are treated alike. Factors of a few rows are filled up by zeros, also
    the transposed weight, which is the factor on the way back.
    """
    n_out, n_in = (12 if n in _AWKWARD else n for n in weight.shape)
    if not torch.is_grad_enabled():
        n_in = weight.shape[1]
    missing = n_out - weight.shape[0], n_in - weight.shape[1]
    if not any(missing):
        return weight @ columns
    filled = F.pad(weight, (0, missing[1], 0, missing[0]))
    return (filled @ F.pad(columns, (0, 0, 0, missing[1])))[..., : len(weight), :]


class Linear(nn.Linear):
    """A linear layer whose result in evaluation is that of `product_with_columns`."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        y = product_with_columns(self.weight, x.mT).mT
        return y if self.bias is None else y + self.bias


class DataDependent(nn.Module):
    """Base of the layers that set their parameters on a batch that they see, where asked to.

    Attributes
    ----------
    initialising : bool
        Whether the next call does so.
    """

    initialising = False


class InitialisedFromData(nn.Module):
    """Mixin for networks, with a method ``terms``, that have `DataDependent` layers."""

    def initialise_from_data(self, x: Tensor, noise: Noise) -> None:
        """Let these layers set themselves on a first batch, in one pass."""
        layers = [module for module in self.modules() if isinstance(module, DataDependent)]
        for layer in layers:
            layer.initialising = True
        self.terms(x, noise)  # type: ignore[operator]
        for layer in layers:
            layer.initialising = False


class WeightNorm(DataDependent):
    """Weight normalisation with data-dependent initialisation (Salimans & Kingma 2016).

    The gain acts on the output, which is the same as on the weights, for any linear layer.
    torch's own parametrisation cannot be pickled.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        super().__init__()
        transposed = isinstance(layer, nn.ConvTranspose2d)
        self.reduced_axes = [0, 2, 3] if transposed else list(range(1, layer.weight.ndim))
        self.layer = layer
        layer.bias = None
        nn.init.normal_(layer.weight, std=0.05)
        with torch.no_grad():
            self.gain = nn.Parameter(self._norm().clone())
        self.bias = nn.Parameter(torch.zeros_like(self.gain))

    def _norm(self) -> Tensor:
        weight = self.layer.weight
        return torch.linalg.vector_norm(weight, dim=self.reduced_axes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        to_channels = (-1,) + (1,) * (y.ndim - 2)
        if self.initialising:
            std, mean = torch.std_mean(y.transpose(0, 1).flatten(1), dim=1, correction=0)
            std = torch.where(std > 1e-6, std, torch.ones_like(std))
            self.gain.copy_(self._norm() / std)
            self.bias.copy_(-mean / std)
        scale = (self.gain / self._norm()).view(to_channels)
        return y * scale + self.bias.view(to_channels)


class PatchUpsampling(nn.ConvTranspose2d):
    """A transposed convolution whose kernels do not overlap: each position becomes one patch.

    It is the convolution of kernel 1 that gives a position all values of its patch, which are then
    put side by side: several times faster than torch's own transposed convolution on a CPU.
    """

    def __init__(self, n_in: int, n_out: int, patch: tuple[int, int]):
        super().__init__(n_in, n_out, patch, stride=patch)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        height, width = self.kernel_size
        weight = self.weight.flatten(1).T[:, :, None, None]
        bias = None if self.bias is None else self.bias.repeat_interleave(height * width)
        patches = F.conv2d(x, weight, bias).unflatten(1, (-1, height, width))
        # (n, channels, patch height, patch width, rows, columns)
        return patches.permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)


class VectorAdapter(nn.Module):
    """A linear layer from or to a vector, where the other side may be a map."""

    def __init__(self, shape_in: Shape, shape_out: Shape, normalise: bool):
        super().__init__()
        self.linear = _linear(math.prod(shape_in), math.prod(shape_out), normalise)
        self.shape_out = shape_out

    def forward(self, x: Tensor) -> Tensor:
        # `Linear` leaves its rows along the last axis in memory, from where each layer that takes
        # maps would copy them on its own.
        return self.linear(x.flatten(1)).contiguous().unflatten(1, self.shape_out)


def _linear(n_in: int, n_out: int, normalise: bool) -> nn.Module:
    layer = Linear(n_in, n_out)
    return WeightNorm(layer) if normalise else layer


def _convolution(n_in: int, n_out: int, kernel: int, normalise: bool) -> nn.Module:
    layer = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2)
    return WeightNorm(layer) if normalise else layer


def adapter(shape_in: Shape, shape_out: Shape, normalise: bool = False) -> nn.Module:
    """One linear layer from features of one shape to features of another.

    Maps of other sizes are cut into patches, or built of them; their sides must be multiples.
    """
    if len(shape_in) == len(shape_out) == 1:
        return _linear(*shape_in, *shape_out, normalise)
    if len(shape_in) == 1 or len(shape_out) == 1:
        return VectorAdapter(shape_in, shape_out, normalise)
    (c_in, h_in, w_in), (c_out, h_out, w_out) = shape_in, shape_out
    if (h_in, w_in) == (h_out, w_out):
        return _convolution(c_in, c_out, 1, normalise)
    layer: nn.Conv2d | PatchUpsampling
    if h_in > h_out:
        patch = (h_in // h_out, w_in // w_out)
        layer = nn.Conv2d(c_in, c_out, patch, stride=patch)
    else:
        patch = (h_out // h_in, w_out // w_in)
        layer = PatchUpsampling(c_in, c_out, patch)
    return WeightNorm(layer) if normalise else layer


class Join(nn.Module):
    """Sum of several inputs, each through an adapter of its own: none can be without effect."""

    def __init__(self, shapes_in: Sequence[Shape], shape_out: Shape, normalise: bool = False):
        super().__init__()
        self.adapters = nn.ModuleList(adapter(s, shape_out, normalise) for s in shapes_in)

    def forward(self, *inputs: Tensor) -> Tensor:
        joined = [layer(x) for layer, x in zip(self.adapters, inputs, strict=True)]
        return reduce(torch.add, joined)


class ResidualBlock(nn.Module):
    """y = layer(relu(layer(relu(x)))) + x, resampled by nearest neighbours or averages if needed.

    Havtorn et al. 2021, appendix B.1.
    """

    def __init__(self, shape_in: Shape, shape_out: Shape, kernel: int, normalise: bool = False):
        super().__init__()
        self.size_in, self.size_out = shape_in[1:], shape_out[1:]
        if len(shape_in) == 1:
            self.first = _linear(shape_in[0], shape_in[0], normalise)
            self.second = _linear(shape_in[0], shape_out[0], normalise)
        else:
            self.first = _convolution(shape_in[0], shape_in[0], kernel, normalise)
            self.second = _convolution(shape_in[0], shape_out[0], kernel, normalise)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self._resample(F.relu(self.first(F.relu(x)))))
        return y + self._resample(x)

    def _resample(self, x: Tensor) -> Tensor:
        if self.size_in == self.size_out:
            return x
        if self.size_in > self.size_out:
            height, width = self.size_out
            return F.adaptive_avg_pool2d(x, (height, width))
        return F.interpolate(x, size=self.size_out)


class Stage(nn.Module):
    """Deterministic path between two latent layers: join the inputs, transform, change shape.

    Parameters
    ----------
    shapes_in : sequence of shapes
        The latent, and the features of the stage before it (the skip connection).
    shape_in, shape_out : shape
        Shape at which the inputs are joined, and shape of the result. The residual blocks work on
        the vector where one of them is a vector, else on the larger map.
    n_blocks, kernel : int
    normalise : bool
        Weight normalisation.
    """

    def __init__(
        self,
        shapes_in: Sequence[Shape],
        shape_in: Shape,
        shape_out: Shape,
        *,
        n_blocks: int,
        kernel: int = 3,
        normalise: bool = False,
    ):
        super().__init__()
        self.join = Join(shapes_in, shape_in, normalise)
        where = max(shape_in, shape_out, key=lambda shape: (len(shape) == 1, math.prod(shape)))
        blocks: list[nn.Module] = [
            ResidualBlock(where, where, kernel, normalise) for _ in range(n_blocks)
        ]
        if shape_in != shape_out:
            change = _change_of_shape(shape_in, shape_out, kernel, normalise)
            blocks.insert(n_blocks if where == shape_in else 0, change)
        self.blocks = nn.Sequential(*blocks)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.blocks(self.join(*inputs))


def _change_of_shape(shape_in: Shape, shape_out: Shape, kernel: int, normalise: bool) -> nn.Module:
    if len(shape_in) == len(shape_out) and shape_in[0] == shape_out[0]:
        return ResidualBlock(shape_in, shape_out, kernel, normalise)
    return nn.Sequential(nn.ReLU(), adapter(shape_in, shape_out, normalise))
