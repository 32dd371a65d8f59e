"""Complexity of images: how many bits they take when compressed without loss."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COMPRESSORS", "check_compressors", "compressed_bits"]

_Bytes = NDArray[np.uint8]
_Floats = NDArray[np.float64]

_BEST = 9
# Images whose filtered lines are in memory at a time.
_CHUNK = 512


def compressed_bits(images: _Bytes, compressors: Sequence[str] = ("png", "zlib")) -> _Floats:
    """Length of each image in bits, compressed without loss by whichever compressor is shortest.

    The length of a black image of the same shape, which is header and overhead, is subtracted for
    each compressor: what is left is a property of the contents, and compressors can be compared.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, channels), uint8
        Channels are 1, 3 or 4.
    compressors : sequence of str, default=("png", "zlib")
        Keys of `COMPRESSORS`.

    Returns
    -------
    ndarray of shape (n,), float64

    Raises
    ------
    ValueError, ImportError
        See `check_compressors`.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.complexity import compressed_bits
    >>> noise = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), dtype=np.uint8)
    >>> compressed_bits(np.concatenate([0 * noise, noise])) > 8 * 28 * 28 - 100
    array([False,  True])
    """
    check_compressors(compressors)
    black = np.zeros_like(images, shape=(1, *images.shape[1:]))
    lengths = [_lengths(name, images) - _lengths(name, black) for name in compressors]
    bits: _Floats = 8.0 * np.min(lengths, axis=0)
    return bits


def check_compressors(compressors: Sequence[str]) -> None:
    """Raise unless these are names of compressors that can be used here.

    Raises
    ------
    ValueError
        If there are none, or one is not in `COMPRESSORS`.
    ImportError
        If one needs a package that is not installed.

    Examples
    --------
    >>> from skood.scores.complexity import check_compressors
    >>> check_compressors(("png", "zlib"))
    >>> check_compressors(("rar",))
    Traceback (most recent call last):
        ...
    ValueError: compressors must be names out of ...; got ('rar',).
    """
    if isinstance(compressors, str) or not len(compressors) or set(compressors) - set(COMPRESSORS):
        raise ValueError(
            f"compressors must be names out of {', '.join(COMPRESSORS)}, at least one, in a tuple; "
            f"got {compressors!r}."
        )
    if "jpeg_xl" in compressors:
        _imagecodecs()


def _lengths(name: str, images: _Bytes) -> NDArray[np.intp]:
    """Bytes of each image, shape (n,)."""
    starts = range(0, len(images), _CHUNK)
    return np.concatenate([COMPRESSORS[name](images[i : i + _CHUNK]) for i in starts])


def _zlib(images: _Bytes) -> NDArray[np.intp]:
    return np.array([len(zlib.compress(image.tobytes(), _BEST)) for image in images])


def _png(images: _Bytes) -> NDArray[np.intp]:
    """Of the compressed data: what else is in a file is the same for all images of a shape."""
    return np.array([len(compressed_lines(lines)) for lines in png_lines(images)])


def compressed_lines(lines: _Bytes) -> bytes:
    """The data of a PNG file, by the strategy of zlib for filtered lines, as in libpng."""
    stream = zlib.compressobj(_BEST, strategy=zlib.Z_FILTERED)
    return stream.compress(lines.tobytes()) + stream.flush()


def png_lines(images: _Bytes) -> _Bytes:
    """The lines of PNG files before they are compressed, shape (n, height, 1 + bytes per line).

    Each line begins with the number of its filter: the one whose differences have the smallest sum
    of absolute values, as the PNG specification (ISO/IEC 15948, section 12.8) advises.
    """
    filtered = _png_filters(images.reshape(*images.shape[:2], -1), images.shape[3])
    costs = np.abs(filtered.view(np.int8).astype(np.int16)).sum(axis=-1)
    best = costs.argmin(axis=0)[None, :, :, None]
    lines = np.take_along_axis(filtered, best, axis=0)[0]
    return np.concatenate([best[0].astype(np.uint8), lines], axis=-1)


def _png_filters(lines: _Bytes, n_channels: int) -> _Bytes:
    """Differences to what each of the five filters predicts, shape (5, n, height, bytes)."""
    above = np.zeros_like(lines)
    above[:, 1:] = lines[:, :-1]
    left, above_left = np.zeros_like(lines), np.zeros_like(lines)
    left[..., n_channels:] = lines[..., :-n_channels]
    above_left[..., n_channels:] = above[..., :-n_channels]
    mean = ((left.astype(np.uint16) + above) // 2).astype(np.uint8)
    nearest = _paeth(left, above, above_left)
    return np.stack([lines, lines - left, lines - above, lines - mean, lines - nearest])


def _paeth(left: _Bytes, above: _Bytes, above_left: _Bytes) -> _Bytes:
    """Of the three neighbours the one nearest to left + above - above_left."""
    a, b, c = (values.astype(np.int16) for values in (left, above, above_left))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    otherwise = np.where(to_b <= to_c, above, above_left)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, otherwise)


def _jpeg_xl(images: _Bytes) -> NDArray[np.intp]:
    encode = _imagecodecs().jpegxl_encode
    options = {"lossless": True, "numthreads": 1}
    images = images[..., 0] if images.shape[-1] == 1 else images
    return np.array([len(encode(image, **options)) for image in images])


def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise ImportError(
            "The compressor 'jpeg_xl' needs imagecodecs. Install it with "
            'pip install "skood[compression]", or use "png" and "zlib".'
        ) from error
    return imagecodecs


# Each gives the length in bytes of images (n, height, width, channels), uint8.
COMPRESSORS: Mapping[str, Callable[[_Bytes], NDArray[np.intp]]] = MappingProxyType(
    {"png": _png, "zlib": _zlib, "jpeg_xl": _jpeg_xl}
)
