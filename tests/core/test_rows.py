"""Any sensible array is taken without a copy, and a mistake is named together with its remedy."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator

from skood.core.rows import channel_axis, check_rows, unfitted_copy

SHAPES = [(7, 5), (7, 6, 4), (7, 6, 5, 3), (7, 3, 6, 5), (7, 6, 5, 1), (7, 4, 6, 5)]


class Estimator(BaseEstimator):
    """Stands for any model."""


class OnlyArray:
    """An array of some other library, which knows nothing but how to become one of NumPy."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype=dtype)


def checked(X):
    return check_rows(Estimator(), X, reset=True)


def fitted(X):
    estimator = Estimator()
    check_rows(estimator, X, reset=True).remember_on(estimator)
    return estimator


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_tables_and_images_pass_unchanged_and_without_a_copy(shape, dtype):
    X = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    rows = checked(X)
    assert rows.array.dtype == dtype
    assert np.shares_memory(rows.array, X)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_of_a_row_is_remembered(shape):
    estimator = fitted(np.zeros(shape))
    assert estimator.input_shape_ == shape[1:]
    assert estimator.n_features_in_ == shape[1]


@pytest.mark.parametrize("reset", [True, False])
def test_checking_does_not_change_the_estimator(reset):
    estimator = fitted(np.zeros((2, 3)))
    before = dict(vars(estimator))
    check_rows(estimator, np.ones((4, 3)), reset=reset)
    assert vars(estimator) == before


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_a_torch_tensor_is_taken_even_with_a_gradient(dtype):
    X = torch.arange(24).reshape(2, 4, 3).to(dtype).requires_grad_(dtype.is_floating_point)
    array = checked(X).array
    np.testing.assert_array_equal(array, X.detach().numpy())
    assert array.dtype == X.detach().numpy().dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(8, 3), (2, 4, 3)])
def test_tensors_of_half_precision_are_taken_with_their_values(dtype, shape):
    X = torch.arange(24).reshape(shape).to(dtype) / 8
    array = checked(X).array
    np.testing.assert_array_equal(array, X.double().numpy())
    assert array.dtype in (np.float32, np.float64)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.int8])
def test_images_of_other_integers_become_bytes(dtype):
    X = np.arange(24).reshape(2, 4, 3).astype(dtype)
    assert checked(X).array.dtype == np.uint8


@pytest.mark.parametrize("make", [np.ndarray.tolist, OnlyArray, torch.from_numpy])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float64])
@pytest.mark.parametrize("shape", [(8, 3), (2, 4, 3), (2, 2, 2, 3)])
def test_whatever_can_become_an_array_counts_as_that_array(make, dtype, shape):
    X = (np.arange(24).reshape(shape) % 7).astype(dtype)
    rows, expected = (
        checked(make(X)),
        checked(np.asarray(X.tolist()) if make is np.ndarray.tolist else X),
    )
    assert rows.origin == expected.origin and rows.array.dtype == expected.array.dtype
    np.testing.assert_array_equal(rows.array, expected.array)


@pytest.mark.parametrize("lowest, highest", [(-1, 255), (0, 256)])
def test_integers_beyond_bytes_become_floats(lowest, highest):
    X = np.full((2, 4, 3), lowest)
    X[0] = highest
    assert checked(X).array.dtype == np.float64


def test_integers_in_a_table_become_floats():
    assert checked(np.ones((4, 3), dtype=int)).array.dtype == np.float64


def test_the_type_in_which_values_came_is_remembered():
    X = np.ones((2, 4, 3))
    kinds = {np.uint8: "uint8", bool: "bool", np.int16: "integer", np.float32: "float"}
    assert {t: checked(X.astype(t)).origin for t in kinds} == kinds


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


@pytest.mark.parametrize("shape", [(6, 4), (6, 5, 3), (3, 6, 5)])
def test_one_image_without_the_axis_of_the_batch_is_refused_with_the_remedy(shape):
    estimator = fitted(np.zeros((7, *shape)))
    with pytest.raises(ValueError, match=r"that of a single row\. .*give X\[None\]"):
        check_rows(estimator, np.zeros(shape), reset=False)
    assert len(check_rows(estimator, np.zeros(shape)[None], reset=False)) == 1


def test_images_without_an_axis_of_channels_are_refused_with_the_shapes_that_are_taken():
    with pytest.raises(ValueError, match=r"\(6, 5, 2\).*Give images as") as error:
        checked(np.zeros((2, 6, 5, 2)))
    assert "1, 3 or 4 channels" in str(error.value)


