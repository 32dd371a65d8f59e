"""Many arrays as one on disk, which estimators read a few rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from skood.core.atomic import replacing

__all__ = ["join_shards"]


def join_shards(
    shards: Iterable[Any], path: str | os.PathLike[str], *, key: str = "X"
) -> NDArray[Any]:
    """Write shards one after the other into a ``.npy`` file, with one in memory at a time.

    Training takes rows in random order, which files of packed rows cannot give. A memory map can:
    give the result to `fit` and to `score_samples`, whose memory does not grow with its rows.

    Parameters
    ----------
    shards : iterable
        Of arrays or tensors (n, ...) with rows of one shape and type, or paths of ``.npy``,
        ``.npz`` or ``.parquet`` files (these need pandas and pyarrow).
    path : path
        Of the new file. It is there when all shards are in it, and not before.
    key : str, default="X"
        Name of the array in ``.npz`` files.

    Returns
    -------
    memmap of shape (n_all, ...)
        Of the new file, read-only.

    Raises
    ------
    ValueError
        If there is no shard, or one has rows of another shape or type than the first.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skood.datasets import join_shards
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     X = join_shards((np.full((2, 3), i) for i in range(4)), f"{folder}/X.npy")
    ...     print(X.shape, X[:, 0])
    (8, 3) [0 0 1 1 2 2 3 3]
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        _write(file, shards, key)
    joined: NDArray[Any] = np.load(path, mmap_mode="r")
    return joined


def _write(file: BinaryIO, shards: Iterable[Any], key: str) -> None:
    first, n_rows = None, 0
    for i, shard in enumerate(shards):
        X = np.ascontiguousarray(_array_of(shard, key))
        if first is None:
            first = X[:0].copy()  # a view would keep the shard
            _write_header(file, first, 0)
        if X.shape[1:] != first.shape[1:] or X.dtype != first.dtype or X.ndim < 2:
            raise ValueError(
                f"Shard {i} is an array of shape {X.shape} and type {X.dtype}; the first one has "
                f"rows of shape {first.shape[1:]} and type {first.dtype}. Give arrays (n, ...) "
                "with rows of one shape and type."
            )
        file.write(X.data.cast("B") if X.size else b"")
        n_rows += len(X)
    if first is None:
        raise ValueError("shards is empty; give at least one array or path.")
    file.seek(0)
    _write_header(file, first, n_rows)


def _write_header(file: BinaryIO, like: NDArray[Any], n_rows: int) -> None:
    # NumPy leaves room for the number of rows, so that the header keeps its length.
    header = np.lib.format.header_data_from_array_1_0(like)
    header["shape"] = (n_rows, *like.shape[1:])
    np.lib.format.write_array_header_1_0(file, header)


def _array_of(shard: Any, key: str) -> NDArray[Any]:
    if not isinstance(shard, str | os.PathLike):
        return np.asarray(shard)
    kind = Path(shard).suffix
    if kind == ".parquet":
        import pandas as pd  # type: ignore[import-untyped]

        frame: NDArray[Any] = pd.read_parquet(shard).to_numpy()
        return frame
    if kind not in (".npy", ".npz"):
        raise ValueError(f"{os.fspath(shard)!r} is no .npy, .npz or .parquet file.")
    loaded = np.load(shard, mmap_mode="r", allow_pickle=False)
    if kind == ".npy":
        return np.asarray(loaded)
    with loaded:
        if key not in loaded:
            raise ValueError(
                f"{os.fspath(shard)!r} has no array {key!r}, but {list(loaded)}; name it by key=."
            )
        return np.asarray(loaded[key])
