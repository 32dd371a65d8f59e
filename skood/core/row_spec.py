"""What a model knows of its training rows besides the network: shape, kind and units."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skood.core.callers import stacklevel_of_user
from skood.core.data_kinds import DATA_KINDS, decided_kind, described
from skood.core.rows import Rows, channel_axis
from skood.core.units import (
    ROUNDING,
    Units,
    check_finite_squares,
    moments,
    overall,
    ranges,
    rounding_of,
)

__all__ = ["RowSpec"]

_Floats = NDArray[np.float64]

# Beyond so many times the spread of the training rows, or below its inverse, units are in doubt.
_OTHER_SCALE = 50.0
# How images are commonly rescaled.
_KNOWN_FACTORS = (255.0, 256.0, 257.0, 65535.0, 65536.0)
# Of a column's middle half, after standardisation; the noise added in training has 0.05.
_SMALLEST_SPREAD = 0.1
# How many times farther from the median than 99 % of the others.
_FAR_BEYOND = 20.0
_INVISIBLE = 0.02
# In a row: 16,000 x 16,000 pixels.
_MOST_VALUES = 2**28
_MOST_QUANTILE_ROWS = 100_000


@dataclass(frozen=True, eq=False)
class RowSpec:
    """Shape, kind and units of training rows: all that building a network needs of the data.

    Decided once, in `fit`; new rows are checked against it.

    Attributes
    ----------
    shape : tuple of int
        Of one row as the user gives it: (features,), (height, width), (height, width, channels) or
        (channels, height, width).
    kind : {"bytes", "unit", "real"}
        What values are: 8-bit pixels (0 to 255), pixels from 0 to 1, or real numbers.
    origin : {"uint8", "bool", "integer", "float"}
        Type in which they came.
    n_rows : int
    loc, scale, low, high : ndarray of shape (n_units,), float64
        Mean, scale, smallest and largest value: of each column of a table, of each channel of real
        images, and of all pixels together, which have one unit. The scale is the standard
        deviation, but at least a tenth of the range; it is never 0.
    """

    shape: tuple[int, ...]
    kind: str
    origin: str
    n_rows: int
    loc: _Floats
    scale: _Floats
    low: _Floats
    high: _Floats

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be: a file can hold anything."""
        sides = all(type(side) is int and side > 0 for side in self.shape)
        if not 1 <= len(self.shape) <= 3 or not sides or math.prod(self.shape) > _MOST_VALUES:
            raise ValueError(f"no row has shape {self.shape!r}")
        if self.kind not in DATA_KINDS or type(self.n_rows) is not int or self.n_rows < 1:
            raise ValueError(f"{self.n_rows!r} rows of {self.kind!r} values cannot be")
        n_units = Units(self.shape, self.kind).n_units
        for values in (self.loc, self.scale, self.low, self.high):
            if values.shape != (n_units,) or values.dtype != np.float64:
                raise ValueError(f"rows of shape {self.shape} need {n_units} float64 numbers each")
        if not np.isfinite(self.loc).all() or not (self.scale > 0).all():
            raise ValueError("their location is not finite, or their scale not positive")

    @classmethod
    def of(cls, rows: Rows, kind: str = "auto") -> RowSpec:
        """From training rows; ``kind`` says what their values are, "auto" looks at them.

        Raises
        ------
        ValueError
            If the values cannot be of that kind, or are too large to compute with.

        Warns
        -----
        UserWarning
            If values can be read in two ways, or some are invisible beside others.
        """
        low, high, whole = ranges(rows)
        kind = decided_kind(kind, rows, low, high, whole)
        units = Units(rows.shape[1:], kind)
        spread = units.reduced(low, np.min), units.reduced(high, np.max)
        check_finite_squares(rows.ndim, *spread)
        loc, scale = moments(rows, units, *spread)
        spec = cls(rows.shape[1:], kind, rows.origin, len(rows), loc, scale, *spread)
        if kind == "real":
            _warn_of_invisible(rows, units, scale, low, high)
        return spec

    @staticmethod
    def tensor_shape_of(shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one row inside a network: (features,) or (channels, height, width)."""
        if len(shape) == 2:
            return (1, *shape)
        if len(shape) == 3 and channel_axis(shape) == 2:
            return (shape[2], *shape[:2])
        return shape

    @property
    def tensor_shape(self) -> tuple[int, ...]:
        """`tensor_shape_of` these rows."""
        return self.tensor_shape_of(self.shape)

    @property
    def is_image(self) -> bool:
        """Whether rows are images, and not rows of a table."""
        return len(self.shape) > 1

    @property
    def is_colour(self) -> bool:
        """Whether rows are images of several channels."""
        return self.is_image and self.tensor_shape[0] > 1

    @property
    def n_values(self) -> int:
        """Numbers in one row."""
        return math.prod(self.shape)

    @property
    def white(self) -> float:
        """Largest value of a pixel."""
        return 255.0 if self.kind == "bytes" else 1.0

    @property
    def graph_type(self) -> torch.dtype:
        """Type in which an exported graph takes rows: the narrowest that loses nothing."""
        if self.kind == "bytes" or self.origin == "uint8":
            return torch.uint8
        return torch.float32 if self.kind == "unit" else torch.float64

    def hidden_units(self, usual: int) -> int:
        """Width of perceptrons for so many training rows: below 400, wide ones overfit.

        See docs/results.md for the held-out bounds.
        """
        return 32 if self.n_rows < 400 else usual

    def standardisation(self) -> tuple[Tensor, Tensor]:
        """``loc`` and ``scale``, float64, of shape (features,) or (channels or 1, 1, 1)."""
        shape = (-1, 1, 1) if self.is_image else (-1,)
        loc, scale = (torch.from_numpy(v.copy()).reshape(shape) for v in (self.loc, self.scale))
        return loc, scale

    def to_tensor(self, array: NDArray[Any], device: torch.device) -> Tensor:
        """Rows on the device: (n, features), or (n, channels, height, width); pixels in float32.

        Real numbers of float64 stay so until they are standardised: a time stamp in seconds would
        lose its last digits in float32, and a flux in SI units everything.
        """
        # np.array copies: torch must not share memory with an array that may be read-only.
        return self.as_network_takes(torch.from_numpy(np.array(array)).to(device))

    def as_network_takes(self, x: Tensor) -> Tensor:
        """`to_tensor` of rows that are a tensor of their shape and type already."""
        if self.kind == "bytes":
            x = x.float() if x.dtype == torch.uint8 else x.float().round().clamp(0, 255)
        elif self.kind == "unit":
            x = x.float().clamp(0, 1)
        elif x.dtype == torch.uint8:
            x = x.float()
        if x.ndim == 3:
            return x[:, None]
        if x.ndim == 4 and channel_axis(self.shape) == 2:
            return x.permute(0, 3, 1, 2).contiguous()
        return x

    def to_array(self, x: Tensor) -> _Floats:
        """The inverse of `to_tensor`, float64."""
        if len(self.shape) == 3 and channel_axis(self.shape) == 2:
            x = x.permute(0, 2, 3, 1)
        array: _Floats = x.reshape(len(x), *self.shape).cpu().double().numpy()
        return array

    def check(self, name: str, rows: Rows) -> None:
        """Refuse new rows on another scale than the fitted ones, the commonest silent mistake.

        A model that was fitted on bytes and is given pixels in [0, 1] would find everything black.

        Parameters
        ----------
        name : str
            Of the estimator, for the message.
        rows : Rows

        Raises
        ------
        ValueError
            If they cannot be of the fitted kind, or are the fitted ones times a common factor.

        Warns
        -----
        UserWarning
            If a whole batch of real numbers lies on another scale.
        """
        if self.kind == "bytes":
            self._check_bytes(name, rows)
        elif self.kind == "unit":
            self._check_unit(name, rows)
        elif self.is_image or len(rows) >= 10:
            self._check_real(name, rows)

    def _check_bytes(self, name: str, rows: Rows) -> None:
        if rows.origin == "uint8" or rows.array.dtype == np.uint8:
            return
        low, high, whole = overall(rows)
        is_byte = whole and low >= -ROUNDING and high <= 255 + ROUNDING
        # 0 is black in any unit; otherwise 0 and 1 alone are black and white, and not bytes.
        if rows.origin == "bool" or not is_byte or (rows.origin == "float" and 0 < high <= 1.5):
            raise ValueError(
                f"{name} was fitted on 8-bit images (0 to 255), but X is {described(rows)} with "
                f"values from {low:.4g} to {high:.4g}. Give uint8, for instance "
                "(X * 255).round().astype('uint8') for pixels in [0, 1]."
            )

    def _check_unit(self, name: str, rows: Rows) -> None:
        low, high, _ = overall(rows)
        ambiguous = rows.origin == "uint8" and self.origin != "uint8"
        if ambiguous or low < -ROUNDING or high > 1 + ROUNDING:
            raise ValueError(
                f"{name} was fitted on images with pixels in [0, 1], but X is {described(rows)} "
                f"with values from {low:.4g} to {high:.4g}. Scale X as the training data were, for "
                "instance X / 255 for 8-bit images."
            )

    def _check_real(self, name: str, rows: Rows) -> None:
        units = Units(self.shape, self.kind)
        low, high, _ = ranges(rows)
        low, high = units.reduced(low, np.min), units.reduced(high, np.max)
        with np.errstate(over="ignore"):
            check_finite_squares(rows.ndim, low, high)
        loc, std = moments(rows, units, low, high, floor=False)
        used = (self.high > self.low) & (std > 0)
        if not used.any():
            return  # the same everywhere: a matter of the score
        factors = std[used] / self.scale[used]
        if 1 / _OTHER_SCALE < factors.max() and factors.min() < _OTHER_SCALE:
            return
        scales = (
            f"X has values from {low.min():.4g} to {high.max():.4g}, with a standard deviation of "
            f"{np.median(std):.3g}; {name} was fitted on values from {self.low.min():.4g} to "
            f"{self.high.max():.4g}, with one of {np.median(self.scale):.3g}"
        )
        remedy = "Scale X as the training data were, in the same units."
        if self.is_image and _is_rescaled(factors, loc[used], self.loc[used]):
            raise ValueError(f"{scales}: the same images in other units. {remedy}")
        warnings.warn(
            f"{scales}. If the units differ, all scores are wrong. {remedy}",
            stacklevel=stacklevel_of_user(),
        )


def _is_rescaled(factors: _Floats, loc: _Floats, fitted_loc: _Floats) -> bool:
    """Whether standard deviations and means are the fitted ones times the same common factor."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shift = loc / fitted_loc
    for factor in (*_KNOWN_FACTORS, *(1 / f for f in _KNOWN_FACTORS)):
        near = np.abs(np.log(np.abs([*factors, *shift]) / factor)) < math.log(2)
        if near.all():
            return True
    return False


def _warn_of_invisible(
    rows: Rows, units: Units, scale: _Floats, low: _Floats, high: _Floats
) -> None:
    if rows.ndim == 2:
        _warn_of_outlying(rows, scale)
        return
    # Places of the image that vary, but on a far smaller scale than their channel.
    part = (high - low) / scale.reshape(units.broadcast)
    varies = (part > 1e-9) & (high / 2 - low / 2 > rounding_of(rows, low, high))
    invisible = varies & (part < _INVISIBLE)
    if invisible.mean() > 0.01:
        warnings.warn(
            f"{invisible.mean():.0%} of the values of an image vary by less than {_INVISIBLE} "
            "standard deviations of their channel, so the model will hardly see them beside the "
            f"others (all values: {low.min():.4g} to {high.max():.4g}). Remove images with wrong "
            "values, or give parts with other units as channels, or standardise each pixel.",
            stacklevel=stacklevel_of_user(),
        )


def _warn_of_outlying(rows: Rows, scale: _Floats) -> None:
    """One wrong value, such as a 9999 for a missing one, can hide all others of its column."""
    step = -(-len(rows) // _MOST_QUANTILE_ROWS)
    X = rows.take(slice(None, None, step))
    low, middle, high = np.percentile(X, [25, 50, 75], axis=0)
    distances = np.abs(X - middle)
    usual = np.percentile(distances, 99, axis=0)
    # A long tail is a matter of taste, a value far beyond all others is not.
    alone = (usual > 0) & (distances.max(axis=0) / _FAR_BEYOND > usual)
    varies = high / 2 - low / 2 > rounding_of(rows, low, high)
    columns = np.flatnonzero(alone & varies & (high - low < _SMALLEST_SPREAD * scale))
    if len(columns):
        i = columns[0]
        value = X[np.argmax(distances[:, i]), i]
        more = f" (and so {len(columns) - 1} more)" if len(columns) > 1 else ""
        warnings.warn(
            f"Column {i} of X{more} holds values such as {value:.4g}, beside which the others, "
            f"half of them between {low[i]:.4g} and {high[i]:.4g}, look all alike. If it stands "
            "for a missing value, replace it; else take the logarithm of the column, or its ranks "
            "with a QuantileTransformer. Linear scaling, also by RobustScaler, changes nothing.",
            stacklevel=stacklevel_of_user(),
        )
