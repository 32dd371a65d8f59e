"""A limit to the tensors that building a network makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

__all__ = ["limited_allocation"]

_BYTES = 8  # of the largest number
_CONSTRUCTORS = {*_device_constructors(), Tensor.new_empty, Tensor.new_full, Tensor.new_ones}
_CONSTRUCTORS |= {Tensor.new_zeros}


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
        if func in _CONSTRUCTORS:
            size = _BYTES * _made(func, [*args, *(kwargs or {}).values()])
            self.left -= size
        else:
            size = _BYTES * _mapped(args)
        if size > self.n_bytes or self.left < 0:
            raise MemoryError(f"its network would take more than {self.n_bytes} bytes to build")
        return func(*args, **(kwargs or {}))


def _made(func: Callable[..., Any], arguments: list[Any]) -> int:
    """Numbers in a new tensor, or more."""
    sizes = [max(1, abs(size)) for size in _integers(arguments)]
    return math.prod(sizes) ** (2 if func is torch.eye and len(sizes) == 1 else 1)


def _integers(arguments: Any) -> Iterator[int]:
    for argument in arguments:
        if isinstance(argument, int):
            yield argument
        elif isinstance(argument, tuple | list):
            yield from _integers(argument)


def _mapped(arguments: Any) -> int:
    """Numbers in the result of a function of each element."""
    shapes = [argument.shape for argument in arguments if isinstance(argument, Tensor)]
    try:
        return math.prod(torch.broadcast_shapes(*shapes)) if shapes else 0
    except RuntimeError:  # it is none, and its result no larger than what it joins
        return sum(map(math.prod, shapes))
