"""A limit to the tensors that building a network makes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["limited_allocation"]

_BYTES = 8  # of the largest number
_OF_A_SHAPE = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye}
_OF_A_SHAPE |= {torch.randint, Tensor.new_empty, Tensor.new_zeros, Tensor.new_ones, Tensor.new_full}
_OF_A_LENGTH = {torch.arange, torch.linspace, torch.logspace, torch.randperm}


class limited_allocation(TorchFunctionMode):
    """Raise MemoryError in this block, in this thread, before its tensors take more than so much.

    So a file cannot fill the memory of who loads it with a number that says how wide a layer is.
    What counts is what arguments tell beforehand: the sum over all tensors that are made of a given
    shape, and each result of a function of the elements of others. That is how the layers of a
    network get large tensors.

    Parameters
    ----------
    n_bytes : int
    """

    def __init__(self, n_bytes: int):
        super().__init__()
        self.n_bytes, self.left = n_bytes, n_bytes

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """One call of a function of torch, if there is room for its result."""
        if func in _OF_A_SHAPE or func in _OF_A_LENGTH:
            size = _BYTES * _made(func, [*args, *(kwargs or {}).values()])
            self.left -= size
        else:
            size = _BYTES * _mapped(args)
        if size > self.n_bytes or self.left < 0:
            raise MemoryError(f"its network would take more than {self.n_bytes} bytes to build")
        return func(*args, **(kwargs or {}))


def _made(func: Callable[..., Any], arguments: list[Any]) -> int:
    """Numbers in a new tensor; more for a range whose ends are larger than its length."""
    numbers = [int(abs(n)) for n in arguments if isinstance(n, int | float)]
    if func in _OF_A_LENGTH:
        return max(numbers, default=0)
    # Beside a shape, numbers are values.
    sizes = next((shape for shape in arguments if isinstance(shape, tuple | list)), numbers)
    return abs(math.prod(sizes)) ** (2 if func is torch.eye and len(sizes) == 1 else 1)


def _mapped(arguments: Any) -> int:
    """Numbers in the result of a function of each element."""
    shapes = [argument.shape for argument in arguments if isinstance(argument, Tensor)]
    try:
        # torch's own function of this name imports SymPy when first called.
        return math.prod(np.broadcast_shapes(*shapes)) if shapes else 0
    except ValueError:  # it is none, and its result no larger than what it joins
        return sum(map(math.prod, shapes))
