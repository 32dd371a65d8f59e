"""From a fitted estimator to a JSON document and tensors, and nothing that could be code.

A document has a list of objects, the parts before the whole that refers to them by their place. An
object has the name of its class, and either the parameters and fitted attributes of an estimator or
the fields of a dataclass. Values are what JSON has, or ``{kind: content}`` for what it has not;
`skood.core.decoding` reads them.
"""

from __future__ import annotations

import dataclasses
import math
import platform
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from torch import Tensor, nn

from skood.core import wrapped
from skood.core.callers import stacklevel_of_user
from skood.core.version import __version__

__all__ = ["LARGEST_INTEGER", "attributes_of", "encode", "is_attribute", "is_fitted_with"]

# Python's integers have no limit, but time and memory have.
LARGEST_INTEGER = 2**63
# What scikit-learn calls fitted attributes, and where it keeps what `set_output` was told.
_ATTRIBUTE = re.compile(r"[A-Za-z]\w*_|_sklearn_output_config")


def encode(estimator: BaseEstimator) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A document, and the tensors that it names.

    Raises
    ------
    ValueError
        If the estimator holds something that is neither a plain value nor an estimator; the message
        says where.

    Warns
    -----
    UserWarning
        If it has parameters that belong to this machine, or are code, which are left out.
    """
    encoder = _Encoder()
    encoder.value(estimator, type(estimator).__name__)
    versions = {"skood": __version__, "torch": str(torch.__version__), "numpy": np.__version__}
    versions |= {"scikit-learn": sklearn.__version__, "python": platform.python_version()}
    return {"versions": versions, "objects": encoder.objects}, encoder.tensors


def attributes_of(estimator: BaseEstimator) -> dict[str, Any]:
    """All that an estimator has besides its parameters."""
    parameters = estimator.get_params(deep=False)
    return {name: value for name, value in vars(estimator).items() if name not in parameters}


def is_attribute(kind: type, name: str) -> bool:
    """Whether ``name`` may be a fitted attribute, and no method or property of the class."""
    return _ATTRIBUTE.fullmatch(name) is not None and not hasattr(kind, name)


def is_fitted_with(attributes: Iterable[str]) -> bool:
    """Whether an estimator with attributes of these names is fitted."""
    return any(name.endswith("_") for name in attributes)


class _Encoder:
    """What was encoded so far.

    Attributes
    ----------
    objects : list of dict
    tensors : dict from str to Tensor
        By where they are in the estimator.
    """

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.tensors: dict[str, Tensor] = {}
        self._places: dict[int, int] = {}  # of objects, by their id
        self._seen: list[Any] = []  # so that no other object gets one of these ids

    def value(self, value: Any, where: str) -> Any:
        """What stands for ``value`` in the document; ``where`` it is in the estimator."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or type(value) in (bool, str):
            return value
        if type(value) in _ENCODERS:
            return _ENCODERS[type(value)](self, value, where)
        if isinstance(value, BaseEstimator):
            return self._object(value, where, self._wrapped if _is_foreign(value) else self._own)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._object(value, where, self._dataclass)
        raise ValueError(
            f"{where} is a {type(value).__name__}, which cannot be saved without pickle. Numbers, "
            "text, arrays, tensors, estimators, and lists and dicts of them can."
        )

    def _integer(self, value: int, where: str) -> int:
        if not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
            raise ValueError(f"{where}={value} has more than 64 bits. Use a smaller number.")
        return int(value)

    def _float(self, value: float, where: str) -> Any:
        return float(value) if math.isfinite(value) else {"float": str(float(value))}

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
        # The order of the numbers in memory changes the last digits of products.
        is_transposed = value.flags.f_contiguous and not value.flags.c_contiguous
        native = value.dtype.newbyteorder("=")
        rows = np.array(value.T if is_transposed else value, dtype=native, order="C")
        self.tensors[where] = torch.from_numpy(rows)
        return {"transposed" if is_transposed else "array": where}

    def _tensor(self, value: Tensor, where: str) -> Any:
        self.tensors[where] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": where}

    def _device(self, value: torch.device, where: str) -> Any:
        return {"device": str(value)}

    def _random_state(self, value: np.random.RandomState, where: str) -> Any:
        state = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise ValueError(f"{where} is of {state['bit_generator']}. Use an integer.")
        parts = (state["state"]["key"], state["state"]["pos"], state["has_gauss"], state["gauss"])
        return {"random_state": [self.value(part, where) for part in parts]}

    def _object(
        self, value: Any, where: str, encoder: Callable[[Any, str], dict[str, Any]]
    ) -> dict[str, int]:
        """Encoded at its first place only: what was one object is one again."""
        if id(value) not in self._places:
            content = encoder(value, where)
            self._seen.append(value)
            self._places[id(value)] = len(self.objects)
            self.objects.append({"class": type(value).__name__, **content})
        return {"object": self._places[id(value)]}

    def _own(self, value: Any, where: str) -> dict[str, Any]:
        parameters = value.get_params(deep=False)
        for name in getattr(value, "_not_saved", ()):
            if parameters.pop(name, None):
                warnings.warn(
                    f"{where}.{name} is not saved, and the loaded estimator has the default: set "
                    "it there if it is needed.",
                    stacklevel=stacklevel_of_user(),
                )
        attributes = attributes_of(value)
        if hasattr(value, "_to_save") and is_fitted_with(attributes):
            attributes = value._to_save()
        for name in attributes:
            if not is_attribute(type(value), name):
                raise ValueError(
                    f"{where} has {name!r}, and fitted attributes that can be saved have names "
                    "that begin with a letter and end in '_'."
                )
        encoded = {
            "parameters": {k: self.value(v, f"{where}.{k}") for k, v in parameters.items()},
            "attributes": {k: self.value(v, f"{where}.{k}") for k, v in attributes.items()},
        }
        return {"module": type(value).__module__, **encoded}

    def _dataclass(self, value: Any, where: str) -> dict[str, Any]:
        names = [field.name for field in dataclasses.fields(value)]
        return {"fields": {n: self.value(getattr(value, n), f"{where}.{n}") for n in names}}

    def _wrapped(self, value: BaseEstimator, where: str) -> dict[str, Any]:
        array = np.frombuffer(wrapped.dumps(value, where), dtype=np.uint8)
        return {"skops": self.value(array, where)}


def _is_foreign(estimator: BaseEstimator) -> bool:
    """Whether it is one of scikit-learn's, which are not made of their public attributes alone."""
    is_of_sklearn = type(estimator).__module__.startswith("sklearn.")
    return is_of_sklearn and not isinstance(estimator, FrozenEstimator)


# By the very type: a subclass may be more than the values that it holds.
_ENCODERS: dict[type, Callable[[_Encoder, Any, str], Any]] = {
    int: _Encoder._integer,
    float: _Encoder._float,
    list: _Encoder._list,
    tuple: _Encoder._tuple,
    dict: _Encoder._dict,
    OrderedDict: _Encoder._dict,
    np.ndarray: _Encoder._array,
    np.memmap: _Encoder._array,
    Tensor: _Encoder._tensor,
    nn.Parameter: _Encoder._tensor,
    torch.device: _Encoder._device,
    np.random.RandomState: _Encoder._random_state,
}
