"""Rows that are read when they are asked for."""

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

from skood import CombinedDetector, Gaussian, KNNDistance
from skood.core.rows import check_rows
from skood.core.stored import StoredRows, is_stored

TABLE = np.random.default_rng(0).normal(size=(300, 3))
IMAGES = np.random.default_rng(0).integers(0, 200, (40, 6, 6))


class OfArray(Dataset):
    """Rows of an array, and how many were asked for."""

    def __init__(self, X):
        self.X, self.n_read = X, 0

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        self.n_read += 1
        return self.X[i]


class OfFile:
    """An array as h5py gives it: indices must ascend, and none may come twice."""

    def __init__(self, X):
        self.shape, self.dtype, self._X = X.shape, X.dtype, X

    def __getitem__(self, which):
        assert isinstance(which, slice) or (np.diff(which) > 0).all()
        return self._X[which]


def sources(X):
    tensor = TensorDataset(torch.from_numpy(X), torch.zeros(len(X)))
    return [OfArray(X), tensor, DataLoader(tensor, batch_size=7, shuffle=True), OfFile(X)]


@pytest.mark.parametrize("source", range(4))
@pytest.mark.parametrize("detector", [CombinedDetector, KNNDistance])
def test_data_sets_loaders_and_arrays_of_files_give_the_scores_of_the_array(detector, source):
    expected = detector(random_state=0).fit(TABLE).score_samples(TABLE)
    fitted = detector(random_state=0).fit(sources(TABLE)[source])
    np.testing.assert_array_equal(fitted.score_samples(sources(TABLE)[source]), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float64])
def test_images_of_a_data_set_are_of_the_kind_that_those_of_an_array_are(dtype):
    X = (IMAGES % 2 if dtype in (bool, np.float64) else IMAGES).astype(dtype)
    expected, model = (Gaussian(random_state=0).fit(given) for given in (X, OfArray(X)))
    assert model.data_kind_ == expected.data_kind_
    np.testing.assert_array_equal(model.score_samples(OfArray(X)), expected.score_samples(X))


@pytest.mark.parametrize("source", range(4))
def test_rows_come_in_the_order_that_was_asked_for(source):
    stored = StoredRows(sources(TABLE)[source])
    for which in (slice(3, 9), slice(9, 3, -2), np.array([5, 1, 5]), slice(0, 0)):
        np.testing.assert_array_equal(stored[which], TABLE[which])


def test_no_more_rows_are_read_than_are_asked_for():
    source = OfArray(TABLE)
    StoredRows(source)[4:6]
    assert source.n_read == 3  # one for the shape


def test_what_is_in_memory_is_not_taken_for_a_file():
    pandas = pytest.importorskip("pandas", reason="data frames need pandas")
    in_memory = [TABLE, torch.zeros(3, 2), [[1.0]], pandas.DataFrame(TABLE), pandas.Series([1.0])]
    assert not any(is_stored(X) for X in in_memory)


def test_missing_values_of_a_data_set_are_refused():
    X = TABLE.copy()
    X[250, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        KNNDistance().fit(OfArray(X))


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match=r"0 sample|Reshape"):
        KNNDistance().fit(OfArray(TABLE[:0]))


def test_rows_of_another_shape_are_named():
    with pytest.raises(ValueError, match=r"Row 1 of X has shape \(2,\), and row 0 \(3,\)"):
        KNNDistance().fit(OfArray([np.zeros(3), np.zeros(2)]))


def test_rows_that_are_no_arrays_are_refused():
    with pytest.raises(TypeError, match=r"whose row 0 is a dict"):
        KNNDistance().fit(OfArray([{"x": 1}]))


def test_a_data_set_that_is_read_once_is_refused_with_a_remedy():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(TABLE)

    with pytest.raises(TypeError, match=r"Stream, whose rows .*join_shards"):
        KNNDistance().fit(DataLoader(Stream()))


def test_a_loader_that_draws_some_rows_is_refused_and_a_subset_is_not():
    data = OfArray(TABLE)
    drawn = DataLoader(data, sampler=WeightedRandomSampler(torch.ones(300), 10))
    with pytest.raises(TypeError, match=r"WeightedRandomSampler.*Subset"):
        KNNDistance().fit(drawn)
    expected = KNNDistance(random_state=0).fit(TABLE[:100]).offset_
    assert KNNDistance(random_state=0).fit(Subset(data, range(100))).offset_ == expected


def test_a_data_set_of_other_rows_is_compared_with_the_fitted_ones():
    fitted = Gaussian().fit(IMAGES)
    with pytest.raises(ValueError, match="fitted on rows of shape"):
        check_rows(fitted, OfArray(IMAGES[:, :5]), reset=False)
