"""Closed forms of the gradients of single rows: one function for each type of layer.

A closed form gets the layer, its input x, and the gradients with respect to its outputs, row by
row; it returns those of each parameter, explicitly or as products. To add one, write the function
and enter it in `CLOSED_FORMS`. Whether it is right for a tensor is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skood.gradients.pieces import Explicit, Gradients, Products
from skood.nn.bijections.autoregressive import MaskedLinear
from skood.nn.bijections.elementwise import ActNorm, ElementwiseAffine
from skood.nn.bijections.linear import InvertibleConvolution
from skood.nn.layers import Linear, PatchUpsampling

__all__ = ["CLOSED_FORMS", "ClosedForm", "closed_form_of"]

# (layer, x, gradient of each output) -> gradients of each parameter
ClosedForm = Callable[..., dict[str, Gradients]]


def closed_form_of(module: nn.Module) -> ClosedForm | None:
    """The closed form for a module of exactly that type: a subclass may do something else."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not _is_plain(module):
        return None
    return CLOSED_FORMS.get(type(module))


def _is_plain(module: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    zeros = module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return module.groups == 1 and zeros


# ------------------------------------------------------------------------------------ linear layers


def _linear(layer: nn.Linear, x: Tensor, g: Tensor) -> dict[str, Gradients]:
    n = len(x)
    g, x = g.reshape(n, -1, layer.out_features), x.reshape(n, -1, layer.in_features)
    mask = layer.mask if isinstance(layer, MaskedLinear) else None
    return {"weight": Products(g, x, mask=mask), "bias": Explicit(g.sum(1))}


def _invertible_convolution(
    layer: InvertibleConvolution, x: Tensor, g: Tensor, g_log_det: Tensor
) -> dict[str, Gradients]:
    lower, upper = (factor.detach() for factor in layer.factors())
    x = _maps(x)
    g_lower = layer.permutation.mT @ _maps(g)
    g_upper = lower.mT @ g_lower
    diagonal = (g_upper * x).sum(2) * layer.sign * layer.log_diagonal.detach().exp()
    ones = torch.ones_like(lower)
    return {
        "lower": Products(g_lower.mT, (upper @ x).mT, mask=ones.tril(-1)),
        "upper": Products(g_upper.mT, x.mT, mask=ones.triu(1)),
        "log_diagonal": Explicit(diagonal + g_log_det[:, None] * x.shape[2]),
    }


# ------------------------------------------------------------------------ elementwise affine layers


def _act_norm(layer: ActNorm, x: Tensor, g: Tensor, g_log_det: Tensor) -> dict[str, Gradients]:
    g, y = _maps(g), _maps(layer(x)[0].detach())
    volume = g_log_det[:, None] * g.shape[2]
    return {
        "shift": Explicit(g.sum(2) * layer.log_scale.detach().exp()),
        "log_scale": Explicit((g * y).sum(2) + volume),
    }


def _elementwise_affine(
    layer: ElementwiseAffine, x: Tensor, g: Tensor, g_log_det: Tensor
) -> dict[str, Gradients]:
    g, y = _maps(g), _maps(layer(x)[0].detach())
    volume = g_log_det[:, None] * g.shape[2]
    mean = -g.sum(2) * (-layer.log_std.detach().flatten()).exp()
    log_std = -(g * y).sum(2) - volume
    return {
        "mean": Explicit(mean[:, :, None, None]),
        "log_std": Explicit(log_std[:, :, None, None]),
    }


def _maps(x: Tensor) -> Tensor:
    """Shape (n, channels, positions)."""
    return x.flatten(2) if x.ndim > 2 else x[:, :, None]


# ------------------------------------------------------------------------------------- convolutions


def _convolution(layer: nn.Conv2d, x: Tensor, g: Tensor) -> dict[str, Gradients]:
    if _is_cheaper_reversed(layer):
        weight = _reversed_products(layer, x, g)
    else:
        weight = Products(_positions(g), _patches(x, layer), _as_weight_of(layer))
    return {"weight": weight, "bias": Explicit(g.flatten(2).sum(2))}


def _transposed_convolution(
    layer: nn.ConvTranspose2d, x: Tensor, g: Tensor
) -> dict[str, Gradients]:
    weight = Products(_positions(x), _patches(g, layer), _as_weight_of(layer))
    return {"weight": weight, "bias": Explicit(g.flatten(2).sum(2))}


_Convolution = nn.Conv2d | nn.ConvTranspose2d


def _as_weight_of(layer: _Convolution) -> Callable[[Tensor], Tensor]:
    shape = layer.weight.shape
    return lambda matrix: matrix.reshape(-1, *shape)


def _is_cheaper_reversed(layer: nn.Conv2d) -> bool:
    """Whether to cut the gradients into patches rather than the inputs, of which there are more."""
    plain = layer.stride == layer.dilation == (1, 1)
    margins = [k - 1 - p for k, p in zip(layer.kernel_size, _padding(layer), strict=True)]
    return plain and min(margins) >= 0 and layer.out_channels < layer.in_channels


def _reversed_products(layer: nn.Conv2d, x: Tensor, g: Tensor) -> Products:
    kernel = cast("tuple[int, int]", layer.kernel_size)
    padding = kernel[0] - 1 - _padding(layer)[0], kernel[1] - 1 - _padding(layer)[1]

    def arrange(matrix: Tensor) -> Tensor:
        # A step of the input to the right is one of the output to the left.
        weight = matrix.reshape(len(matrix), layer.out_channels, *kernel, layer.in_channels)
        return weight.flip(2, 3).movedim(-1, 2)

    return Products(_unfold(g, layer, padding).mT, _positions(x), arrange)


def _padding(layer: _Convolution) -> tuple[int, int]:
    return cast("tuple[int, int]", layer.padding)


def _positions(x: Tensor) -> Tensor:
    return x.flatten(2).mT


def _patches(x: Tensor, layer: _Convolution) -> Tensor:
    """What the kernel sees at each position, shape (rows, positions, channels * kernel)."""
    if layer.kernel_size == layer.stride == (1, 1) and _padding(layer) == (0, 0):
        return _positions(x)
    return _unfold(x, layer, _padding(layer)).mT


def _unfold(x: Tensor, layer: _Convolution, padding: tuple[int, int]) -> Tensor:
    """`torch.nn.functional.unfold`, but in one copy for all rows."""
    (kh, kw), (dh, dw), (sh, sw) = (
        cast("tuple[int, int]", size) for size in (layer.kernel_size, layer.dilation, layer.stride)
    )
    (ph, pw) = padding
    x = F.pad(x, (pw, pw, ph, ph)).contiguous()
    n, c, height, width = x.shape
    size = (height - dh * (kh - 1) - 1) // sh + 1, (width - dw * (kw - 1) - 1) // sw + 1
    rows, channels, down, right = x.stride()
    strides = (rows, channels, dh * down, dw * right, sh * down, sw * right)
    return x.as_strided((n, c, kh, kw, *size), strides).reshape(n, c * kh * kw, -1)


CLOSED_FORMS: dict[type[Any], ClosedForm] = {
    nn.Linear: _linear,
    Linear: _linear,
    MaskedLinear: _linear,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _transposed_convolution,
    PatchUpsampling: _transposed_convolution,
    ActNorm: _act_norm,
    ElementwiseAffine: _elementwise_affine,
    InvertibleConvolution: _invertible_convolution,
}
