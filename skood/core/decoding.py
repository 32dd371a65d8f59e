"""From a document of `skood.core.encoding` back to an estimator.

Nothing in a document is trusted: it names classes of a given list, parameters that these classes
take for valid, and fitted attributes, each of which the class may check in ``_restore``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor

from skood.core import wrapped
from skood.core.encoding import LARGEST_INTEGER, is_attribute, is_fitted_with
from skood.core.exceptions import LoadError

__all__ = ["decode"]


def decode(
    document: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    classes: Mapping[str, type],
    device: str | torch.device | None = None,
) -> Any:
    """The last object of a document.

    Parameters
    ----------
    document : dict
    tensors : dict from str to Tensor
        Each of them has to have a place in the document, and one only.
    classes : dict from str to class
        Estimators and dataclasses by their names; there are no others.
    device : str, torch.device or None
        What every estimator with a parameter of that name gets; None is the saved one.

    Raises
    ------
    Exception
        Of any type, if the document is not one that `skood.core.encoding` wrote.
    """
    decoder = _Decoder(tensors, classes, device)
    for content in document["objects"]:
        decoder.objects.append(decoder.object(content))
    if decoder.tensors:
        raise LoadError(f"it has no use for its tensors {list(decoder.tensors)[:3]}")
    return decoder.objects[-1]


class _Decoder:
    """What was decoded so far, and the tensors that are left."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        classes: Mapping[str, type],
        device: str | torch.device | None,
    ):
        self.objects: list[Any] = []
        self.tensors, self.classes, self.device = dict(tensors), classes, device

    def object(self, content: dict[str, Any]) -> Any:
        """An estimator or a dataclass."""
        name = content["class"]
        if "skops" in content:
            return self._wrapped(name, self.value(content["skops"]))
        if name not in self.classes:
            module = content.get("module", "")
            raise LoadError(
                f"it holds a {name!r:.80} (of {module!r:.80}), which is no class of this skood. "
                "If it is yours, or of a package that you trust: load(path, classes=[the class])"
            )
        if "fields" in content:
            return self._dataclass(self.classes[name], content["fields"])
        return self._estimator(self.classes[name], content)

    def _wrapped(self, name: str, data: NDArray[Any]) -> Any:
        estimator = wrapped.loads(data.tobytes())
        if not isinstance(estimator, BaseEstimator) or type(estimator).__name__ != name:
            raise LoadError(f"it says {name!r}, and holds a {type(estimator).__name__}")
        return estimator

    def _dataclass(self, kind: type, fields: dict[str, Any]) -> Any:
        if not dataclasses.is_dataclass(kind):
            raise LoadError(f"{kind.__name__} has no fields")
        return kind(**{name: self.value(value) for name, value in fields.items()})

    def _estimator(self, kind: type, content: dict[str, Any]) -> Any:
        if not issubclass(kind, BaseEstimator):
            raise LoadError(f"{kind.__name__} is no estimator")
        parameters = {name: self.value(value) for name, value in content["parameters"].items()}
        if self.device is not None and "device" in signature(kind).parameters:
            parameters["device"] = self.device
        attributes = {name: self.value(value) for name, value in content["attributes"].items()}
        for name in attributes:
            if not is_attribute(kind, name):
                raise LoadError(f"{name!r} is no fitted attribute of {kind.__name__}")
        estimator = kind(**parameters)
        if hasattr(kind, "_parameter_constraints"):
            estimator._validate_params()
        if hasattr(kind, "_restore") and is_fitted_with(attributes):
            estimator._restore(attributes)
        else:
            vars(estimator).update(attributes)
        return estimator

    def value(self, content: Any) -> Any:
        """What ``content`` stands for."""
        if isinstance(content, int) and not -LARGEST_INTEGER <= content < LARGEST_INTEGER:
            raise LoadError("it has an integer of more than 64 bits")
        if isinstance(content, list):
            return [self.value(part) for part in content]
        if not isinstance(content, dict):
            return content
        ((kind, content),) = content.items()
        return _DECODERS[kind](self, content)

    def _object(self, place: int) -> Any:
        if type(place) is not int or not 0 <= place < len(self.objects):
            raise LoadError(f"object {place!r} is not among those before it")
        return self.objects[place]

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

    def _tensor(self, name: str) -> Tensor:
        # Once only, or a short file could fill the memory. In memory of its own, which torch lays
        # out as it does everywhere.
        tensor = self.tensors.pop(name)
        if tensor.dtype is torch.bool and (tensor.view(torch.uint8) > 1).any():
            raise LoadError(f"{name} has truth values that are none")  # NumPy writes past the end
        return tensor.clone()

    def _array(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = self._tensor(name).numpy()
        return array

    def _transposed(self, name: str) -> NDArray[Any]:
        return self._array(name).T

    def _device(self, name: str) -> torch.device:
        return torch.device(name)

    def _random_state(self, state: list[Any]) -> np.random.RandomState:
        key, place, has_gauss, gauss = (self.value(part) for part in state)
        if key.shape != (624,) or not 0 <= place <= 624:  # NumPy reads past the end otherwise
            raise LoadError("it has an impossible RandomState")
        random_state = np.random.RandomState()
        random_state.set_state(("MT19937", key, place, has_gauss, gauss))
        return random_state


_DECODERS: dict[str, Callable[[_Decoder, Any], Any]] = {
    "object": _Decoder._object,
    "float": _Decoder._float,
    "tuple": _Decoder._tuple,
    "dict": _Decoder._dict,
    "strings": _Decoder._strings,
    "tensor": _Decoder._tensor,
    "array": _Decoder._array,
    "transposed": _Decoder._transposed,
    "device": _Decoder._device,
    "random_state": _Decoder._random_state,
}
