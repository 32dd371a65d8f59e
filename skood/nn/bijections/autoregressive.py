"""Masked autoregressive transforms: each value given those before it, all in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Transform
from torch.nn import functional as F
from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform

from skood.nn.bijections.base import Bijection
from skood.nn.layers import Linear, product_with_columns

__all__ = ["Autoregressive", "MaskedLinear", "alternating_order"]

# The conditioner sees no value beyond this, in standard deviations of the data. It was not
# trained there, and what it extrapolates would dominate the likelihood of a row with one outlier.
_LARGEST_INPUT = 5.0
_N_BINS = 8
# Slopes lie between it and its inverse, so that float32 is enough for the way back.
_SMALLEST_SLOPE = 1e-2


class MaskedLinear(Linear):
    """A `skood.nn.layers.Linear` of which a mask switches some weights off.

    Parameters
    ----------
    mask : Tensor of shape (n_out, n_in), bool
        Which inputs an output sees.
    """

    def __init__(self, mask: Tensor):
        super().__init__(mask.shape[1], mask.shape[0])
        self.mask: Tensor
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return F.linear(x, self.weight * self.mask, self.bias)
        return self.some(x, slice(None))

    def some(self, x: Tensor, outputs: Tensor | slice) -> Tensor:
        """Some of the outputs alone."""
        weight = self.weight[outputs] * self.mask[outputs]
        return product_with_columns(weight, x.mT).mT + self.bias[outputs]


def alternating_order(n_values: int, index: int) -> Tensor:
    """Degrees 1, ..., n_values, in reversed order where ``index`` is odd."""
    degrees = torch.arange(1, n_values + 1)
    return degrees.flip(0) if index % 2 else degrees


class Autoregressive(Bijection):
    """y_i = g(x_i; parameters that depend on the x_j before x_i, and on a context).

    Parameters
    ----------
    degrees : Tensor of shape (n_values,), int
        From 1 upwards: a value sees those of lower degree. All different, they are the places in
        an order; with the degrees 1 and 2 alone it is a coupling, whose first part sees the
        context only.
    univariate : {"affine", "spline"}
        The increasing function g: scale and shift, or a rational-quadratic spline of eight bins on
        [-5, 5], which is the identity outside of it.
    width, n_hidden_layers : int
        Of the conditioner.
    n_context : int, default=0
        Values of the context, which every x_i sees.

    Notes
    -----
    Papamakarios et al. 2017, eqs. 3 to 5; Durkan et al. 2019, section 3. The conditioner is a MADE
    (Germain et al. 2015, eqs. 12 and 13) whose hidden degrees are spaced evenly. With a context
    they start at 0, so that the first value sees it too.
    """

    def __init__(
        self,
        degrees: Tensor,
        univariate: str,
        *,
        width: int,
        n_hidden_layers: int,
        n_context: int = 0,
    ):
        super().__init__()
        self.univariate = univariate
        self.degrees: Tensor
        self.register_buffer("degrees", degrees)
        n_degrees = int(degrees.max())
        lowest = 0 if n_context or n_degrees == 1 else 1
        hidden = torch.linspace(lowest, n_degrees - 1, width).round()
        seen = torch.cat([degrees.new_zeros(n_context), degrees])
        layers: list[nn.Module] = []
        for _ in range(n_hidden_layers):
            layers += [MaskedLinear(hidden[:, None] >= seen), nn.ReLU()]
            seen = hidden
        outputs = degrees.repeat_interleave(_UNIVARIATE[univariate][1])
        self.conditioner = nn.Sequential(*layers, MaskedLinear(outputs[:, None] > seen))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        transform = self._transform_for(self.conditioner(self._inputs(x, context)))
        y, log_slopes = transform.call_and_ladj(x)  # type: ignore[attr-defined]
        return y, log_slopes.sum(1)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Tensor:
        """From y back to x, one degree after the other: as many passes as there are degrees."""
        x = torch.zeros_like(y)
        hidden, last = self.conditioner[:-1], cast(MaskedLinear, self.conditioner[-1])
        for degree in self.degrees.unique():
            now = self.degrees == degree
            # Only of the outputs for these values: they are most of the work.
            rows = now.repeat_interleave(len(last.bias) // len(now))
            outputs = last.some(hidden(self._inputs(x, context)), rows)
            # In double precision: at a steep knot the square root in a spline's inverse would be
            # that of a negative number.
            transform = self._transform_for(outputs.double())
            x[:, now] = cast(Tensor, transform.inv(y[:, now].double())).to(x)
        return x

    def _inputs(self, x: Tensor, context: Tensor | None) -> Tensor:
        inputs = x if context is None else torch.cat([context, x], dim=1)
        return inputs.clamp(-_LARGEST_INPUT, _LARGEST_INPUT)

    def _transform_for(self, outputs: Tensor) -> Transform:
        """The functions g of some values, from the outputs for them."""
        build, n_parameters = _UNIVARIATE[self.univariate]
        return build(outputs.unflatten(1, (-1, n_parameters)))


def _affine(parameters: Tensor) -> Transform:
    shift, log_scale = parameters.unbind(-1)
    return MonotonicAffineTransform(shift, log_scale, slope=_SMALLEST_SLOPE)


def _spline(parameters: Tensor) -> Transform:
    widths, heights, slopes = parameters.split([_N_BINS, _N_BINS, _N_BINS - 1], dim=-1)
    return MonotonicRQSTransform(widths, heights, slopes, bound=5.0, slope=_SMALLEST_SLOPE)


# Each with the number of its parameters.
_UNIVARIATE: dict[str, tuple[Callable[[Tensor], Transform], int]] = {
    "affine": (_affine, 2),
    "spline": (_spline, 3 * _N_BINS - 1),
}
