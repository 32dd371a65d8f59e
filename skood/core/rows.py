"""Rows: from what the user gives to arrays that were checked once, without copies."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from scipy import sparse
from sklearn.utils.validation import validate_data

from skood.core.stored import StoredRows, is_stored

__all__ = ["Rows", "channel_axis", "check_rows", "unfitted_copy"]

_CHANNELS = (1, 3, 4)
_FITTED_ON = ("input_shape_", "n_features_in_", "feature_names_in_")
# In memory at a time, where a statistic of all rows is computed.
_CHUNK_BYTES = 2**21


class Rows:
    """Some rows of a checked array, in some order; none is copied before it is used.

    Public methods take it in place of an array, and do not check it again.

    Parameters
    ----------
    array : ndarray of shape (n_all, ...), or StoredRows
        uint8, float32 or float64, in memory, memory-mapped, or read when it is asked for.
    origin : {"uint8", "bool", "integer", "float"}
        What the user gave: black-and-white images are not dark 8-bit ones.
    names : ndarray of str or None
        Of the columns of a data frame.
    index : ndarray of int or None
        Which rows; None is all of them.
    """

    def __init__(
        self,
        array: NDArray[Any] | StoredRows,
        origin: str,
        names: NDArray[Any] | None = None,
        index: NDArray[np.intp] | None = None,
    ):
        self.array, self.origin, self.names, self.index = array, origin, names, index

    def __len__(self) -> int:
        return len(self.array) if self.index is None else len(self.index)

    def __getitem__(self, which: slice | NDArray[Any]) -> Rows:
        if self.index is not None:
            index = self.index[which]
        elif isinstance(which, slice):
            index = np.arange(*which.indices(len(self.array)))  # as few as there are rows in it
        else:
            index = np.arange(len(self.array))[which]
        return Rows(self.array, self.origin, self.names, index)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.take(slice(None)), dtype=dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array that these rows would make."""
        return (len(self), *self.array.shape[1:])

    @property
    def ndim(self) -> int:
        """2 for tables; 3 or 4 for images."""
        return self.array.ndim

    def take(self, which: slice | NDArray[Any]) -> NDArray[Any]:
        """The rows at these places, as an array of their own where it is not all of them."""
        return self.array[which] if self.index is None else self.array[self.index[which]]

    def chunks(self) -> Iterator[NDArray[Any]]:
        """All rows in order, a few hundred kilobytes at a time, which fit a cache."""
        n_values = max(1, math.prod(self.array.shape[1:]))
        size = max(1, _CHUNK_BYTES // (8 * n_values))
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    def as_given(self) -> Any:
        """What an estimator that is not skood's takes: an array, or a data frame if it was one."""
        if self.names is None:
            return self._numbers()
        import pandas as pd  # type: ignore[import-untyped]  # there is one, or no names

        return pd.DataFrame(self._numbers(), columns=list(self.names))

    def as_vectors(self) -> NDArray[Any]:
        """One vector of floats for each row: scikit-learn's GaussianMixture computes in uint8."""
        array = np.asarray(self).reshape(len(self), -1)
        return array.astype(np.float64) if array.dtype == np.uint8 else array

    def _numbers(self) -> NDArray[Any]:
        return self.as_vectors() if self.ndim == 2 else np.asarray(self)

    def as_known_to(self, estimator: Any) -> Any:
        """`as_given`, but for a fitted estimator that saw an array: a frozen one may have."""
        knows_no_names = hasattr(estimator, "n_features_in_") and not hasattr(
            estimator, "feature_names_in_"
        )
        return self._numbers() if knows_no_names else self.as_given()

    def remember_on(self, estimator: Any) -> None:
        """Give the estimator the fitted attributes that tell what rows it knows."""
        for name in _FITTED_ON:
            vars(estimator).pop(name, None)
        estimator.input_shape_ = self.shape[1:]
        estimator.n_features_in_ = self.shape[1]
        if self.names is not None:
            estimator.feature_names_in_ = self.names


def check_rows(estimator: Any, X: Any, *, reset: bool) -> Rows:
    """Validate tables and images; `Rows` that were checked before are only compared.

    Parameters
    ----------
    estimator : estimator
        Is not changed: see `Rows.remember_on`.
    X : array-like or torch tensor of shape (n, features), (n, height, width), \
(n, height, width, channels) or (n, channels, height, width); or Rows
        Also a torch Dataset or DataLoader, or an array of a file: see `StoredRows`.
    reset : bool
        True in ``fit``; False where X must match what was fitted.

    Returns
    -------
    Rows
        uint8 and float32 are kept as they are (without a copy where possible, so that a memory map
        stays on disk), integers from 0 to 255 of images become uint8, and anything else float64.

    Raises
    ------
    ValueError
        If X is empty, sparse, not numeric, not finite, has missing or masked values, or its rows
        have another shape.
    TypeError
        If X is a torch data set that cannot be asked for any row, or for rows that are no arrays.
    """
    if isinstance(X, Rows):
        return _compared(estimator, X, reset)
    if is_stored(X):
        return _check_stored(estimator, StoredRows(X), reset)
    X, origin = _as_array(X)
    _check_shape(estimator, tuple(X.shape), reset)
    array, names = _validated(estimator, X, reset)
    return Rows(array, origin or _origin(array.dtype), names)


def _check_stored(estimator: Any, X: StoredRows, reset: bool) -> Rows:
    """All rows are read once to see that they are finite, and not kept."""
    _check_shape(estimator, X.shape, reset)
    rows, origin = Rows(X, _origin(X.given)), _origin(X.given)
    _validated(estimator, X[:1], reset)  # also where there is none
    is_byte = origin == "integer"
    for chunk in rows.chunks():
        _validated(estimator, chunk, reset)
        is_byte = is_byte and _are_bytes(chunk)
    if X.ndim > 2 and (is_byte or origin == "bool"):
        X.dtype = np.dtype(np.uint8 if is_byte else np.float32)
    return rows


def _are_bytes(X: NDArray[Any]) -> bool:
    """Whether whole numbers can be 8-bit pixels."""
    return bool(X.size and X.min() >= 0 and X.max() <= 255)


def _validated(estimator: Any, X: Any, reset: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The array, and the names of its columns."""
    probe = copy.copy(estimator)  # gets the fitted attributes that validate_data sets
    array = validate_data(
        probe, X, reset=reset, allow_nd=True, dtype=[np.float64, np.float32, np.uint8], order="C"
    )
    if reset and array.ndim == 4:
        channel_axis(array.shape[1:])
    return array, vars(probe).get("feature_names_in_")


def _compared(estimator: Any, rows: Rows, reset: bool) -> Rows:
    if not reset:
        _check_fitted_shape(estimator, rows.shape)
        if rows.shape[1] != estimator.n_features_in_:
            raise ValueError(
                f"X has {rows.shape[1]} features, but {type(estimator).__name__} is expecting "
                f"{estimator.n_features_in_} features as input."
            )
        known = vars(estimator).get("feature_names_in_")
        if known is not None and rows.names is not None and list(known) != list(rows.names):
            raise ValueError(
                f"{type(estimator).__name__} was fitted on the columns {list(known)}, but X has "
                f"{list(rows.names)}. Give the same columns in the same order."
            )
    return rows


def _check_shape(estimator: Any, shape: tuple[int, ...], reset: bool) -> None:
    if len(shape) > 4:
        raise ValueError(
            f"X has {len(shape)} dimensions, shape {shape}. Give a table (n, features) or "
            "images (n, height, width), (n, height, width, channels) or "
            "(n, channels, height, width)."
        )
    if not reset:
        _check_fitted_shape(estimator, shape)


def _check_fitted_shape(estimator: Any, shape: tuple[int, ...]) -> None:
    """validate_data counts X.shape[1] only: it would take (28, 32) images for (28, 28) ones."""
    known = estimator.input_shape_
    if shape == known and len(known) > 1:
        raise ValueError(
            f"X has shape {shape}, that of a single row. {type(estimator).__name__} takes a batch "
            "of rows, also if it is of one: give X[None]."
        )
    if len(shape) > 1 and max(len(shape), len(known) + 1) > 2 and shape[1:] != known:
        raise ValueError(
            f"X has shape {shape}, but {type(estimator).__name__} was fitted on rows of shape "
            f"{known}. Give rows of that shape: resize or "
            "transpose the images, or fit again."
        )


def _as_array(X: Any) -> tuple[Any, str | None]:
    """An array, data frame or sparse matrix, and where it is clear what its values were."""
    if isinstance(X, torch.Tensor):
        X = _from_torch(X)
    if sparse.issparse(X) or hasattr(X, "columns") or hasattr(X, "__dataframe__"):
        return X, None  # for scikit-learn, which knows what to do, or say
    if np.ma.isMaskedArray(X):
        # Masked values are missing ones, whatever lies under the mask.
        X = np.ma.filled(X.astype(np.float64), np.nan) if np.ma.is_masked(X) else X.data
    # np.asarray would make a plain array of a memory map, which stays on disk all the same.
    X = X if isinstance(X, np.ndarray) else np.asarray(X)
    origin = _origin(X.dtype)
    if X.ndim > 2 and origin == "bool":
        return X.astype(np.float32), origin
    if X.ndim > 2 and origin == "integer" and _are_bytes(X):
        return X.astype(np.uint8), origin
    return X, origin


def _from_torch(X: torch.Tensor) -> NDArray[Any]:
    X = X.detach().resolve_conj().resolve_neg().cpu()
    known = (torch.float16, torch.float32, torch.float64)
    if X.is_floating_point() and X.dtype not in known:  # bfloat16, which NumPy does not have
        X = X.float()
    array: NDArray[Any] = X.numpy()
    return array


def _origin(dtype: np.dtype[Any]) -> str:
    if dtype == np.uint8:
        return "uint8"
    return {"b": "bool", "i": "integer", "u": "integer"}.get(dtype.kind, "float")


def channel_axis(row_shape: Sequence[int]) -> int:
    """Axis of the channels in one colour image: 2 (last) or 0 (first)."""
    if row_shape[2] in _CHANNELS:
        return 2
    if row_shape[0] in _CHANNELS:
        return 0
    raise ValueError(
        f"X has rows of shape {tuple(row_shape)}, of which neither the first nor the last axis has "
        f"1, 3 or 4 channels. Give images as (n, height, width, channels) or "
        "(n, channels, height, width)."
    )


def unfitted_copy(estimator: Any) -> Any:
    """A shallow copy with the parameters alone: a fit that fails on it costs nothing.

    The fitted attributes are handed over at the end of `fit`.
    """
    fresh = copy.copy(estimator)
    for name in [name for name in vars(fresh) if name.endswith("_")]:
        delattr(fresh, name)
    return fresh
