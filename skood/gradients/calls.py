"""What went into the layers of a network in one pass, what came out, and the gradients for that."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

__all__ = ["Call", "record"]


@dataclass
class Call:
    """One call of a module: what went in, what came out, and the gradient for that."""

    inputs: list[Any]
    inputs_spec: Any
    outputs: list[Any]
    gradients: list[Tensor]

    def is_row_wise(self, n: int) -> bool:
        """Whether every output has a row for each row of x, and some input too."""
        tensors = all(isinstance(y, Tensor) and y.ndim and len(y) == n for y in self.outputs)
        return tensors and bool(self.rows(n))

    def rows(self, n: int) -> list[int]:
        """Which of the inputs have a row for each row of x."""
        return [
            i for i, a in enumerate(self.inputs) if isinstance(a, Tensor) and a.ndim and len(a) == n
        ]

    def size(self, module: nn.Module, how: str) -> int:
        """Numbers that a row needs, besides the gradients of the parameters."""
        outputs = sum(y[0].numel() for y in self.outputs)
        inputs = sum(self.inputs[i][0].numel() for i in self.rows(len(self.outputs[0])))
        if how == "closed form" and isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            area = math.prod(cast("tuple[int, int]", module.kernel_size))
            return area * max(inputs, outputs)
        return inputs + outputs


@torch.enable_grad()
def record(
    whole: nn.Module, x: Tensor, modules: Mapping[str, nn.Module], counts: Tensor | None = None
) -> dict[str, list[Call]]:
    """Run the whole once, forward and backward, and keep the calls of some of its modules.

    What is differentiated is the sum over rows, each as often as ``counts`` says, if given.
    The modules must be the caller's alone, since there are hooks on them meanwhile.
    """
    calls: dict[str, list[Call]] = {path: [] for path in modules}

    def keep(path: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            inputs, spec = pytree.tree_flatten((args, kwargs))
            calls[path].append(Call(inputs, spec, pytree.tree_leaves(result), []))

        return hook

    handles = [
        module.register_forward_hook(keep(path), with_kwargs=True)
        for path, module in modules.items()
    ]
    try:
        of_rows = whole(x)
        total = (of_rows if counts is None else of_rows * counts).sum()
    finally:
        for handle in handles:
            handle.remove()
    every = [call for of_module in calls.values() for call in of_module]
    outputs = [y for call in every for y in call.outputs if isinstance(y, Tensor)]
    tracked = [y for y in outputs if y.requires_grad]
    found = torch.autograd.grad(total, tracked, allow_unused=True) if tracked else ()
    gradients = iter(found)
    for call in every:
        for y in call.outputs:
            g = next(gradients) if isinstance(y, Tensor) and y.requires_grad else None
            if isinstance(y, Tensor):
                call.gradients.append(torch.zeros_like(y) if g is None else g.detach())
        call.inputs = [a.detach() if isinstance(a, Tensor) else a for a in call.inputs]
    return calls