def test_five_dimensions_are_refused_with_the_shapes_that_are_taken():
    with pytest.raises(ValueError, match=r"5 dimensions, shape \(2, 2, 2, 2, 3\)\. Give a table"):
        checked(np.zeros((2, 2, 2, 2, 3)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 3)])
def test_values_that_are_not_finite_are_refused(bad, shape):
    X = np.zeros(shape)
    X[1] = bad
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        checked(X)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 3)])
def test_masked_values_are_missing_ones(dtype, shape):
    X = np.ma.masked_equal(np.arange(np.prod(shape)).reshape(shape).astype(dtype), 5)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        checked(X)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 3)])
@pytest.mark.parametrize("mask", [np.ma.nomask, False])
def test_a_masked_array_without_a_masked_value_is_the_array(dtype, shape, mask):
    X = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    rows, expected = checked(np.ma.array(X, mask=mask)), checked(X)
    assert type(rows.array) is np.ndarray and rows.origin == expected.origin
    assert rows.array.dtype == expected.array.dtype
    np.testing.assert_array_equal(rows.array, X)


@pytest.mark.parametrize("shape", [(0, 3), (0, 8, 8), (4, 0)])
def test_an_empty_array_is_refused(shape):
    with pytest.raises(ValueError, match=r"Found array with 0 (sample|feature)"):
        checked(np.zeros(shape))


@pytest.mark.parametrize("X", [[["a", "b"], ["c", "d"]], np.array([["a"], ["b"]])])
def test_strings_are_refused(X):
    with pytest.raises(ValueError, match=r"could not convert|compatible"):
        checked(X)


def test_sparse_matrices_are_refused():
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        checked(sparse.csr_matrix(np.eye(3)))


def test_a_single_row_without_its_first_axis_is_refused():
    with pytest.raises(ValueError, match="Reshape your data"):
        checked(np.zeros(5))


@pytest.mark.parametrize(
    "shape, axis", [((8, 9, 3), 2), ((3, 8, 9), 0), ((8, 9, 1), 2), ((1, 8, 9), 0), ((4, 8, 3), 2)]
)
def test_the_axis_of_channels_is_found_and_the_last_one_is_preferred(shape, axis):
    assert channel_axis(shape) == axis


def test_rows_that_were_checked_are_taken_as_they_are():
    rows = checked(np.zeros((4, 3)))
    assert check_rows(fitted(np.zeros((2, 3))), rows, reset=False) is rows
    with pytest.raises(ValueError, match=r"fitted on rows of shape \(4, 4\)"):
        check_rows(fitted(np.zeros((2, 4, 4))), rows, reset=False)


def test_rows_of_rows_are_counted_in_the_first_array():
    X = np.arange(20.0).reshape(10, 2)
    rows = checked(X)[np.array([7, 3, 5, 1])][1:3]
    assert len(rows) == 2 and rows.shape == (2, 2) and rows.array is checked(X).array
    np.testing.assert_array_equal(rows.take(slice(None)), X[[3, 5]])
    np.testing.assert_array_equal(rows.take(np.array([1])), X[[5]])


def test_the_index_of_a_slice_is_as_long_as_the_slice():
    rows = checked(np.zeros((10, 2)))
    assert rows[7:30].index.tolist() == [7, 8, 9]
    assert rows[7:30][1:].index.tolist() == [8, 9]
    assert rows[:-8].index.base is None


@pytest.mark.parametrize("which", [slice(None), slice(2, 90_000), np.arange(100_000)[::-1]])
def test_chunks_are_all_rows_in_order(which):
    X = np.arange(100_000 * 32, dtype=np.float32).reshape(100_000, 32)
    rows = checked(X)[which]
    chunks = list(rows.chunks())
    assert len(chunks) > 1
    np.testing.assert_array_equal(np.concatenate(chunks), X[which])


def test_a_memory_map_stays_on_disk(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((50, 4, 4), np.uint8))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    rows = checked(X)
    assert np.shares_memory(rows.array, X) and not rows.array.flags.writeable


def test_an_unfitted_copy_has_the_parameters_and_nothing_that_was_learned():
    estimator = fitted(np.zeros((2, 3)))
    estimator.parameter, estimator.learned_ = [1], 2
    fresh = unfitted_copy(estimator)
    assert vars(fresh) == {"parameter": [1]} and fresh.parameter is estimator.parameter
    assert estimator.learned_ == 2 and estimator.input_shape_ == (3,)


def test_refitting_on_an_array_forgets_the_names_of_columns():
    estimator = fitted(np.zeros((2, 3)))
    estimator.feature_names_in_ = np.array(["a", "b", "c"])
    checked(np.zeros((2, 4))).remember_on(estimator)
    assert not hasattr(estimator, "feature_names_in_") and estimator.n_features_in_ == 4
