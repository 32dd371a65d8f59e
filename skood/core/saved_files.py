"""Files of saved estimators: a JSON document and tensors in one safetensors file.

The format (https://github.com/huggingface/safetensors) is a table of tensors, with strings as
``__metadata__``, followed by their bytes. It has no code, no compression and no files in it.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, BinaryIO

import torch
from safetensors.torch import load, save_file
from torch import Tensor

from skood.core.atomic import replacing
from skood.core.exceptions import LoadError

__all__ = ["FORMAT", "read", "write"]

# Of the document and of what stands for what in it. A change that today's code cannot read makes it
# one more, and the code then reads this one as well: see docs/guide/saving.md for what is promised.
FORMAT = 1

# The length of the table stands before it, little-endian.
_PREFIX = 8
_PICKLE = b"\x80"  # how those of protocol 2 and later begin
# Of the table with the document: once it is parsed it may take twenty times as much memory.
_LONGEST_TABLE = 2**24


def write(
    path: str | os.PathLike[str], document: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    """Write a file that `read` reads, in the place of one that may be there.

    Parameters
    ----------
    path : str or path
        The file is there whole or not at all, see `skood.core.atomic.replacing`.
    document : dict
        Values of JSON, finite numbers only.
    tensors : dict from str to Tensor
        Contiguous, on the CPU, no two in the same memory.
    """
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    metadata = {"skood_format": str(FORMAT), "document": text, "sha256": _digest(text, tensors)}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata)
        with open(temporary, "rb") as file:
            length = int.from_bytes(file.read(_PREFIX), "little")
        if length > _LONGEST_TABLE:
            raise ValueError(
                f"What there is to save besides arrays takes {length} bytes, and may take "
                f"{_LONGEST_TABLE}. Hold long lists as arrays."
            )


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The document and the tensors of a file.

    Raises
    ------
    LoadError
        If it is no file of skood's, of a newer format, or damaged. It takes no more memory than a
        few times the size of the file.
    OSError
        If there is none, or it may not be read.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise LoadError("it is no regular file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = _table(file, size)
        metadata = _metadata(start[_PREFIX:])
        content = start + file.read(size - len(start))
    try:
        tensors = load(content)
    except Exception as error:
        raise LoadError(f"it is damaged or cut off ({error})") from error
    text = metadata.get("document", "")
    if metadata.get("sha256") != _digest(text, tensors):
        raise LoadError("it is damaged: its content does not have the checksum that it names")
    document = json.loads(text, parse_constant=_refuse)
    if not isinstance(document, dict):
        raise LoadError("its document is no dictionary")
    return document, tensors


def _table(file: BinaryIO, size: int) -> bytes:
    """The first part of a file, down to the bytes of the tensors."""
    prefix = file.read(_PREFIX)
    length = int.from_bytes(prefix, "little")
    if len(prefix) == _PREFIX and length <= min(size - _PREFIX, _LONGEST_TABLE):
        return prefix + file.read(length)
    if prefix[:1] == _PICKLE:
        raise LoadError("it looks like a pickle, which could run code, and was not saved by skood")
    raise LoadError("it was not saved by skood, or is cut off")


def _metadata(table: bytes) -> dict[str, str]:
    try:
        metadata = json.loads(table)["__metadata__"]
        file_format = int(metadata["skood_format"])
    except Exception as error:
        raise LoadError("it was not saved by skood, or is damaged") from error
    if file_format != FORMAT:
        raise LoadError(
            f"its format is {file_format}, and this version of skood reads {FORMAT}. Use the "
            "version that saved it, or a newer one"
        )
    if not all(isinstance(value, str) for value in metadata.values()):
        raise LoadError("its metadata are not all strings")
    return dict(metadata)


def _refuse(constant: str) -> None:
    raise LoadError(f"its document holds {constant}, which is no number of JSON")


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 of all that a file says."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.numel():  # torch does not view what is empty as bytes
            digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
