"""The gradients of rows, or groups of rows, with respect to the parameters of one layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from skood.gradients.calls import Call
from skood.gradients.flow_gradients import CLOSED_FORMS, Factors
from skood.nn.bijections.autoregressive import MaskedLinear
from skood.nn.layers import Linear

__all__ = [
    "Explicit",
    "Gradients",
    "OuterProducts",
    "Products",
    "by_func",
    "has_closed_form",
    "in_closed_form",
]


@dataclass(frozen=True)
class Explicit:
    """Gradients of some groups, shape (groups, *parameter)."""

    gradients: Tensor

    def squared_norms(self, weights: Tensor | None) -> Tensor:
        """Of each group, float64; each square is multiplied by its weight."""
        if weights is None:
            return _sum_of_squares(self.gradients)
        return (self.gradients.double().square() * weights).flatten(1).sum(1)

    def sum_of_squares(self) -> Tensor:
        """Over the groups, of each element, float64."""
        return self.gradients.double().square().sum(0)


@dataclass(frozen=True)
class Products:
    """Gradients that are sums over t of g_t a_t'; g is (groups, t, n_out), a (groups, t, n_in).

    ``arrange`` makes a parameter of each such matrix; ``mask`` is 0 where weights are not used.
    """

    g: Tensor
    a: Tensor
    arrange: Callable[[Tensor], Tensor]
    mask: Tensor | None = None

    def squared_norms(self, weights: Tensor | None) -> Tensor:
        """Of each group, float64; each square is multiplied by its weight."""
        n_terms, n_out, n_in = self.g.shape[1], self.g.shape[2], self.a.shape[2]
        if weights is not None or self.mask is not None:
            return self._explicit().squared_norms(weights)
        if n_terms * (n_in + n_out) < n_in * n_out:
            # |sum g_t a_t'|^2 = sum over s, t of (g_s . g_t)(a_s . a_t)
            return ((self.g @ self.g.mT).double() * (self.a @ self.a.mT).double()).sum((1, 2))
        return _sum_of_squares(self.g.mT @ self.a)

    def sum_of_squares(self) -> Tensor:
        """Over the groups, of each element, float64."""
        return self._explicit().sum_of_squares()

    def _explicit(self) -> Explicit:
        gradients = self.arrange(self.g.mT @ self.a)
        return Explicit(gradients if self.mask is None else gradients * self.mask)


@dataclass(frozen=True)
class OuterProducts(Products):
    """The case of a single term: squares of the gradients are products of squares."""

    def squared_norms(self, weights: Tensor | None) -> Tensor:
        """Of each group, float64; each square is multiplied by its weight."""
        g, a = self._squares()
        if self.mask is not None:
            weights = self.mask.double() if weights is None else weights * self.mask
        if weights is None:
            return g.sum(1) * a.sum(1)
        # Row by row: one product for all rows would treat some unlike others, in the last bits.
        weighted = torch.stack([weights.mT @ row for row in g])
        return (weighted * a).sum(1)

    def sum_of_squares(self) -> Tensor:
        """Over the groups, of each element, float64."""
        g, a = self._squares()
        return g.mT @ a if self.mask is None else (g.mT @ a) * self.mask

    def _squares(self) -> tuple[Tensor, Tensor]:
        return self.g[:, 0].double().square(), self.a[:, 0].double().square()


Gradients = Explicit | Products


def _sum_of_squares(x: Tensor) -> Tensor:
    """Of each row, float64.

    Several times faster in the precision of x, which is enough where no square is out of its range.
    """
    x = x.flatten(1)
    norms = torch.linalg.vector_norm(x, dim=1)
    out_of_range = ~((norms > 1e-15) & (norms < 1e15))
    squares = norms.double().square()
    if out_of_range.any():
        squares[out_of_range] = x[out_of_range].double().square().sum(1)
    return squares


def has_closed_form(module: nn.Module) -> bool:
    """Whether the type is one whose forward is known: a subclass may do something else."""
    if type(module) in (nn.Linear, Linear, MaskedLinear, *CLOSED_FORMS):
        return True
    if type(module) not in (nn.Conv2d, nn.ConvTranspose2d):
        return False
    convolution = cast(nn.Conv2d, module)
    return (
        convolution.groups == 1
        and convolution.padding_mode == "zeros"
        and not isinstance(convolution.padding, str)
    )


def in_closed_form(
    module: nn.Module, calls: Sequence[Call], names: list[str], groups: slice, group_size: int
) -> dict[str, Gradients]:
    """Gradients of the parameters of a layer that `has_closed_form`, for some of the groups."""
    rows = slice(groups.start * group_size, groups.stop * group_size)
    n_groups = groups.stop - groups.start
    if type(module) in CLOSED_FORMS:
        formula = CLOSED_FORMS[type(module)]
        found = [formula(module, c.inputs[0][rows], *[g[rows] for g in c.gradients]) for c in calls]
        return {name: _joined([each[name] for each in found], n_groups) for name in names}
    return _by_products(module, calls, names, rows, n_groups)


def _joined(gradients: list[Any], n_groups: int) -> Gradients:
    """The sum over the rows of each group, and over calls."""
    if isinstance(gradients[0], Factors):
        left, right = [each.left for each in gradients], [each.right for each in gradients]
        return _products(left, right, n_groups, _as_it_is, gradients[0].mask)
    rows = torch.stack(gradients).sum(0)
    return Explicit(rows.reshape(n_groups, -1, *rows.shape[1:]).sum(1))


def _as_it_is(matrix: Tensor) -> Tensor:
    return matrix


def _products(
    g: Sequence[Tensor],
    a: Sequence[Tensor],
    n_groups: int,
    arrange: Callable[[Tensor], Tensor],
    mask: Tensor | None,
) -> Products:
    factors = _in_groups(g, n_groups), _in_groups(a, n_groups)
    single = factors[0].shape[1] == 1 and arrange is _as_it_is
    return (OuterProducts if single else Products)(*factors, arrange, mask)


def _by_products(
    module: nn.Module, calls: Sequence[Call], names: list[str], rows: slice, n_groups: int
) -> dict[str, Gradients]:
    a = [call.inputs[0][rows] for call in calls]
    g = [call.gradients[0][rows] for call in calls]
    pieces: dict[str, Gradients] = {}
    if "bias" in names:
        axis = -1 if isinstance(module, nn.Linear) else 1
        each = [gradient.movedim(axis, -1) for gradient in g]
        pieces["bias"] = Explicit(_in_groups(each, n_groups).sum(1))
    if "weight" in names:
        left, right, arrange = _factors(module, a, g)
        mask = module.mask if isinstance(module, MaskedLinear) else None
        pieces["weight"] = _products(left, right, n_groups, arrange, mask)
    return pieces


def _in_groups(parts: Sequence[Tensor], n_groups: int) -> Tensor:
    """Positions of all rows of a group, and of all calls, one after the other."""
    grouped = [part.reshape(n_groups, -1, part.shape[-1]) for part in parts]
    return torch.cat(grouped, dim=1) if len(grouped) > 1 else grouped[0]


_Arrange = Callable[[Tensor], Tensor]


def _factors(
    module: nn.Module, a: list[Tensor], g: list[Tensor]
) -> tuple[list[Tensor], list[Tensor], _Arrange]:
    """For each call the factors of the weight's gradient, each (rows, positions, ...)."""
    if isinstance(module, nn.Linear):
        return g, a, _as_it_is
    convolution = cast(nn.Conv2d, module)
    shape = convolution.weight.shape
    if isinstance(module, nn.ConvTranspose2d):
        left, right = [_positions(x) for x in a], [_patches(x, convolution) for x in g]
    elif _is_cheaper_reversed(convolution):
        return _reversed_factors(convolution, a, g)
    else:
        left, right = [_positions(x) for x in g], [_patches(x, convolution) for x in a]
    return left, right, lambda matrix: matrix.reshape(-1, *shape)


