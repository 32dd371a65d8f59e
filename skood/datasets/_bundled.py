"""Image data that need no download: made from what scikit-learn ships."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_sample_images

# ITU-R BT.601, the weights that image libraries use for "convert to grey".
_LUMINANCE = np.array([0.299, 0.587, 0.114])


def load_digit_images() -> NDArray[np.uint8]:
    """Handwritten digits of 8x8 pixels, from `sklearn.datasets.load_digits`.

    Returns
    -------
    ndarray of shape (1797, 8, 8), uint8
        Grey images, 0 (black) to 255; the original 17 grey levels, 0 to 16, are spread evenly.
    """
    levels = load_digits().images
    return np.asarray(np.rint(levels * (255.0 / 16.0)), dtype=np.uint8)


def sample_photo_patches(
    *, size: int = 8, n: int = 2000, random_state: int | np.random.Generator | None = 0
) -> NDArray[np.uint8]:
    """Grey patches cut at random places of the two photographs that scikit-learn ships.

    Easy out-of-distribution data for `load_digit_images`. Patches may overlap. Reading the
    photographs needs Pillow, which comes with ``skood[plots]``.

    Parameters
    ----------
    size : int, default=8
        Height and width of a patch in pixels, at most 427, the height of the photographs.
    n : int, default=2000
        Number of patches.
    random_state : int, Generator or None, default=0
        Seed of the places. NumPy's global generator is not touched.

    Returns
    -------
    ndarray of shape (n, size, size), uint8
        Patches, 0 (black) to 255.

    Raises
    ------
    ValueError
        If `size` is outside 1 to 427, or `n` is smaller than 1.
    ImportError
        If Pillow is not installed.
    """
    if n < 1:
        raise ValueError(f"n is {n}; give an integer of at least 1.")
    photos = np.rint(np.stack(load_sample_images().images) @ _LUMINANCE).astype(np.uint8)
    largest = min(photos.shape[1:])
    if not 1 <= size <= largest:
        raise ValueError(f"size is {size}; give an integer from 1 to {largest}.")
    windows = np.lib.stride_tricks.sliding_window_view(photos, (size, size), axis=(1, 2))
    generator = np.random.default_rng(random_state)
    photo, top, left = (generator.integers(0, limit, n) for limit in windows.shape[:3])
    return np.asarray(windows[photo, top, left])
