"""Independence of what else goes on in the process: torch's modes, its global generator, forks."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

__all__ = ["explicit_construction", "own_modes", "use_one_thread_after_a_fork"]

_process = os.getpid()  # that imported skood; another one is a fork of it


@contextmanager
def own_modes(*, grad: bool) -> Iterator[None]:
    """Compute with or without gradients, whatever mode the caller's thread is in.

    Neither ``torch.inference_mode``, ``torch.no_grad`` nor ``torch.autocast`` around a call changes
    what happens in the block. All of them are states of a thread, so no other thread is touched.
    """
    use_one_thread_after_a_fork()
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(not grad))
        modes.enter_context(torch.set_grad_enabled(grad))
        for device in devices:
            modes.enter_context(torch.autocast(device, enabled=False))
        yield


def use_one_thread_after_a_fork() -> None:
    """In a forked process the pool of OpenMP threads is gone, and waiting for it takes forever."""
    global _process
    if os.getpid() != _process:
        torch.set_num_threads(1)
        threadpool_limits(1, user_api="openmp")  # scikit-learn has a pool of its own
        _process = os.getpid()


class explicit_construction(TorchFunctionMode):
    """Build modules whose parameters come from one seed, in float32 on the CPU.

    Layers of torch draw their first weights from the global generator, which all threads share, in
    the global default type. In this block, in this thread, every random function of torch takes
    numbers from a generator of its own instead, and every new tensor is explicit.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """One call of a function of torch, its options filled in."""
        kwargs = dict(kwargs or {})
        if func in _LIKE:  # which not all versions of torch give a generator
            kwargs = {"dtype": args[0].dtype, "device": args[0].device, **kwargs}
            func, args = _LIKE[func], (args[0].shape,)
        if func in _RANDOM and kwargs.get("generator") is None:
            kwargs["generator"] = self.generator
        if func in _FLOATING and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        if func in _NEW and kwargs.get("device") is None:
            kwargs["device"] = "cpu"
        result = func(*args, **kwargs)
        if func in _INFERRED and kwargs.get("dtype") is None and not hasattr(args[0], "dtype"):
            return result.float() if result.is_floating_point() else result
        return result


def _with_generator(functions: Any) -> set[Callable[..., Any]]:
    return {f for f in functions if "generator" in inspect.signature(f).parameters}


_NEW = {f for f in _device_constructors() if f is not torch.from_file}
_LIKE = {torch.rand_like: torch.rand, torch.randn_like: torch.randn}
_RANDOM = {
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli),
    *(torch.multinomial, torch.Tensor.multinomial, torch.Tensor.bernoulli),
    *(torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.random_, torch.Tensor.bernoulli_),
    *(torch.Tensor.exponential_, torch.Tensor.geometric_, torch.Tensor.cauchy_),
    *(torch.Tensor.log_normal_,),
    *_with_generator(getattr(nn.init, name) for name in dir(nn.init) if name.endswith("l_")),
    *_with_generator([nn.init.uniform_, nn.init.kaiming_uniform_, nn.init.xavier_uniform_]),
    *_with_generator([nn.init.trunc_normal_, nn.init.orthogonal_, nn.init.sparse_]),
}
# Those that give whole numbers, or the type of their input, have no default to replace.
_FLOATING = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye}
_FLOATING |= {torch.linspace, torch.logspace}
# Python's floats become the default type, while arrays keep theirs.
_INFERRED = {torch.tensor, torch.as_tensor, torch.scalar_tensor, torch.full, torch.arange}