def _is_cheaper_reversed(module: nn.Conv2d) -> bool:
    """Whether to cut the gradients into patches rather than the inputs, of which there are more."""
    plain = module.stride == module.dilation == (1, 1)
    margins = [k - 1 - p for k, p in zip(module.kernel_size, _padding(module), strict=True)]
    return plain and min(margins) >= 0 and module.out_channels < module.in_channels


def _reversed_factors(
    module: nn.Conv2d, a: list[Tensor], g: list[Tensor]
) -> tuple[list[Tensor], list[Tensor], _Arrange]:
    kernel = cast("tuple[int, int]", module.kernel_size)
    padding = kernel[0] - 1 - _padding(module)[0], kernel[1] - 1 - _padding(module)[1]
    patches = [_unfold(x, module, padding).mT for x in g]

    def arrange(matrix: Tensor) -> Tensor:
        # A step of the input to the right is one of the output to the left.
        weight = matrix.reshape(len(matrix), module.out_channels, *kernel, module.in_channels)
        return weight.flip(2, 3).movedim(-1, 2)

    return patches, [_positions(x) for x in a], arrange


def _padding(module: nn.Conv2d) -> tuple[int, int]:
    return cast("tuple[int, int]", module.padding)


def _positions(x: Tensor) -> Tensor:
    return x.flatten(2).mT


