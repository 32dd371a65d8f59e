"""One picture file as an array: the only place that imports Pillow, which is optional."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

_SIXTEEN_BIT_MODES = {"I", "I;16", "I;16B", "I;16L"}
_GREY_MODES = {"1", "L", "LA"} | _SIXTEEN_BIT_MODES
_ALPHA_MODES = {"LA", "PA", "RGBA"}


def may_be_grey(file: Path) -> bool:
    """Whether a file is stored as grey, or will turn out to be no picture."""
    try:
        with Image.open(file) as image:
            return image.mode in _GREY_MODES
    except Exception:  # of any kind, see `load_image_folder`, which will come across it again
        return True


def pixels(file: Path, height: int, width: int, *, is_grey: bool) -> NDArray[np.uint8]:
    """The upright picture, cropped and resized, shape (height, width) or (height, width, 3)."""
    with Image.open(file) as image:
        upright = ImageOps.exif_transpose(image)
        plain = _on_white(_in_eight_bits(upright)).convert("L" if is_grey else "RGB")
    return np.asarray(ImageOps.fit(plain, (width, height), method=Image.Resampling.BICUBIC))


def _in_eight_bits(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are floats of unknown range; save it with 8 or 16 bits")
    if image.mode not in _SIXTEEN_BIT_MODES:
        return image
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > 65535:
        raise ValueError("its pixels have 32 bits; save it with 8 or 16")
    return Image.fromarray(np.rint(levels / 257).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in _ALPHA_MODES and "transparency" not in image.info:
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA"))
