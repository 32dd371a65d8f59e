"""Images in rows of one axes, as several displays draw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skood.core.rows import channel_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_GAP = 0.08  # between pictures, in widths of a picture


def check_is_of_images(display: str, model: Any, other: str) -> None:
    """Raise ValueError if the model was fitted on a table; ``other`` says what to use then."""
    if len(model.input_shape_) < 2:
        raise ValueError(
            f"model was fitted on a table with {model.input_shape_[0]} features, not on "
            f"images. Give {display} a model of images, or use {other}."
        )


def channels_last(images: NDArray[Any]) -> NDArray[Any]:
    """Images (m, n, ...) as matplotlib wants them: grey, or colours last."""
    if images.ndim == 4:
        return images
    if channel_axis(images.shape[2:]) == 0:
        images = np.moveaxis(images, 2, -1)
    return images[..., 0] if images.shape[-1] == 1 else images


def value_range(kind: str, X: NDArray[Any]) -> tuple[float, float]:
    """Values to be drawn as black and as white."""
    if kind != "real":
        return 0.0, {"bytes": 255.0, "unit": 1.0}[kind]
    low, high = float(X.min()), float(X.max())
    return low, high if high > low else low + 1.0


def size_of_grid(n_rows: int, row: NDArray[Any]) -> tuple[float, float]:
    """Inches of a figure for so many rows such as this one."""
    step_x, step_y = _steps(row[0])
    return 1.6 + 0.6 * len(row), 0.1 + 0.6 * n_rows * step_y / step_x


def draw_row(
    ax: Axes, i: int, row: NDArray[Any], vmin: float, vmax: float, **options: Any
) -> list[AxesImage]:
    """Draw the images of row i side by side, grey or (n, height, width, 3 or 4)."""
    (height, width), (step_x, step_y) = row[0].shape[:2], _steps(row[0])
    if row.ndim == 4:  # imshow applies vmin and vmax to grey images only
        row = np.clip((row - vmin) / (vmax - vmin), 0, 1)
    options = {"vmin": vmin, "vmax": vmax, **options}
    drawn = []
    for j, picture in enumerate(row):
        left, top = j * step_x, i * step_y
        extent = (left, left + width, top + height, top)
        drawn.append(ax.imshow(picture, extent=extent, **options))
    return drawn


def label_rows(ax: Axes, rows: Mapping[str, Iterable[NDArray[Any]]]) -> None:
    """Name rows, some of them together, and leave nothing of the axes but the names."""
    counts = [len(list(of_label)) for of_label in rows.values()]
    first = next(iter(next(iter(rows.values()))))
    step_x, step_y = _steps(first[0])
    middles = (np.cumsum(counts) - np.array(counts) / 2) * step_y
    ax.set(xlim=(0, len(first) * step_x), ylim=(sum(counts) * step_y, 0), xticks=[])
    ax.set_yticks(middles, list(rows))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _steps(picture: NDArray[Any]) -> tuple[float, float]:
    """From one picture to the next, to the right and down."""
    height, width = picture.shape[:2]
    return width * (1 + _GAP), height + width * _GAP
