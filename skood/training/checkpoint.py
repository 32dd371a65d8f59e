"""A training that outlives its process: `Trainer` with ``checkpoint``."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from pickle import PicklingError
from typing import Any

import numpy as np
import torch
from joblib import hash as hash_of
from sklearn.base import BaseEstimator

from skood.core.callers import stacklevel_of_user
from skood.core.rows import Rows
from skood.core.version import __version__
from skood.training.state import TrainingState
from skood.training.state_file import read_state, write_state
from skood.training.trainer import WITHOUT_EFFECT

__all__ = ["Checkpoint", "identity_of"]

_log = logging.getLogger(__name__)

# The seed, the device and the parts of the trainer say more.
_SAID_OTHERWISE = {*WITHOUT_EFFECT, "random_state", "trainer"}


def identity_of(
    estimator: BaseEstimator, rows: Rows, *, seed: int, device: torch.device
) -> dict[str, Any]:
    """All that the weights of a training depend on, as JSON values, by names that users know."""
    parameters = {
        name: _plain(name, value)
        for name, value in estimator.get_params().items()
        if name not in _SAID_OTHERWISE
    }
    return {
        "class": _class_name(estimator),
        "shape of the training rows": list(rows.shape),
        "type of the training rows": f"{rows.array.dtype} from {rows.origin}",
        "SHA-256 of the training rows": _digest(rows),
        **parameters,
        "seed (random_state)": seed,
        "device": device.type,
        "version of skood": __version__,
        "version of torch": str(torch.__version__),
    }


def _digest(rows: Rows) -> str:
    digest = hashlib.sha256()
    for chunk in rows.chunks():
        digest.update(np.ascontiguousarray(chunk).data)
    return digest.hexdigest()


def _plain(name: str, value: Any) -> Any:
    """A JSON value that is the same for equal parameters only."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [_plain(name, item) for item in value]
    if isinstance(value, BaseEstimator):
        return _class_name(value)  # its parameters have names of their own
    try:
        return f"{_class_name(value)} {hash_of(value)}"
    except (PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{name}={value!r} cannot be told from other values, so trainer.checkpoint does not "
            "work with it. Define its class or function at the top level of a module."
        ) from error


def _class_name(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


class Checkpoint:
    """Where a training is kept after each epoch.

    Parameters
    ----------
    path : str or path
        A file, of one training; or a folder that is there, in which each training has a file.
    identity : dict
        See `identity_of`.
    """

    def __init__(self, path: str | os.PathLike[str], identity: dict[str, Any]):
        self.path, self.identity = Path(path), identity
        if self.path.is_dir():
            name = identity["class"].rpartition(".")[2]
            number = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:20]
            self.path = self.path / f"{name}-{number}.safetensors"
        if not self.path.parent.is_dir():
            raise ValueError(
                f"checkpoint={str(path)!r} is in no folder that is there. Create "
                f"{str(self.path.parent)!r} first."
            )

    def read(self) -> TrainingState | None:
        """What an earlier process has left, if any.

        Raises
        ------
        ValueError
            If the file is of another training, or is none.
        """
        if not self.path.exists():
            return None
        remedy = (
            "Delete the file to train anew, or give another path. If checkpoint is a folder, each "
            "training has a file of its own there."
        )
        try:
            identity, state = read_state(self.path)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"checkpoint={str(self.path)!r} cannot be read ({error}). {remedy}"
            ) from error
        if identity != self.identity:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is of another training: "
                f"{_differences(identity, self.identity)}. {remedy}"
            )
        _log.info("the training in %s is taken up after epoch %d", self.path, state.epoch)
        return state

    def write(self, state: Callable[[], TrainingState]) -> None:
        """Keep what training has come to.

        Warns
        -----
        UserWarning
            If there is no room for it: training goes on.
        """
        present = state()
        try:
            write_state(self.path, self.identity, present)
        except OSError as error:
            warnings.warn(
                f"checkpoint={str(self.path)!r} cannot be written after epoch {present.epoch} "
                f"({error}); training goes on. Make room, or write access.",
                stacklevel=stacklevel_of_user(),
            )
        else:
            _log.info("epoch %d is kept in %s", present.epoch, self.path)


def _differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    names = dict.fromkeys([*there, *here])
    return "; ".join(
        f"{name} is {there.get(name)!r} in the file and {here.get(name)!r} here"
        for name in names
        if there.get(name) != here.get(name)
    )
