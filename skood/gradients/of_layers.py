"""The gradients of the parameters of one layer, from its calls in one pass of the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from skood.gradients.calls import Call
from skood.gradients.closed_forms import closed_form_of
from skood.gradients.pieces import Explicit, Gradients, joined

__all__ = ["by_func", "in_closed_form"]


def in_closed_form(
    module: nn.Module, calls: Sequence[Call], names: list[str], groups: slice, group_size: int
) -> dict[str, Gradients]:
    """Gradients of the parameters of a layer that has a closed form, for some of the groups."""
    formula = closed_form_of(module)
    assert formula is not None
    rows = slice(groups.start * group_size, groups.stop * group_size)
    found = [formula(module, c.inputs[0][rows], *(g[rows] for g in c.gradients)) for c in calls]
    n_groups = groups.stop - groups.start
    return {name: joined([each[name] for each in found], n_groups) for name in names}


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
