"""From what the user gives to an array with rows that the model knows."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

__all__ = ["check_group_size", "check_rows", "check_scale", "data_kind", "draw_seed", "keep_fitted"]

_CHANNELS = (1, 3, 4)


def check_rows(estimator: Any, X: Any, *, reset: bool) -> NDArray[Any]:
    """Validate tables and images, and remember (or compare) the shape of a row.

    Parameters
    ----------
    estimator : estimator
        Gets ``input_shape_`` and scikit-learn's ``n_features_in_`` when ``reset``.
    X : array-like or torch tensor of shape (n, features), (n, height, width), \
(n, height, width, channels) or (n, channels, height, width)
    reset : bool
        True in ``fit``; False where X must match what was fitted.

    Returns
    -------
    ndarray
        The same rows: uint8 and float32 are kept as they are (without a copy where possible, so
        that a memory map stays on disk), anything else becomes float64.

    Raises
    ------
    ValueError
        If X is empty, sparse, not numeric, not finite, or its rows have another shape.
    """
    if hasattr(X, "detach") and hasattr(X, "cpu"):  # a torch tensor, perhaps on a GPU
        X = X.detach().cpu().numpy()
    if not hasattr(X, "shape"):
        X = np.asarray(X)
    X = _integers_to_bytes(X)
    shape = X.shape
    if len(shape) > 4:
        raise ValueError(
            f"X has {len(shape)} dimensions, shape {tuple(shape)}. Give a table (n, features) or "
            "images (n, height, width), (n, height, width, channels) or "
            "(n, channels, height, width)."
        )
    if not reset and len(shape) > 1 and max(len(shape), len(estimator.input_shape_) + 1) > 2:
        # validate_data counts X.shape[1] only: it would take (28, 32) images for (28, 28) ones.
        if tuple(shape[1:]) != estimator.input_shape_:
            _raise_shape(estimator, shape)
    X = validate_data(
        estimator,
        X,
        reset=reset,
        allow_nd=True,
        dtype=[np.float64, np.float32, np.uint8],
        order="C",
    )
    if reset:
        if X.ndim == 4:
            channel_axis(X.shape[1:])
        estimator.input_shape_ = X.shape[1:]
    return X


def _integers_to_bytes(X: Any) -> Any:
    """Images of another integer type whose values are bytes, as uint8."""
    if isinstance(X, np.ndarray) and X.ndim > 2 and X.size and X.dtype.kind in "iu":
        if X.dtype != np.uint8 and X.min() >= 0 and X.max() <= 255:
            return X.astype(np.uint8)
    return X


def _raise_shape(estimator: Any, shape: Sequence[int]) -> None:
    raise ValueError(
        f"X has shape {tuple(shape)}, but {type(estimator).__name__} was fitted on rows of shape "
        f"{estimator.input_shape_}. Give rows of that shape: resize or "
        "transpose the images, or fit again."
    )


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


def data_kind(X: NDArray[Any]) -> str:
    """What the values are.

    ``"bytes"`` (uint8 images), ``"unit"`` (images in [0, 1]: floats, or uint8 that are but 0 and
    1), or ``"real"`` (anything else, among them every table).
    """
    if X.ndim == 2:
        return "real"
    if X.dtype == np.uint8 and X.max() > 1:
        return "bytes"
    return "unit" if X.min() >= 0 and X.max() <= 1 else "real"


def check_scale(estimator: Any, X: NDArray[Any], kind: str) -> None:
    """Refuse images on another scale than the fitted ones, the commonest silent mistake.

    A model that was fitted on bytes and is given pixels in [0, 1] would find everything black.

    Raises
    ------
    ValueError
        If the values of X cannot be of the fitted kind.
    """
    name = type(estimator).__name__
    if kind == "bytes" and X.dtype != np.uint8:
        if X.min() < 0 or X.max() > 255 or not np.array_equal(X, np.rint(X)):
            raise ValueError(
                f"{name} was fitted on 8-bit images (uint8, 0 to 255), but X is {X.dtype} with "
                f"values from {X.min():.4g} to {X.max():.4g}. Give uint8, for instance "
                "(X * 255).round().astype('uint8') for pixels in [0, 1]."
            )
    elif kind == "unit" and (X.min() < 0 or X.max() > 1):
        raise ValueError(
            f"{name} was fitted on images with pixels in [0, 1], but X has values from "
            f"{X.min():.4g} to {X.max():.4g}. Scale X as the training data were, for instance "
            "X / 255 for 8-bit images."
        )


def check_group_size(group_size: Any, n_rows: int) -> int:
    """``group_size`` as an int; ValueError if it does not divide the number of rows."""
    if not isinstance(group_size, numbers.Integral) or group_size < 1 or n_rows % group_size:
        raise ValueError(
            f"group_size must be a positive integer that divides the {n_rows} rows of X; "
            f"got {group_size!r}. Cut X to a multiple."
        )
    return int(group_size)


def draw_seed(random_state: Any) -> int:
    """An integer seed from scikit-learn's ``random_state``.

    None is fresh entropy from the operating system, not NumPy's global generator as elsewhere in
    scikit-learn: nothing here reads or advances global state.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] // 2)
    if isinstance(random_state, numbers.Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


@contextmanager
def keep_fitted(estimator: Any) -> Iterator[None]:
    """Put the estimator back as it was if the block fails: bad input costs nothing fitted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
