"""Gradients of single rows with respect to the parameters of some layers of flows, in closed form.

Each function gets the layer, its inputs x, and the gradients with respect to its outputs y and
log-determinants, row by row; it returns the gradient of each parameter, shape (n, *parameter), or
the `Factors` of a matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skood.nn.bijections.elementwise import ActNorm, ElementwiseAffine
from skood.nn.bijections.linear import InvertibleConvolution

__all__ = ["CLOSED_FORMS", "Factors"]


@dataclass(frozen=True)
class Factors:
    """The gradient is the product left' right, (n, positions, n_out) and (n, positions, n_in).

    ``mask`` is 0 where elements of the matrix are not used, shape (n_out, n_in).
    """

    left: Tensor
    right: Tensor
    mask: Tensor


_Gradients = dict[str, Tensor | Factors]


def _act_norm(layer: ActNorm, x: Tensor, g: Tensor, g_log_det: Tensor) -> _Gradients:
    with torch.no_grad():
        y, _ = layer(x)
    g, y = _positions(g), _positions(y)
    volume = g_log_det[:, None] * g.shape[2]
    return {
        "shift": g.sum(2) * layer.log_scale.detach().exp(),
        "log_scale": (g * y).sum(2) + volume,
    }


def _whiten(layer: ElementwiseAffine, x: Tensor, g: Tensor, g_log_det: Tensor) -> _Gradients:
    with torch.no_grad():
        y, _ = layer(x)
    g, y = _positions(g), _positions(y)
    volume = g_log_det[:, None] * g.shape[2]
    gradients = {
        "mean": -g.sum(2) * (-layer.log_std.detach().flatten()).exp(),
        "log_std": -(g * y).sum(2) - volume,
    }
    return {name: value[:, :, None, None] for name, value in gradients.items()}


def _convolution(
    layer: InvertibleConvolution, x: Tensor, g: Tensor, g_log_det: Tensor
) -> _Gradients:
    with torch.no_grad():
        lower, upper = layer.factors()
    x = _positions(x)
    g_lower = layer.permutation.mT @ _positions(g)
    g_upper = lower.mT @ g_lower
    diagonal = (g_upper * x).sum(2) * layer.sign * layer.log_diagonal.detach().exp()
    ones = torch.ones_like(lower)
    return {
        "lower": Factors(g_lower.mT, (upper @ x).mT, ones.tril(-1)),
        "upper": Factors(g_upper.mT, x.mT, ones.triu(1)),
        "log_diagonal": diagonal + g_log_det[:, None] * x.shape[2],
    }


def _positions(x: Tensor) -> Tensor:
    """Shape (n, channels, positions)."""
    return x.flatten(2) if x.ndim > 2 else x[:, :, None]


CLOSED_FORMS: dict[type, Callable[[Any, Tensor, Tensor, Tensor], _Gradients]] = {
    ActNorm: _act_norm,
    InvertibleConvolution: _convolution,
    ElementwiseAffine: _whiten,
}
