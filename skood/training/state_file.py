"""Files of training states: plain values in a file as those of saved estimators, without pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skood.core.saved_files import read, write
from skood.core.values import ValueDecoder, ValueEncoder
from skood.training.state import TrainingState

__all__ = ["read_state", "write_state"]


def write_state(path: Path, identity: dict[str, Any], state: TrainingState) -> None:
    """Write a file that `read_state` reads, at once in the place of one that may be there.

    Parameters
    ----------
    path : Path
    identity : dict
        Of JSON values: which training it is.
    state : TrainingState
    """
    encoder = ValueEncoder()
    document = {"identity": identity, "state": encoder.value(vars(state), "state")}
    write(path, document, encoder.tensors)


def read_state(path: Path) -> tuple[dict[str, Any], TrainingState]:
    """The identity and the state in a file.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged, or another kind of file.
    """
    try:
        document, tensors = read(path)
        if "state" not in document:
            raise ValueError("it is no checkpoint")
        state = TrainingState(**ValueDecoder(tensors).value(document["state"]))
        return dict(document["identity"]), state
    except (OSError, ValueError):
        raise
    except Exception as error:  # of a document with other content
        raise ValueError(f"{type(error).__name__}: {error}") from error
