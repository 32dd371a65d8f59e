"""What values mean: 8-bit pixels, pixels from 0 to 1, or real numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skood.core.callers import stacklevel_of_user
from skood.core.rows import Rows
from skood.core.units import ROUNDING, ranges

__all__ = ["DATA_KINDS", "decided_kind", "described", "kind_for"]

_Floats = NDArray[np.float64]

DATA_KINDS = ("bytes", "unit", "real")


def decided_kind(said: str, rows: Rows, low: _Floats, high: _Floats, whole: bool) -> str:
    """The kind of the values: as it was said, or "auto" by their type and range.

    Parameters
    ----------
    said : {"auto", "bytes", "unit", "real"}
    rows : Rows
    low, high : ndarray
        Smallest and largest value at each place in a row.
    whole : bool
        Whether all are whole numbers.

    Raises
    ------
    ValueError
        If the values cannot be of the kind that was said.

    Warns
    -----
    UserWarning
        If they can be read in two ways.
    """
    smallest, largest = float(low.min()), float(high.max())
    in_unit = smallest >= -ROUNDING and largest <= 1 + ROUNDING
    in_bytes = whole and smallest >= -ROUNDING and largest <= 255 + ROUNDING
    if said != "auto":
        if (said == "unit" and not in_unit) or (said == "bytes" and not in_bytes):
            needed = "from 0 to 1" if said == "unit" else "that are whole numbers from 0 to 255"
            raise ValueError(
                f"data_kind={said!r} needs values {needed}; X is {described(rows)} with values "
                f"from {smallest:.4g} to {largest:.4g}. Rescale X, or use data_kind='auto'."
            )
        return said
    if rows.ndim == 2:
        return "real"
    if rows.origin == "uint8" or rows.array.dtype == np.uint8:
        if rows.origin == "uint8" and largest <= 1:
            warnings.warn(
                "X is uint8 and no pixel is above 1, so as 8-bit images all are black or nearly "
                "so. For black-and-white images give X.astype(bool), or data_kind='unit'.",
                stacklevel=stacklevel_of_user(),
            )
        is_binary = rows.origin != "uint8" and largest <= 1
        return "unit" if is_binary else "bytes"
    # Pixels in [0, 1] that are all darker than one of 256 levels are something else in small units.
    is_visible = largest >= 1 / 255 and smallest >= -ROUNDING * largest
    if in_unit and (is_visible or smallest == largest == 0):
        return "unit"
    if in_bytes and rows.origin == "float":
        warnings.warn(
            f"X is {described(rows)} with whole numbers from {smallest:.4g} to {largest:.4g}, and "
            "is modelled as real numbers. If these are 8-bit images, give X.astype('uint8') or "
            "data_kind='bytes', which detects better; data_kind='real' confirms real numbers.",
            stacklevel=stacklevel_of_user(),
        )
    return "real"


def described(rows: Rows) -> str:
    """The type of the values as the user gave them, for messages."""
    return rows.origin if rows.origin != "float" else str(rows.array.dtype)


def kind_for(model: Any, rows: Rows) -> str:
    """What a model, fitted or not, takes the values of the rows for."""
    said = getattr(model, "data_kind_", getattr(model, "data_kind", "auto"))
    return decided_kind(said, rows, *ranges(rows))
