"""From a document of `skood.core.encoding` back to an estimator.

Nothing in a document is trusted: it names classes of a given list, parameters that these classes
take for valid, and fitted attributes, each of which the class may check in ``_restore``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor

from skood.core import wrapped
from skood.core.encoding import is_attribute, is_fitted_with
from skood.core.exceptions import LoadError
from skood.core.savable import Savable
from skood.core.values import ValueDecoder

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
    if "objects" not in document:
        raise LoadError("it holds no estimator; a checkpoint is for Trainer(checkpoint=...)")
    decoder = _EstimatorDecoder(tensors, classes, device)
    for content in document["objects"]:
        decoder.objects.append(decoder.object(content))
    decoder.check_nothing_is_left()
    return decoder.objects[-1]


class _EstimatorDecoder(ValueDecoder):
    """What was decoded so far, and the tensors that are left."""

    kinds = ValueDecoder.kinds | {"object": "_object"}

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        classes: Mapping[str, type],
        device: str | torch.device | None,
    ):
        super().__init__(tensors)
        self.objects: list[Any] = []
        self.classes, self.device = classes, device

    def object(self, content: dict[str, Any]) -> Any:
        """An estimator, a monitor or a dataclass."""
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
        if not issubclass(kind, BaseEstimator | Savable):
            raise LoadError(f"{kind.__name__} is no estimator")
        parameters = {name: self.value(value) for name, value in content["parameters"].items()}
        if self.device is not None and "device" in signature(kind).parameters:
            parameters["device"] = self.device
        attributes = {name: self.value(value) for name, value in content["attributes"].items()}
        for name in attributes:
            if not is_attribute(kind, name):
                raise LoadError(f"{name!r} is no fitted attribute of {kind.__name__}")
        estimator: Any = kind(**parameters)
        if hasattr(kind, "_parameter_constraints"):
            estimator._validate_params()
        if hasattr(kind, "_restore") and is_fitted_with(attributes):
            estimator._restore(attributes)
        else:
            vars(estimator).update(attributes)
        return estimator

    def _object(self, place: int) -> Any:
        if type(place) is not int or not 0 <= place < len(self.objects):
            raise LoadError(f"object {place!r} is not among those before it")
        return self.objects[place]