def _patches(x: Tensor, module: nn.Conv2d) -> Tensor:
    """What the kernel sees at each position, shape (rows, positions, channels * kernel)."""
    if module.kernel_size == module.stride == (1, 1) and _padding(module) == (0, 0):
        return _positions(x)
    return _unfold(x, module, _padding(module)).mT


def _unfold(x: Tensor, module: nn.Conv2d, padding: tuple[int, int]) -> Tensor:
    """`torch.nn.functional.unfold`, but in one copy for all rows."""
    (kh, kw), (dh, dw), (sh, sw) = (
        cast("tuple[int, int]", size)
        for size in (module.kernel_size, module.dilation, module.stride)
    )
    (ph, pw) = padding
    x = F.pad(x, (pw, pw, ph, ph)).contiguous()
    n, c, height, width = x.shape
    size = (height - dh * (kh - 1) - 1) // sh + 1, (width - dw * (kw - 1) - 1) // sw + 1
    rows, channels, down, right = x.stride()
    strides = (rows, channels, dh * down, dw * right, sh * down, sw * right)
    return x.as_strided((n, c, kh, kw, *size), strides).reshape(n, c * kh * kw, -1)


def by_func(
    module: nn.Module, calls: Sequence[Call], names: list[str], groups: slice, group_size: int
) -> dict[str, Gradients]:
    """Gradients of any module's parameters by `torch.func`, for some of the groups."""
    parameters = {name: module.get_parameter(name).detach() for name in names}
    total: dict[str, Tensor] = {}
    for call in calls:
        found = _gradients_of_call(module, call, parameters, groups, group_size)
        for name in names:
            total[name] = total[name] + found[name] if name in total else found[name]
    return {name: Explicit(gradients) for name, gradients in total.items()}


def _gradients_of_call(
    module: nn.Module, call: Call, parameters: dict[str, Tensor], groups: slice, group_size: int
) -> dict[str, Tensor]:
    varying = call.rows(len(call.outputs[0]))
    rows = slice(groups.start * group_size, groups.stop * group_size)

    def in_groups(tensor: Tensor) -> Tensor:
        return tensor[rows].reshape(-1, group_size, *tensor.shape[1:])

    def gradient(inputs: list[Tensor], cotangents: tuple[Tensor, ...]) -> dict[str, Tensor]:
        everything = list(call.inputs)
        for i, a in zip(varying, inputs, strict=True):
            everything[i] = a
        args, kwargs = pytree.tree_unflatten(everything, call.inputs_spec)

        def run(parameters: dict[str, Tensor]) -> tuple[Tensor, ...]:
            result = torch.func.functional_call(module, parameters, args, kwargs)
            return tuple(pytree.tree_leaves(result))

        pull_back = torch.func.vjp(run, parameters)[1]
        return cast("dict[str, Tensor]", pull_back(cotangents)[0])

    inputs = [in_groups(call.inputs[i]) for i in varying]
    cotangents = tuple(in_groups(g) for g in call.gradients)
    return torch.func.vmap(gradient)(inputs, cotangents)
