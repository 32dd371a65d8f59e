"""From a fitted estimator to a JSON document and tensors, and nothing that could be code.

A document has a list of objects, the parts before the whole that refers to them by their place. An
object has the name of its class, and either the parameters and fitted attributes of an estimator or
the fields of a dataclass; `skood.core.values` writes what they hold, and `skood.core.decoding`
reads all of it.
"""

from __future__ import annotations

import dataclasses
import platform
import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from torch import Tensor

from skood.core import wrapped
from skood.core.callers import stacklevel_of_user
from skood.core.values import ValueEncoder
from skood.core.version import __version__

__all__ = ["attributes_of", "encode", "is_attribute", "is_fitted_with"]

# What scikit-learn calls fitted attributes, and where it keeps what `set_output` was told.
_ATTRIBUTE = re.compile(r"[A-Za-z]\w*_|_sklearn_output_config")


def encode(estimator: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A document, and the tensors that it names.

    Parameters
    ----------
    estimator : estimator, or another `skood.core.savable.Savable` with ``get_params``

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
    encoder = _EstimatorEncoder()
    encoder.value(estimator, type(estimator).__name__)
    versions = {"skood": __version__, "torch": str(torch.__version__), "numpy": np.__version__}
    versions |= {"scikit-learn": sklearn.__version__, "python": platform.python_version()}
    return {"versions": versions, "objects": encoder.objects}, encoder.tensors


def attributes_of(estimator: Any) -> dict[str, Any]:
    """All that an estimator has besides its parameters."""
    parameters = estimator.get_params(deep=False)
    return {name: value for name, value in vars(estimator).items() if name not in parameters}


def is_attribute(kind: type, name: str) -> bool:
    """Whether ``name`` may be a fitted attribute, and no method or property of the class."""
    return _ATTRIBUTE.fullmatch(name) is not None and not hasattr(kind, name)


def is_fitted_with(attributes: Iterable[str]) -> bool:
    """Whether an estimator with attributes of these names is fitted."""
    return any(name.endswith("_") for name in attributes)


class _EstimatorEncoder(ValueEncoder):
    """What was encoded so far.

    Attributes
    ----------
    objects : list of dict
    """

    def __init__(self) -> None:
        super().__init__()
        self.objects: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}  # of objects, by their id
        self._seen: list[Any] = []  # so that no other object gets one of these ids

    def other(self, value: Any, where: str) -> Any:
        if isinstance(value, BaseEstimator) or hasattr(value, "_to_save"):
            return self._object(value, where, self._wrapped if _is_foreign(value) else self._own)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._object(value, where, self._dataclass)
        return super().other(value, where)

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
        parameters, attributes = value.get_params(deep=False), attributes_of(value)
        # What is saved and no estimator has no `fit`: it is always ready.
        is_ready = not isinstance(value, BaseEstimator) or is_fitted_with(attributes)
        if hasattr(value, "_to_save") and is_ready:
            attributes = value._to_save()
        for name in getattr(value, "_not_saved", ()):
            if parameters.pop(name, None) or attributes.pop(name, None):
                warnings.warn(
                    f"{where}.{name} is not saved, and the loaded estimator has the default: set "
                    "it there if it is needed.",
                    stacklevel=stacklevel_of_user(),
                )
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
