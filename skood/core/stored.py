"""Rows that are read when they are asked for: torch data sets, and arrays of HDF5 or Zarr files."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, SequentialSampler

__all__ = ["StoredRows", "is_stored"]

# Others become float64, as those of arrays do.
_KEPT = ("uint8", "float32", "float64")
# What arrays in memory, data frames and sparse matrices have, and arrays of files do not.
_OF_OTHERS = ("__array_interface__", "__array_namespace__", "columns", "format")


def is_stored(X: Any) -> bool:
    """Whether X is no array, but gives rows of one: a torch data set, or an array of a file."""
    if isinstance(X, Dataset | DataLoader):
        return True
    if isinstance(X, torch.Tensor) or any(hasattr(X, name) for name in _OF_OTHERS):
        return False
    return all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__")) and len(X.shape) > 1


class StoredRows:
    """What `skood.core.rows.Rows` needs of an array, over rows that are somewhere else.

    Parameters
    ----------
    source : torch Dataset, DataLoader, or array of a file
        A data set gives row i, or a tuple that starts with it, for ``source[i]``; the same whenever
        it is asked. Of a loader the data set is used, in its own order. Arrays of h5py and zarr
        have shape, dtype, and take slices and ascending indices.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy dtype
        uint8, float32 or float64.
    given : numpy dtype
        Before integers and others became float64.
    """

    def __init__(self, source: Any):
        self._source = _data_set_of(source)
        self._is_data_set = isinstance(self._source, Dataset)
        if self._is_data_set:
            first = self._row(0) if len(self._source) else np.empty(0)
            self.shape, self.given = (len(self._source), *first.shape), first.dtype
        else:
            self.shape, self.given = tuple(source.shape), np.dtype(source.dtype)
        self.dtype = self.given if self.given.name in _KEPT else np.dtype(np.float64)

    @property
    def ndim(self) -> int:
        """2 for tables; 3 or 4 for images."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice | NDArray[Any]) -> NDArray[Any]:
        places = np.arange(len(self))[which]
        if not len(places):
            return np.empty((0, *self.shape[1:]), self.dtype)
        rows = self._items(places) if self._is_data_set else self._part(places)
        return np.asarray(rows, dtype=self.dtype)

    def _part(self, places: NDArray[np.intp]) -> NDArray[Any]:
        first, last = int(places.min()), int(places.max())
        if np.array_equal(places, np.arange(first, last + 1)):
            return np.asarray(self._source[first : last + 1])
        # Files want each index once and in ascending order.
        ascending, back = np.unique(places, return_inverse=True)
        return np.asarray(self._source[ascending])[back]

    def _items(self, places: NDArray[np.intp]) -> NDArray[Any]:
        rows = [self._row(int(place)) for place in places]
        for place, row in zip(places, rows, strict=True):
            if row.shape != self.shape[1:]:
                raise ValueError(
                    f"Row {place} of X has shape {row.shape}, and row 0 {self.shape[1:]}. Give "
                    "rows of one shape, for instance images that were resized."
                )
        return np.stack(rows)

    def _row(self, place: int) -> NDArray[Any]:
        item = self._source[place]
        if isinstance(item, tuple | list):
            item = item[0]
        row = item.numpy(force=True) if isinstance(item, torch.Tensor) else np.asarray(item)
        if row.dtype.kind not in "biuf":
            raise TypeError(
                f"X is a {type(self._source).__name__} whose row {place} is a "
                f"{type(item).__name__}. A data set must give a tensor, an array, an image, or a "
                "tuple that starts with one."
            )
        return row


def _data_set_of(source: Any) -> Any:
    loader = source if isinstance(source, DataLoader) else None
    data_set = loader.dataset if loader is not None else source
    if isinstance(data_set, IterableDataset):
        raise TypeError(
            f"X is a torch {type(data_set).__name__}, whose rows can be read once and in one order "
            "only. Write them into an array on disk first: see skood.datasets.join_shards."
        )
    # `type`: a subset or a weighted draw are other samplers, and may be their subclasses.
    if loader is not None and type(loader.sampler) not in (SequentialSampler, RandomSampler):
        raise TypeError(
            f"X is a torch DataLoader with a {type(loader.sampler).__name__}, which skood would "
            "ignore: it draws batches itself. Give the data set, or a torch.utils.data.Subset."
        )
    return data_set
