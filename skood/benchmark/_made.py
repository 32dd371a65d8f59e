"""OOD images made from normal ones: uint8 in, uint8 out, channels last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

__all__ = ["centre_cut", "grey_images", "in_colour", "made_sets", "padded", "plain_images"]

_Images: TypeAlias = "NDArray[np.uint8]"
_GRID = 4
# ITU-R BT.601, as in most programs that turn images grey.
_LUMA = np.array([0.299, 0.587, 0.114])


def made_sets(X: _Images, seed: int = 0) -> dict[str, _Images]:
    """As many images as X has, of each kind, by the name of the kind.

    Parameters
    ----------
    X : ndarray of shape (n, height, width) or (n, height, width, 3), uint8
        Normal test images. Their sides are multiples of 4.
    seed : int, default=0
        Of whatever is random.
    """
    names = [name for name in _MADE if name != "grey" or X.ndim == 4]
    return {name: _MADE[name](X, np.random.default_rng(seed)) for name in names}


def plain_images(X: _Images) -> dict[str, _Images]:
    """Three images of the shape of those in X, each one in an array of its own."""
    levels = {"all black": 0, "all white": 255, "mid-grey": 128}
    return {name: np.full_like(X[:1], level) for name, level in levels.items()}


def grey_images(X: _Images) -> _Images:
    """Colour images (n, height, width, 3) as grey ones (n, height, width)."""
    return _bytes(X @ _LUMA)


def in_colour(X: _Images) -> _Images:
    """Grey images (n, height, width) with three equal channels."""
    return np.repeat(X[..., None], 3, axis=-1)


def centre_cut(X: _Images, side: int) -> _Images:
    """The square of so many pixels in the middle of each image."""
    top, left = (X.shape[1] - side) // 2, (X.shape[2] - side) // 2
    return X[:, top : top + side, left : left + side]


def padded(X: _Images, side: int) -> _Images:
    """Square images with a black frame that makes them ``side`` pixels wide."""
    before = (side - X.shape[1]) // 2
    frame = (before, side - X.shape[1] - before)
    return np.pad(X, [(0, 0), frame, frame, *[(0, 0)] * (X.ndim - 3)])


def _uniform_noise(X: _Images, rng: Generator) -> _Images:
    return rng.integers(0, 256, X.shape, dtype=np.uint8)


def _gaussian_noise(X: _Images, rng: Generator) -> _Images:
    return _bytes(rng.normal(127.5, 64.0, X.shape))  # a quarter of the range


def _noise_added(X: _Images, rng: Generator) -> _Images:
    return _bytes(X + rng.normal(0.0, 8.0, X.shape))


def _blurred(X: _Images, rng: Generator) -> _Images:
    size = (1, 3, 3, 1)[: X.ndim]
    return _bytes(uniform_filter(X.astype(np.float64), size, mode="nearest"))


def _half_contrast(X: _Images, rng: Generator) -> _Images:
    means = X.mean(axis=tuple(range(1, X.ndim)), keepdims=True)
    return _bytes((X + means) / 2)


def _without_colour(X: _Images, rng: Generator) -> _Images:
    return in_colour(grey_images(X))


def _turned_90(X: _Images, rng: Generator) -> _Images:
    return np.rot90(X, axes=(1, 2))


def _turned_180(X: _Images, rng: Generator) -> _Images:
    return np.rot90(X, 2, axes=(1, 2))


def _flipped(X: _Images, rng: Generator) -> _Images:
    return X[:, ::-1]


def _inverted(X: _Images, rng: Generator) -> _Images:
    return 255 - X


def _shuffled_pixels(X: _Images, rng: Generator) -> _Images:
    pixels = X.reshape(len(X), X.shape[1] * X.shape[2], -1)
    return _shuffled(pixels, rng).reshape(X.shape)


def _shuffled_patches(X: _Images, rng: Generator) -> _Images:
    n, height, width = X.shape[:3]
    sides = (height // _GRID, width // _GRID)
    grid = X.reshape(n, _GRID, sides[0], _GRID, sides[1], -1).swapaxes(2, 3)
    patches = _shuffled(grid.reshape(n, _GRID**2, -1), rng)
    return patches.reshape(n, _GRID, _GRID, *sides, -1).swapaxes(2, 3).reshape(X.shape)


def _nearly_black(X: _Images, rng: Generator) -> _Images:
    return rng.integers(0, 3, X.shape, dtype=np.uint8)


def _constant(X: _Images, rng: Generator) -> _Images:
    levels = rng.integers(0, 256, (len(X), *[1] * (X.ndim - 1)), dtype=np.uint8)
    return np.broadcast_to(levels, X.shape).copy()


def _shuffled(parts: NDArray[Any], rng: Generator) -> NDArray[Any]:
    """Parts (n, n_parts, size) of each image in an order of its own."""
    order = rng.random(parts.shape[:2]).argsort(axis=1)
    return np.take_along_axis(parts, order[..., None], axis=1)


def _bytes(values: NDArray[Any]) -> _Images:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_MADE: Mapping[str, Callable[[_Images, Generator], _Images]] = MappingProxyType(
    {
        "uniform noise": _uniform_noise,
        "Gaussian noise": _gaussian_noise,
        "noise added": _noise_added,
        "blurred": _blurred,
        "half contrast": _half_contrast,
        "grey": _without_colour,
        "turned 90": _turned_90,
        "turned 180": _turned_180,
        "flipped": _flipped,
        "inverted": _inverted,
        "shuffled pixels": _shuffled_pixels,
        "shuffled patches": _shuffled_patches,
        "nearly black": _nearly_black,
        "constant": _constant,
    }
)
