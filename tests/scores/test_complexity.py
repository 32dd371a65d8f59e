"""The length of compressed images: real PNG files, the shortest of several, headers left out."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from skood.scores.complexity import COMPRESSORS, compressed_bits, compressed_lines, png_lines

RNG = np.random.default_rng(0)
COLOUR_TYPES = {1: 0, 3: 2, 4: 6}


def photographs(n, n_channels, side=9):
    """Smooth gradients with a little noise, for which filters help, and noise without."""
    slopes = RNG.uniform(-12, 12, size=(n, 2, n_channels))
    places = np.arange(side)
    smooth = 128 + slopes[:, 0, None, None] * places[:, None, None] - slopes[:, 1, None, None] * 3
    smooth = smooth + slopes[:, 1, None, None] * places[:, None]
    images = smooth + RNG.normal(0, 3, size=(n, side, side, n_channels))
    images[0] = RNG.integers(0, 256, images.shape[1:])
    return np.clip(images, 0, 255).astype(np.uint8)


def png_file(lines, shape):
    height, width, n_channels = shape
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[n_channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", compressed_lines(lines)), (b"IEND", b"")]
    file = b"\x89PNG\r\n\x1a\n"
    for name, content in chunks:
        check = struct.pack(">I", zlib.crc32(name + content))
        file += struct.pack(">I", len(content)) + name + content + check
    return file


@pytest.mark.parametrize("n_channels", [1, 3, 4])
def test_a_png_reader_finds_the_image_again(n_channels):
    images = photographs(30, n_channels, side=16)
    lines = png_lines(images)
    for image, of_image in zip(images, lines, strict=True):
        with Image.open(io.BytesIO(png_file(of_image, image.shape))) as found:
            np.testing.assert_array_equal(np.asarray(found).reshape(image.shape), image)
    assert set(lines[..., 0].ravel()) == {0, 1, 2, 3, 4}  # every filter was at work


@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_png_is_as_long_as_that_of_pillow(n_channels):
    images = photographs(20, n_channels, side=28)
    lines = png_lines(images)
    ours = [len(png_file(x, images.shape[1:])) for x in lines]
    pillows = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(np.squeeze(image)).save(file, "PNG", optimize=True)
        pillows.append(len(file.getvalue()))
    # Exactly so where both are built with the same zlib.
    np.testing.assert_allclose(ours, pillows, rtol=0.02)


@pytest.mark.parametrize("name", ["png", "zlib"])
def test_the_length_of_a_black_image_is_subtracted(name):
    images = photographs(3, 1)
    black = np.zeros_like(images[:1])
    lengths = [
        len(compressed_lines(png_lines(x[None])) if name == "png" else zlib.compress(x, 9))
        for x in (*images, *black)
    ]
    expected = 8 * (np.array(lengths) - lengths[-1])
    found = compressed_bits(np.concatenate([images, black]), (name,))
    np.testing.assert_array_equal(found, expected)
    assert found[-1] == 0 and (found[:-1] > 0).all()


def test_the_shortest_of_several_counts_for_each_image():
    stripes = np.tile(RNG.integers(0, 256, (1, 1, 16, 1), dtype=np.uint8), (1, 16, 1, 1))
    images = np.concatenate([photographs(5, 1, side=16), RNG.permuted(stripes, axis=2)])
    each = [compressed_bits(images, (name,)) for name in ("png", "zlib")]
    np.testing.assert_array_equal(compressed_bits(images), np.min(each, axis=0))
    assert set(np.argmin(each, axis=0)) == {0, 1}


def test_noise_takes_all_its_bits_and_a_plain_image_hardly_any():
    plain = np.full((1, 28, 28, 1), 77, dtype=np.uint8)
    noise = RNG.integers(0, 256, plain.shape, dtype=np.uint8)
    bits = compressed_bits(np.concatenate([plain, noise]))
    assert bits[0] < 100 and bits[1] == pytest.approx(8 * 28 * 28, rel=0.02)


def test_more_images_than_are_filtered_at_a_time_have_the_bits_of_each_alone():
    images = photographs(600, 1, side=4)
    some = [0, 511, 512, 599]
    alone = [compressed_bits(images[i : i + 1])[0] for i in some]
    np.testing.assert_array_equal(compressed_bits(images)[some], alone)


def test_jpeg_xl_is_shorter_for_colour_photographs():
    pytest.importorskip("imagecodecs", reason='needs pip install "skood[compression]"')
    images = photographs(4, 3, side=64)[1:]
    assert (compressed_bits(images, ("jpeg_xl",)) < compressed_bits(images, ("png",))).all()
    grey = images[..., :1]
    assert (compressed_bits(grey, ("jpeg_xl", "png")) <= compressed_bits(grey, ("png",))).all()


def test_jpeg_xl_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImportError, match=r'pip install "skood\[compression\]"'):
        compressed_bits(photographs(1, 1), ("png", "jpeg_xl"))


@pytest.mark.parametrize("compressors", [(), ("gzip",), "png", ("png", "flif")])
def test_compressors_that_there_are_none_of_are_refused_with_those_that_there_are(compressors):
    with pytest.raises(ValueError, match="compressors must be names out of png, zlib, jpeg_xl"):
        compressed_bits(photographs(1, 1), compressors)
    assert set(COMPRESSORS) == {"png", "zlib", "jpeg_xl"}
