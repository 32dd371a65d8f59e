"""Plain values as JSON and tensors, and back: what files of skood are made of, without pickle.

JSON has numbers, text and lists. What it has not is written as ``{kind: content}``: tuples, dicts
with any keys, numbers that are not finite, and arrays and tensors, which lie beside the document.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skood.core.exceptions import LoadError

__all__ = ["ValueDecoder", "ValueEncoder"]

# Python's integers have no limit, but time and memory have; NumPy's generators have such long ones.
_LARGEST_INTEGER = 2**128


class ValueEncoder:
    """From values to what stands for them in a document.

    Attributes
    ----------
    tensors : dict from str to Tensor
        By where they were.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def value(self, value: Any, where: str) -> Any:
        """What stands for ``value``; ``where`` it is, for the message and the names of tensors.

        Raises
        ------
        ValueError
            If it is not plain.
        """
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or type(value) in (bool, str):
            return value
        # By the very type: a subclass may be more than the values that it holds.
        if type(value) in _ENCODERS:
            return _ENCODERS[type(value)](self, value, where)
        return self.other(value, where)

    def other(self, value: Any, where: str) -> Any:
        """What stands for a value of any other type."""
        raise ValueError(
            f"{where} is a {type(value).__name__}, which cannot be saved without pickle. Numbers, "
            "text, arrays, tensors, estimators, and lists and dicts of them can."
        )

    def _integer(self, value: int, where: str) -> int:
        if abs(value) >= _LARGEST_INTEGER:
            raise ValueError(f"{where} is an integer of more than 128 bits. Use a smaller one.")
        return value

    def _float(self, value: float, where: str) -> Any:
        return value if math.isfinite(value) else {"float": str(value)}

    def _list(self, value: list[Any], where: str) -> list[Any]:
        return [self.value(part, f"{where}[{i}]") for i, part in enumerate(value)]

    def _tuple(self, value: tuple[Any, ...], where: str) -> Any:
        return {"tuple": self._list(list(value), where)}

    def _dict(self, value: dict[Any, Any], where: str) -> Any:
        items = [[self.value(k, where), self.value(v, f"{where}[{k!r}]")] for k, v in value.items()]
        return {"dict": items}

    def _array(self, value: NDArray[Any], where: str) -> Any:
        if value.dtype.kind in "OU" and value.ndim == 1 and all(isinstance(t, str) for t in value):
            return {"strings": [str(text) for text in value]}
        if value.dtype.kind not in "biufc":
            raise ValueError(f"{where} is an array of {value.dtype}, which cannot be saved.")
        native = np.array(value, dtype=value.dtype.newbyteorder("="), order="K")
        return {"array": self._stored(torch.from_numpy(native), where)}

    def _tensor(self, value: Tensor, where: str) -> Any:
        return {"tensor": self._stored(value.detach().to("cpu", copy=True), where)}

    def _stored(self, tensor: Tensor, where: str) -> list[Any]:
        # With its axes in the order in which they lie in memory, on which the last digits of
        # products depend, and for which optimisers do not look.
        axes = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
        self.tensors[where] = tensor.permute(axes).contiguous()
        return [where, axes]

    def _device(self, value: torch.device, where: str) -> Any:
        return {"device": str(value)}

    def _random_state(self, value: np.random.RandomState, where: str) -> Any:
        state = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise ValueError(f"{where} is of {state['bit_generator']}. Use an integer.")
        parts = (state["state"]["key"], state["state"]["pos"], state["has_gauss"], state["gauss"])
        return {"random_state": [self.value(part, where) for part in parts]}


_ENCODERS: dict[type, Callable[[Any, Any, str], Any]] = {
    int: ValueEncoder._integer,
    float: ValueEncoder._float,
    list: ValueEncoder._list,
    tuple: ValueEncoder._tuple,
    dict: ValueEncoder._dict,
    OrderedDict: ValueEncoder._dict,
    np.ndarray: ValueEncoder._array,
    np.memmap: ValueEncoder._array,
    Tensor: ValueEncoder._tensor,
    nn.Parameter: ValueEncoder._tensor,
    torch.device: ValueEncoder._device,
    np.random.RandomState: ValueEncoder._random_state,
}


class ValueDecoder:
    """From a document to values. Nothing in it is trusted.

    Methods raise an exception, of any type, for what `ValueEncoder` never writes.

    Parameters
    ----------
    tensors : dict from str to Tensor
    """

    kinds: ClassVar[dict[str, str]] = {
        "float": "_float",
        "tuple": "_tuple",
        "dict": "_dict",
        "strings": "_strings",
        "array": "_array",
        "tensor": "_tensor",
        "device": "_device",
        "random_state": "_random_state",
    }

    def __init__(self, tensors: Mapping[str, Tensor]):
        self._left = dict(tensors)

    def value(self, content: Any) -> Any:
        """What ``content`` stands for."""
        if isinstance(content, int) and abs(content) >= _LARGEST_INTEGER:
            raise LoadError("it has an integer of more than 128 bits")
        if isinstance(content, list):
            return [self.value(part) for part in content]
        if not isinstance(content, dict):
            return content
        ((kind, content),) = content.items()
        return getattr(self, self.kinds[kind])(content)

    def check_nothing_is_left(self) -> None:
        """Raise LoadError if there are tensors that stand for nothing."""
        if self._left:
            raise LoadError(f"it has no use for its tensors {list(self._left)[:3]}")

    def _float(self, text: str) -> float:
        if text not in ("inf", "-inf", "nan"):
            raise LoadError(f"{text!r} is no number that JSON lacks")
        return float(text)

    def _tuple(self, parts: list[Any]) -> tuple[Any, ...]:
        return tuple(self.value(part) for part in parts)

    def _dict(self, items: list[Any]) -> dict[Any, Any]:
        return {self.value(key): self.value(value) for key, value in items}

    def _strings(self, texts: list[str]) -> NDArray[Any]:
        if not all(isinstance(text, str) for text in texts):
            raise LoadError("one of its strings is none")
        return np.array(texts, dtype=object)

    def _array(self, content: list[Any]) -> NDArray[Any]:
        array: NDArray[Any] = self._tensor(content).numpy()
        return array

    def _tensor(self, content: list[Any]) -> Tensor:
        name, axes = content
        tensor = self._left.pop(name)  # once only, or a short file could fill the memory
        if tensor.dtype is torch.bool and (tensor.view(torch.uint8) > 1).any():
            raise LoadError(f"{name} has truth values that are none")  # NumPy writes past the end
        # In memory of its own, laid out as torch does everywhere.
        return tensor.clone().permute([axes.index(axis) for axis in range(tensor.dim())])

    def _device(self, name: str) -> torch.device:
        return torch.device(name)

    def _random_state(self, state: list[Any]) -> np.random.RandomState:
        key, place, has_gauss, gauss = (self.value(part) for part in state)
        if key.shape != (624,) or not 0 <= place <= 624:  # NumPy reads past the end otherwise
            raise LoadError("it has an impossible RandomState")
        random_state = np.random.RandomState()
        random_state.set_state(("MT19937", key, place, has_gauss, gauss))
        return random_state
