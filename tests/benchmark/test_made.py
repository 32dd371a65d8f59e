"""Images made from normal ones are what their names say."""

import numpy as np
import pytest
from scipy.signal import convolve2d

from skood.benchmark._made import (
    centre_cut,
    grey_images,
    in_colour,
    made_sets,
    padded,
    plain_images,
)

SHAPES = {"grey": (40, 28, 28), "colour": (40, 32, 32, 3)}


@pytest.fixture(params=SHAPES)
def X(request):
    """Images whose values, from 40 to 200, leave room on both sides."""
    return np.random.default_rng(1).integers(40, 201, SHAPES[request.param], dtype=np.uint8)


def pixels(images):
    return images.reshape(len(images), -1, *images.shape[3:])


def sorted_pixels(images):
    """Pixels in an order that does not depend on where they are; their colours stay together."""
    flat = pixels(images).reshape(len(images), images.shape[1] * images.shape[2], -1)
    codes = flat.astype(np.int64) @ (256 ** np.arange(flat.shape[-1]))
    return np.sort(codes, axis=1)


def test_all_are_bytes_of_the_same_shape(X):
    for name, images in made_sets(X).items():
        assert (images.dtype, images.shape) == (np.uint8, X.shape), name


def test_the_images_given_are_not_changed(X):
    before = X.copy()
    made_sets(X)
    np.testing.assert_array_equal(X, before)


def test_the_seed_decides_what_is_random(X):
    first, again, other = made_sets(X, 0), made_sets(X, 0), made_sets(X, 1)
    random = {name for name in first if not np.array_equal(first[name], other[name])}
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert random == {
        "uniform noise",
        "Gaussian noise",
        "noise added",
        "shuffled pixels",
        "shuffled patches",
        "nearly black",
        "constant",
    }


def test_uniform_noise_takes_all_levels_equally_often(X):
    counts = np.bincount(made_sets(X)["uniform noise"].ravel(), minlength=256)
    expected = X.size / 256
    assert np.all(np.abs(counts - expected) < 6 * np.sqrt(expected))


def test_gaussian_noise_has_a_quarter_of_the_range_as_deviation(X):
    noise = made_sets(X)["Gaussian noise"]
    below = np.mean(noise < 127.5 - 64)
    assert abs(noise.mean() - 127.5) < 1
    assert abs(below - 0.1587) < 0.01


def test_added_noise_has_a_deviation_of_8(X):
    noise = made_sets(X)["noise added"].astype(float) - X
    assert abs(noise.mean()) < 0.3
    assert abs(noise.std() - 8) < 0.3


def test_blurred_is_the_mean_of_nine_neighbours(X):
    channel = X[0] if X.ndim == 3 else X[0, ..., 2]
    blurred = made_sets(X)["blurred"][0]
    blurred = blurred if X.ndim == 3 else blurred[..., 2]
    expected = convolve2d(channel, np.full((3, 3), 1 / 9), mode="valid")
    assert np.abs(blurred[1:-1, 1:-1] - expected).max() <= 0.5 + 1e-9


def test_half_contrast_keeps_the_mean_and_halves_the_deviation(X):
    half = pixels(made_sets(X)["half contrast"])
    axes = tuple(range(1, half.ndim))
    np.testing.assert_allclose(half.mean(axes), pixels(X).mean(axes), atol=0.5)
    np.testing.assert_allclose(half.std(axes), pixels(X).std(axes) / 2, rtol=0.02)


def test_grey_has_equal_channels_and_the_brightness_of_the_colour():
    X = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]] * 4], dtype=np.uint8)
    grey = made_sets(X)["grey"][0, 0]
    np.testing.assert_array_equal(grey, np.repeat([[76], [150], [29], [9]], 3, axis=1))


def test_grey_images_are_not_made_grey():
    assert "grey" not in made_sets(np.zeros((2, 28, 28), np.uint8))


def test_turned_and_flipped_move_the_top_left_corner(X):
    made = made_sets(X)
    np.testing.assert_array_equal(made["turned 90"][:, -1, 0], X[:, 0, 0])
    np.testing.assert_array_equal(made["turned 180"][:, -1, -1], X[:, 0, 0])
    np.testing.assert_array_equal(made["flipped"][:, -1, 0], X[:, 0, 0])
    np.testing.assert_array_equal(made["flipped"][:, -1, 3], X[:, 0, 3])


@pytest.mark.parametrize("name", ["inverted", "flipped", "turned 180"])
def test_some_give_the_image_again_when_done_twice(name, X):
    once = made_sets(X)[name]
    assert not np.array_equal(once, X)
    np.testing.assert_array_equal(made_sets(once)[name], X)


@pytest.mark.parametrize("name", ["shuffled pixels", "shuffled patches"])
def test_shuffling_keeps_the_pixels_and_their_colours(name, X):
    shuffled = made_sets(X)[name]
    assert np.mean(shuffled == X) < 0.2
    np.testing.assert_array_equal(sorted_pixels(shuffled), sorted_pixels(X))


def test_every_image_is_shuffled_in_an_order_of_its_own():
    X = np.arange(64, dtype=np.uint8).reshape(1, 8, 8).repeat(5, axis=0)
    made = made_sets(X)
    for name in ("shuffled pixels", "shuffled patches"):
        assert len(np.unique(made[name], axis=0)) == 5, name


def test_shuffled_patches_are_sixteenths_of_the_image():
    side = 28
    numbers = np.arange(16, dtype=np.uint8).reshape(4, 4)
    X = numbers.repeat(side // 4, axis=0).repeat(side // 4, axis=1)[None]
    shuffled = made_sets(X)["shuffled patches"][0]
    corners = shuffled[:: side // 4, :: side // 4]
    np.testing.assert_array_equal(np.sort(corners.ravel()), np.arange(16))
    assert np.array_equal(shuffled, corners.repeat(7, axis=0).repeat(7, axis=1))


def test_nearly_black_takes_the_values_0_to_2(X):
    assert np.unique(made_sets(X)["nearly black"]).tolist() == [0, 1, 2]


def test_constant_images_have_one_level_each_and_differ(X):
    flat = made_sets(X)["constant"].reshape(len(X), -1)
    assert np.all(flat == flat[:, :1])
    assert len(np.unique(flat[:, 0])) > 20


def test_plain_images_are_black_white_and_grey(X):
    plain = plain_images(X)
    assert {name: np.unique(image).tolist() for name, image in plain.items()} == {
        "all black": [0],
        "all white": [255],
        "mid-grey": [128],
    }
    assert all(image.shape == (1, *X.shape[1:]) for image in plain.values())


def test_photographs_are_brought_to_the_shape_of_digits():
    X = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(1, 32, 32, 3)
    cut = centre_cut(grey_images(X), 28)
    np.testing.assert_array_equal(cut, grey_images(X)[:, 2:30, 2:30])


def test_digits_are_brought_to_the_shape_of_photographs():
    X = np.full((2, 28, 28), 7, np.uint8)
    framed = in_colour(padded(X, 32))
    assert framed.shape == (2, 32, 32, 3)
    assert np.all(framed[:, 2:30, 2:30] == 7)
    assert framed.sum() == 7 * 3 * X.size
