"""The data that need no download."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images

from skood.datasets import load_digit_images, load_photo_tiles


def test_digit_images_are_the_digits_of_scikit_learn_on_the_full_grey_scale():
    images = load_digit_images()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)
    np.testing.assert_array_equal(np.rint(images / 255 * 16), load_digits().images)


def test_larger_digits_have_the_margin_of_mnist():
    images = load_digit_images(28)
    assert images.shape == (1797, 28, 28)
    ink = images.max(axis=0) > 0
    assert not ink[:4].any() and not ink[-4:].any() and not ink[:, :4].any()
    assert ink[4:24, 4:24].any(axis=1).all()


def test_tiles_cover_the_photographs_once():
    tiles = load_photo_tiles(16)
    assert tiles.shape == (2 * (427 // 16) * (640 // 16), 16, 16)
    assert tiles.dtype == np.uint8
    grey = np.rint(np.stack(load_sample_images().images) @ [0.299, 0.587, 0.114])[:, :416]
    assert tiles.sum(dtype=np.int64) == grey.sum()
    pieces = np.lib.stride_tricks.sliding_window_view(grey, (16, 16), axis=(1, 2))[:, ::16, ::16]
    assert {tile.tobytes() for tile in tiles} == {
        piece.astype(np.uint8).tobytes() for piece in pieces.reshape(-1, 16, 16)
    }


def test_tiles_follow_the_seed_and_leave_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the one not to use
    first, again, other = (load_photo_tiles(32, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("size", [0, 428])
def test_impossible_tiles_are_refused(size):
    with pytest.raises(ValueError, match=f"size is {size}; give an integer from 1 to 427"):
        load_photo_tiles(size)


def test_digits_smaller_than_the_original_are_refused():
    with pytest.raises(ValueError, match="size is 7; give an integer of at least 8"):
        load_digit_images(7)
