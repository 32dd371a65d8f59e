"""Any sensible array is taken, and a mistake is named together with its remedy."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator

from skood.core.validation import (
    channel_axis,
    check_rows,
    check_scale,
    data_kind,
    draw_seed,
    keep_fitted,
)

SHAPES = [(7, 5), (7, 6, 4), (7, 6, 5, 3), (7, 3, 6, 5), (7, 6, 5, 1), (7, 4, 6, 5)]


class Estimator(BaseEstimator):
    """Stands for any model."""


def fitted(X):
    estimator = Estimator()
    check_rows(estimator, X, reset=True)
    return estimator


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_tables_and_images_pass_unchanged_and_without_a_copy(shape, dtype):
    X = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    checked = check_rows(Estimator(), X, reset=True)
    assert checked.dtype == dtype
    assert np.shares_memory(checked, X)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_of_a_row_is_remembered(shape):
    estimator = fitted(np.zeros(shape))
    assert estimator.input_shape_ == shape[1:]
    assert estimator.n_features_in_ == shape[1]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_a_torch_tensor_is_taken_even_with_a_gradient(dtype):
    X = torch.arange(24).reshape(2, 4, 3).to(dtype).requires_grad_(dtype.is_floating_point)
    checked = check_rows(Estimator(), X, reset=True)
    np.testing.assert_array_equal(checked, X.detach().numpy())
    assert checked.dtype == X.detach().numpy().dtype


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.int8])
def test_images_of_other_integers_become_bytes(dtype):
    X = np.arange(24).reshape(2, 4, 3).astype(dtype)
    assert check_rows(Estimator(), X, reset=True).dtype == np.uint8


@pytest.mark.parametrize("lowest, highest", [(-1, 255), (0, 256)])
def test_integers_beyond_bytes_become_floats(lowest, highest):
    X = np.full((2, 4, 3), lowest)
    X[0] = highest
    assert check_rows(Estimator(), X, reset=True).dtype == np.float64


def test_integers_in_a_table_become_floats():
    assert check_rows(Estimator(), np.ones((4, 3), dtype=int), reset=True).dtype == np.float64


@pytest.mark.parametrize("given", [(2, 28, 32), (2, 32, 28), (2, 28, 28, 1), (2, 784)])
def test_rows_of_another_shape_are_refused_with_the_shape_that_is_wanted(given):
    estimator = fitted(np.zeros((2, 28, 28)))
    with pytest.raises(ValueError, match=r"\(28, 28\)") as error:
        check_rows(estimator, np.zeros(given), reset=False)
    assert str(given) in str(error.value) and "resize" in str(error.value)


def test_a_table_of_another_width_is_refused_as_by_scikit_learn():
    with pytest.raises(ValueError, match="X has 4 features, but Estimator is expecting 3"):
        check_rows(fitted(np.zeros((2, 3))), np.zeros((2, 4)), reset=False)


def test_images_are_refused_by_what_was_fitted_on_a_table():
    with pytest.raises(ValueError, match=r"fitted on rows of shape \(3,\)"):
        check_rows(fitted(np.zeros((2, 3))), np.zeros((2, 3, 3)), reset=False)


def test_images_without_an_axis_of_channels_are_refused_with_the_shapes_that_are_taken():
    with pytest.raises(ValueError, match=r"\(6, 5, 2\).*Give images as") as error:
        check_rows(Estimator(), np.zeros((2, 6, 5, 2)), reset=True)
    assert "1, 3 or 4 channels" in str(error.value)


def test_five_dimensions_are_refused_with_the_shapes_that_are_taken():
    with pytest.raises(ValueError, match=r"5 dimensions, shape \(2, 2, 2, 2, 3\)\. Give a table"):
        check_rows(Estimator(), np.zeros((2, 2, 2, 2, 3)), reset=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 3)])
def test_values_that_are_not_finite_are_refused(bad, shape):
    X = np.zeros(shape)
    X[1] = bad
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        check_rows(Estimator(), X, reset=True)


@pytest.mark.parametrize("shape", [(0, 3), (0, 8, 8), (4, 0)])
def test_an_empty_array_is_refused(shape):
    with pytest.raises(ValueError, match=r"Found array with 0 (sample|feature)"):
        check_rows(Estimator(), np.zeros(shape), reset=True)


@pytest.mark.parametrize("X", [[["a", "b"], ["c", "d"]], np.array([["a"], ["b"]])])
def test_strings_are_refused(X):
    with pytest.raises(ValueError, match=r"could not convert|compatible"):
        check_rows(Estimator(), X, reset=True)


def test_a_single_row_without_its_first_axis_is_refused():
    with pytest.raises(ValueError, match="Reshape your data"):
        check_rows(Estimator(), np.zeros(5), reset=True)


@pytest.mark.parametrize(
    "shape, axis", [((8, 9, 3), 2), ((3, 8, 9), 0), ((8, 9, 1), 2), ((1, 8, 9), 0), ((4, 8, 3), 2)]
)
def test_the_axis_of_channels_is_found_and_the_last_one_is_preferred(shape, axis):
    assert channel_axis(shape) == axis


@pytest.mark.parametrize(
    "X, kind",
    [
        (np.full((2, 3, 3), 2, np.uint8), "bytes"),
        (np.ones((2, 3, 3), np.uint8), "unit"),
        (np.zeros((2, 3, 3)), "unit"),
        (np.full((2, 3, 3), 1.01), "real"),
        (np.full((2, 3, 3), -0.01), "real"),
        (np.zeros((2, 3)), "real"),
        (np.zeros((2, 3), np.uint8), "real"),
    ],
)
def test_the_kind_of_data_follows_from_type_and_range_and_tables_are_real(X, kind):
    assert data_kind(X) == kind


def test_pixels_in_0_to_1_are_refused_where_bytes_were_fitted():
    X = np.linspace(0, 1, 18).reshape(2, 3, 3)
    with pytest.raises(ValueError, match=r"float64 with values from 0 to 1\. Give uint8"):
        check_scale(Estimator(), X, "bytes")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_bytes_are_refused_where_pixels_in_0_to_1_were_fitted(dtype):
    X = np.arange(0, 252, 14).reshape(2, 3, 3).astype(dtype)
    with pytest.raises(ValueError, match=r"values from 0 to 238\. .* X / 255"):
        check_scale(Estimator(), X, "unit")


@pytest.mark.parametrize("value", [-1.0, 256.0])
def test_whole_numbers_beyond_bytes_are_refused_where_bytes_were_fitted(value):
    with pytest.raises(ValueError, match="Give uint8"):
        check_scale(Estimator(), np.full((2, 3, 3), value), "bytes")


def test_the_right_scale_passes_in_any_type():
    whole = np.arange(18.0).reshape(2, 3, 3)
    for dtype in (np.uint8, np.float32, np.float64):
        check_scale(Estimator(), whole.astype(dtype), "bytes")
    check_scale(Estimator(), whole / 255, "unit")
    check_scale(Estimator(), whole * -1e9, "real")


def test_a_fitted_estimator_survives_a_failing_block_unchanged():
    estimator = fitted(np.zeros((2, 3)))
    before = dict(vars(estimator))
    with pytest.raises(KeyError), keep_fitted(estimator):
        check_rows(estimator, np.zeros((2, 4, 4)), reset=True)
        estimator.other_ = 1
        raise KeyError
    assert vars(estimator) == before


def test_a_block_that_does_not_fail_may_change_the_estimator():
    estimator = fitted(np.zeros((2, 3)))
    with keep_fitted(estimator):
        check_rows(estimator, np.zeros((2, 4, 4)), reset=True)
    assert estimator.input_shape_ == (4, 4)


def test_a_seed_is_an_integer_whatever_the_random_state():
    assert draw_seed(5) == 5
    assert draw_seed(np.int64(5)) == 5
    states = [np.random.RandomState(3) for _ in range(2)]
    assert draw_seed(states[0]) == draw_seed(states[1])
    assert draw_seed(None) != draw_seed(None)
