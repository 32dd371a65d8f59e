"""Image data that need no download, from the data sets that scikit-learn includes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom
from sklearn.datasets import load_digits, load_sample_images

# ITU-R BT.601, the weights with which image libraries convert colours to grey.
_LUMINANCE = np.array([0.299, 0.587, 0.114])


def load_digit_images(size: int = 8) -> NDArray[np.uint8]:
    """Handwritten digits of `sklearn.datasets.load_digits` as grey images.

    Parameters
    ----------
    size : int, default=8
        Height and width in pixels, at least 8. Above 8 the digits are enlarged by linear
        interpolation to 20/28 of the side, as in MNIST, and padded with black.

    Returns
    -------
    ndarray of shape (1797, size, size), uint8
        Images with pixel values 0 (black) to 255; the original grey levels 0 to 16 times 255/16.

    Raises
    ------
    ValueError
        If ``size`` is smaller than 8.

    Examples
    --------
    >>> from skood.datasets import load_digit_images
    >>> load_digit_images(28).shape
    (1797, 28, 28)
    """
    if size < 8:
        raise ValueError(f"size is {size}; give an integer of at least 8.")
    digits = load_digits().images * (255.0 / 16.0)
    if size > 8:
        inner = max(8, round(size * 20 / 28))
        digits = zoom(digits, (1, inner / 8, inner / 8), order=1)
        before = (size - inner) // 2
        margin = (before, size - inner - before)
        digits = np.pad(digits, ((0, 0), margin, margin))
    return np.asarray(np.rint(digits), dtype=np.uint8)


def load_photo_tiles(size: int = 16, *, random_state: int | None = 0) -> NDArray[np.uint8]:
    """Square tiles of the two photographs of `sklearn.datasets.load_sample_images`, in grey.

    Tiles do not overlap, so a random split has no pixel in both parts. Reading the photographs
    needs Pillow: ``pip install "skood[plots]"``.

    Parameters
    ----------
    size : int, default=16
        Height and width of a tile in pixels, at most 427, the height of the photographs.
    random_state : int or None, default=0
        Seed of the order of the tiles; None gives another order at each call.

    Returns
    -------
    ndarray of shape (n, size, size), uint8
        Tiles with pixel values 0 (black) to 255, in random order; n is 2080 for 16x16 tiles.

    Raises
    ------
    ValueError
        If ``size`` is outside 1 to 427.
    ImportError
        If Pillow is not installed.

    Examples
    --------
    >>> from skood.datasets import load_photo_tiles
    >>> load_photo_tiles(16).shape
    (2080, 16, 16)
    """
    photos = np.rint(np.stack(load_sample_images().images) @ _LUMINANCE).astype(np.uint8)
    n_photos, height, width = photos.shape
    if not 1 <= size <= height:
        raise ValueError(f"size is {size}; give an integer from 1 to {height}.")
    rows, columns = height // size, width // size
    tiles = photos[:, : rows * size, : columns * size].reshape(n_photos, rows, size, columns, size)
    tiles = tiles.swapaxes(2, 3).reshape(-1, size, size)
    return np.asarray(np.random.default_rng(random_state).permutation(tiles))
