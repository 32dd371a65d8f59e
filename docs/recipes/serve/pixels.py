"""From a posted file to the pixels of one image, or to the reason why not."""

from typing import BinaryIO

import numpy as np
from PIL import Image

MODES = ("1", "L", "P", "RGB")  # those that lose nothing on the way to 8 bits


class BadImage(ValueError):
    """A file that the detector cannot score; the message is for the client."""


def pixels_of(file: BinaryIO, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels, uint8, of ``shape``: (height, width), or (height, width, 3) for colour.

    An image of another size is refused: resizing it here, in another way than the images that the
    detector was fitted on, would make it look unusual.
    """
    try:
        image = Image.open(file)
    except Exception as error:  # of any type: Pillow's decoders raise many
        raise BadImage("This is no image of a format that is known here.") from error
    height, width = shape[:2]
    if image.size != (width, height):  # known from the header, before a pixel is decoded
        raise BadImage(
            f"The image is {image.width} x {image.height} pixels; send {width} x {height}, resized "
            "as the images that the detector was fitted on."
        )
    if image.mode not in MODES:
        raise BadImage(f"The image has mode {image.mode}; send 8-bit grey or RGB without alpha.")
    try:
        return np.asarray(image.convert("L" if len(shape) == 2 else "RGB"))
    except Exception as error:
        raise BadImage("The image is damaged.") from error
