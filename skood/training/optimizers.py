"""torch's optimisers, without the second that their first use costs by importing a compiler."""

from __future__ import annotations

from functools import partial
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["OPTIMIZERS", "Adam", "AdamW", "Adamax", "check_moments"]


class _Eager:
    """Methods of an optimiser, taken out of the wrappers that torch puts around them.

    The wrappers keep ``torch.compile`` out of the methods, and for that import ``torch._dynamo``,
    some 800 modules, in every process that trains. Steps are never compiled here.
    """

    add_param_group = unwrap(Optimizer.add_param_group)
    zero_grad = unwrap(Optimizer.zero_grad)
    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)


class Adam(_Eager, torch.optim.Adam):
    """Of torch; the wrapper of its steps also switches gradients off."""

    step = torch.no_grad()(unwrap(torch.optim.Adam.step))


class AdamW(_Eager, torch.optim.AdamW):
    """As `Adam`."""

    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class Adamax(_Eager, torch.optim.Adamax):
    """As `Adam`."""

    step = torch.no_grad()(unwrap(torch.optim.Adamax.step))


OPTIMIZERS: dict[str, Any] = {
    # One fused update: a fifth of a step's time on a CPU goes into the update otherwise.
    "adam": partial(Adam, fused=True),
    "adamw": partial(AdamW, fused=True),
    "adamax": Adamax,
}


def check_moments(optimizer: Optimizer) -> None:
    """Raise ValueError unless they have the shapes of the weights.

    A fused optimiser does not look, and would write beyond their ends.
    """
    for parameter in (p for group in optimizer.param_groups for p in group["params"]):
        for name, value in optimizer.state[parameter].items():
            shape = torch.Size() if name == "step" else parameter.shape
            if not isinstance(value, Tensor) or value.shape != shape:
                raise ValueError(f"The state of training has a {name} that fits no weight.")
