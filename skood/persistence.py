"""Loading what ``estimator.save(path)`` wrote: no code runs, whoever wrote the file."""

from __future__ import annotations

import dataclasses
import importlib
import os
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from sklearn.frozen import FrozenEstimator

import skood.core
import skood.detectors
import skood.models
import skood.objectives
import skood.scores
from skood.core.batches import resolve_device
from skood.core.decoding import decode
from skood.core.exceptions import LoadError
from skood.core.modes import own_modes
from skood.core.savable import Savable
from skood.core.saved_files import read
from skood.monitoring import DriftMonitor
from skood.training.trainer import Trainer

__all__ = ["load"]


def load(
    path: str | os.PathLike[str],
    *,
    device: str | torch.device | None = None,
    classes: Sequence[type] = (),
) -> Any:
    """Load an estimator that ``estimator.save(path)`` wrote, or a `DriftMonitor`.

    A file holds numbers, text, and names of classes of skood. No code runs that comes from it,
    whoever wrote it, and it cannot take more memory than some times its size. That does not make
    its numbers right: a detector from somebody else may call anything normal.

    Parameters
    ----------
    path : str or path
    device : str, torch.device or None, default=None
        The parameter of that name of the estimator and all its parts: "cpu" where one was trained
        on a GPU that is not here. None is the one that it was saved with.
    classes : sequence of classes, default=()
        Classes of your own, or of packages that you trust, that the file may hold besides skood's.

    Returns
    -------
    estimator
        With the parameters and bitwise the scores of the saved one, in the same environment. It
        can be fitted again.

    Raises
    ------
    LoadError
        If it is no file of skood's, or damaged, or not consistent, or of a newer format.
    ValueError
        If ``device`` cannot be used here, or ``classes`` has the name of a class of skood.
    OSError
        If there is no such file, or it may not be read.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import skood
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     skood.MAF(max_epochs=2, random_state=0).fit(X).save(path)
    ...     model = skood.load(path, device="cpu")
    >>> model.score_samples(X[:3]).shape
    (3,)
    """
    known = _with_those_of_the_user(classes)
    if device is not None:
        resolve_device(device)
    try:
        with own_modes(grad=True):
            estimator = decode(*read(path), known, device)
        if not isinstance(estimator, Savable):
            raise LoadError(f"it holds a {type(estimator).__name__} by itself")
    except (OSError, ImportError):
        raise
    except Exception as error:  # of any type, since a file can hold anything
        reason = str(error) or type(error).__name__
        raise LoadError(f"{os.fspath(path)!r} cannot be loaded: {reason:.1000}.") from error
    return estimator


def _with_those_of_the_user(classes: Iterable[type]) -> dict[str, type]:
    known = _classes()
    for kind in classes:
        if known.setdefault(kind.__name__, kind) is not kind:
            raise ValueError(
                f"classes has {kind!r}, and there is {known[kind.__name__]!r}, of the same name. "
                "Rename one of them, and save again."
            )
    return known


def _classes() -> dict[str, type]:
    """All classes of skood that files may hold, by their names."""
    found = [FrozenEstimator, Trainer, DriftMonitor, *_dataclasses()]
    for package in (skood.detectors, skood.models, skood.objectives):
        found += [getattr(package, name) for name in package.__all__]
    return {kind.__name__: kind for kind in found}


def _dataclasses() -> Iterator[type]:
    """The frozen ones, which are values, of the rooms whose classes fitted estimators hold."""
    for package in (skood.core, skood.scores, skood.detectors):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for kind in vars(importlib.import_module(found.name)).values():
                is_value = isinstance(kind, type) and dataclasses.is_dataclass(kind)
                if is_value and kind.__dataclass_params__.frozen:
                    yield kind
