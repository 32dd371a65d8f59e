"""The units of the values in rows: their ranges, means and scales, a few rows at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skood.core.rows import Rows, channel_axis

__all__ = [
    "ROUNDING",
    "Units",
    "check_finite_squares",
    "moments",
    "overall",
    "ranges",
    "rounding_of",
]

_Floats = NDArray[np.float64]

# A quarter of one of 256 levels: what resampling and conversion round, in pixels from 0 to 1.
ROUNDING = 1e-3
# A column whose range is smaller than this part of its size is constant but for rounding errors.
_CONSTANT = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}


class Units:
    """Which values of a row share a unit: a column, a channel of real images, or all pixels."""

    def __init__(self, shape: tuple[int, ...], kind: str):
        self.axes: tuple[int, ...] = ()  # of a row, over which units are shared
        if len(shape) > 1:
            self.axes = tuple(range(len(shape)))
            if kind == "real" and len(shape) == 3:
                self.axes = tuple(a for a in self.axes if a != channel_axis(shape))
        kept = [side for axis, side in enumerate(shape) if axis not in self.axes]
        self.n_units = math.prod(kept)
        self.broadcast = tuple(1 if a in self.axes else side for a, side in enumerate(shape))

    def reduced(self, values: _Floats, how: Any) -> _Floats:
        """One number for each unit, from one for each place in a row."""
        reduced: _Floats = np.asarray(how(values, axis=self.axes)).reshape(-1)
        return reduced if self.axes else values.reshape(-1)


def ranges(rows: Rows) -> tuple[_Floats, _Floats, bool]:
    """Smallest and largest value at each place in a row, and whether all are whole numbers."""
    low = np.full(rows.shape[1:], np.inf)
    high, whole = -low, True
    for chunk in rows.chunks():
        low, high = np.minimum(low, chunk.min(axis=0)), np.maximum(high, chunk.max(axis=0))
        if whole and chunk.dtype != np.uint8:
            whole = bool((np.abs(chunk - np.rint(chunk)) <= ROUNDING).all())
    return low, high, whole


def overall(rows: Rows) -> tuple[float, float, bool]:
    """`ranges` over all places."""
    low, high, whole = ranges(rows)
    return float(low.min()), float(high.max()), whole


def moments(
    rows: Rows, units: Units, low: _Floats, high: _Floats, floor: bool = True
) -> tuple[_Floats, _Floats]:
    """Mean and scale of each unit; without ``floor`` the plain standard deviation.

    Of values that are first mapped to [-1, 1]: neither large nor small units, nor a large mean,
    cost digits.
    """
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    largest = np.maximum(np.abs(low), np.abs(high))
    is_constant = half <= rounding_of(rows, low, high)
    half = np.where(half > 0, half, 1.0)
    m, h = (v.reshape(units.broadcast) for v in (middle, half))
    sums, squares = np.zeros(units.n_units), np.zeros(units.n_units)
    for chunk in rows.chunks():
        u = (chunk - m) / h
        sums += units.reduced(u.sum(axis=0), np.sum)
        squares += units.reduced(np.square(u).sum(axis=0), np.sum)
    count = len(rows) * math.prod(rows.shape[1:]) / units.n_units
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    if not floor:
        return middle + half * mean, np.where(is_constant, 0.0, half * std)
    # Mostly constant columns: one row in a thousand should not lie thirty deviations out.
    scale = half * np.maximum(std, 0.2)
    # A column that never changes has no scale of its own; a tenth of its size then.
    constant = np.where(largest > 0, largest / 10, 1.0)
    return middle + half * mean, np.where(is_constant, constant, scale)


def rounding_of(rows: Rows, low: _Floats, high: _Floats) -> _Floats:
    """Half the range of what would be a single value but for rounding errors."""
    rounding: _Floats = _CONSTANT.get(rows.array.dtype, 0.0) * np.maximum(np.abs(low), np.abs(high))
    return rounding


def check_finite_squares(ndim: int, low: _Floats, high: _Floats) -> None:
    """Raise ValueError, which names the column, if squares of values are not finite."""
    largest = np.maximum(np.abs(low), np.abs(high))
    unit = int(largest.argmax())
    if largest[unit] > 1e150:
        where = f"Column {unit} of X" if ndim == 2 else "X"
        raise ValueError(
            f"{where} holds values as large as {largest[unit]:.3g}, whose squares are infinite. "
            "Use another unit, or take logarithms, or look for wrong values."
        )
