"""Files of training states: a JSON document and tensors in one safetensors file, without pickle.

JSON has neither tensors, tuples nor keys that are numbers, so each of these, and a dict, is written
as ``{kind: content}``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from skood.core.atomic import replacing
from skood.training.state import TrainingState

__all__ = ["read_state", "write_state"]

_KEY = "skood_training_state"
_Tensors = dict[str, Tensor]


def write_state(path: Path, identity: dict[str, Any], state: TrainingState) -> None:
    """Write a file that `read_state` reads, at once in the place of one that may be there.

    Parameters
    ----------
    path : Path
    identity : dict
        Of JSON values: which training it is.
    state : TrainingState
    """
    tensors: _Tensors = {}
    text = json.dumps({"identity": identity, "state": _packed(vars(state), tensors)})
    metadata = {_KEY: text, "sha256": _digest(text, tensors)}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata)


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
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
            # The tensors of an open file are its bytes, and go with them.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
        text = metadata[_KEY]
        if metadata["sha256"] != _digest(text, tensors):
            raise ValueError("the content does not have the checksum that is in it")
        document = json.loads(text)
        return dict(document["identity"]), TrainingState(**_unpacked(document["state"], tensors))
    except OSError:
        raise
    except Exception as error:  # of JSON, of safetensors, or of a document with other content
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _digest(text: str, tensors: _Tensors) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _packed(value: Any, tensors: _Tensors) -> Any:
    if isinstance(value, Tensor):
        return {"tensor": _pack_tensor(value.detach().cpu(), tensors)}
    if isinstance(value, dict):
        return {"dict": [[key, _packed(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_packed(item, tensors) for item in value]
    return value


def _pack_tensor(tensor: Tensor, tensors: _Tensors) -> list[Any]:
    # Its axes in the order in which they lie in memory. Fused optimisers take for granted that
    # their moments lie there as the weights do.
    axes = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    name = str(len(tensors))
    tensors[name] = tensor.permute(axes).contiguous()
    return [name, axes]


def _unpacked(content: Any, tensors: _Tensors) -> Any:
    if isinstance(content, list):
        return [_unpacked(item, tensors) for item in content]
    if not isinstance(content, dict):
        return content
    ((kind, content),) = content.items()
    if kind == "tensor":
        name, axes = content
        return tensors[name].permute([axes.index(axis) for axis in range(len(axes))])
    if kind == "tuple":
        return tuple(_unpacked(item, tensors) for item in content)
    return {key: _unpacked(item, tensors) for key, item in content}
