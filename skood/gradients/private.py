"""Modules of one's own over parameters that all threads share."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

__all__ = ["private_copy"]

# What torch keeps in a module, and the part of it that hooks and `functional_call` change.
_INTERNAL = frozenset(vars(nn.Module()))
_CHANGED = frozenset({"_parameters", "_buffers", "_modules", "_forward_hooks"}) | {
    name for name in _INTERNAL if name.startswith("_forward_hooks_")
}
_CONSTANT = frozenset({bool, int, float, str, type(None)})


def private_copy(network: nn.Module) -> nn.Module:
    """The same modules once more, with the very same parameters and buffers.

    Forward hooks, and `torch.func.functional_call`, change a module for as long as they are in use:
    what another thread computes with it meanwhile would be wrong.

    Notes
    -----
    As `copy.deepcopy` with a memo of the tensors, but ten times faster.
    """
    copies = {module: type(module).__new__(type(module)) for module in network.modules()}
    memo: dict[int, Any] = {id(t): t for t in (*network.parameters(), *network.buffers())}
    memo.update((id(module), its_copy) for module, its_copy in copies.items())
    for module, its_copy in copies.items():
        contents = its_copy.__dict__
        contents.update(vars(module))
        for name in _CHANGED:
            items = contents[name]
            contents[name] = type(items)((k, memo.get(id(v), v)) for k, v in items.items())
        for name in contents.keys() - _INTERNAL:
            if not _is_constant(contents[name]):
                contents[name] = copy.deepcopy(contents[name], memo)
    return copies[network]


def _is_constant(value: Any) -> bool:
    """Whether it can neither change nor refer to a module; most can not, and copies cost time."""
    kind = type(value)
    return kind in _CONSTANT or (kind is tuple and _CONSTANT.issuperset(map(type, value)))
