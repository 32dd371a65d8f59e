"""The data that need no download."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images

from skood.datasets import load_digit_images, sample_photo_patches


def test_digit_images_are_the_digits_of_scikit_learn_on_the_full_grey_scale():
    images = load_digit_images()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)
    np.testing.assert_array_equal(np.rint(images / 255 * 16), load_digits().images)


def test_patches_are_pieces_of_the_photographs_in_grey():
    patches = sample_photo_patches(size=6, n=20, random_state=0)
    assert patches.shape == (20, 6, 6)
    assert patches.dtype == np.uint8
    grey = [np.rint(p @ [0.299, 0.587, 0.114]) for p in load_sample_images().images]
    pieces = [np.lib.stride_tricks.sliding_window_view(p, (6, 6)) for p in grey]
    found = [[(piece == patch).all(axis=(2, 3)).any() for piece in pieces] for patch in patches]
    assert np.any(found, axis=1).all()
    assert np.any(found, axis=0).all()  # both photographs are used


def test_patches_follow_the_seed_and_leave_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the one not to use
    first, again, other = (sample_photo_patches(n=5, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_a_patch_may_be_as_high_as_the_photographs():
    assert sample_photo_patches(size=427, n=2).shape == (2, 427, 427)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"size": 0}, "size is 0"), ({"size": 428}, "from 1 to 427"), ({"n": 0}, "n is 0")],
)
def test_impossible_patches_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_photo_patches(**arguments)
