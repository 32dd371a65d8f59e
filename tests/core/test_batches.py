"""Arrays become batches of one size and come back, each row by itself."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from skood.core.batches import ShuffledBatches, map_batches, resolve_device, to_array, to_tensor

CPU = torch.device("cpu")
LAYOUTS = {
    "table": ((5,), (5,)),
    "grey": ((6, 4), (1, 6, 4)),
    "channels last": ((6, 4, 3), (3, 6, 4)),
    "channels first": ((3, 6, 5), (3, 6, 5)),
    "one channel last": ((6, 4, 1), (1, 6, 4)),
    "one channel first": ((1, 6, 5), (1, 6, 5)),
    "alpha": ((6, 5, 4), (4, 6, 5)),
}


@pytest.fixture
def network():
    """A convolutional network of a realistic width, with one number per row."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 64), nn.Linear(64, 1)
        )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_rows_come_back_as_they_went(layout, dtype):
    row_shape, inside = LAYOUTS[layout]
    X = np.random.default_rng(0).integers(0, 255, (7, *row_shape)).astype(dtype)
    x = to_tensor(X, CPU)
    assert x.shape == (7, *inside) and x.dtype == torch.float32
    np.testing.assert_array_equal(to_array(x, row_shape), X.astype(np.float64))


def test_channels_last_and_first_are_the_same_tensor():
    X = np.random.default_rng(0).random((2, 6, 5, 3), dtype=np.float32)
    assert torch.equal(to_tensor(X, CPU), to_tensor(np.moveaxis(X, 3, 1), CPU))


def test_a_read_only_array_is_taken_without_a_warning_and_not_shared():
    X = np.ones((3, 4), dtype=np.float32)
    X.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = to_tensor(X, CPU)
    x += 1
    assert (X == 1).all()


def test_a_row_gives_the_same_bits_in_any_company_and_order(network):
    rng = np.random.default_rng(0)
    X = rng.random((300, 8, 8), dtype=np.float32)

    def score(rows):
        return map_batches(lambda x: network(x)[:, 0], X[rows], CPU)

    everything = score(np.arange(300))
    for rows in [[0], [299], range(127), range(128), range(129), rng.permutation(300)]:
        rows = np.asarray(rows)
        np.testing.assert_array_equal(score(rows), everything[rows])


def test_every_batch_has_the_same_size():
    sizes = []

    def record(x):
        sizes.append(len(x))
        return x[:, 0]

    for n in (1, 127, 128, 129, 300):
        assert map_batches(record, np.ones((n, 2)), CPU).shape == (n,)
    assert set(sizes) == {128}


def test_results_are_joined_along_the_axis_of_the_rows():
    X = np.arange(600.0).reshape(300, 2)
    by_column = map_batches(lambda x: x.T, X, CPU)
    by_row = map_batches(lambda x: x, X, CPU, row_axis=0)
    np.testing.assert_array_equal(by_column, X.T)
    np.testing.assert_array_equal(by_row, X)


def sums_of(group_size, seen=None):
    """Of the first column, over each group of a batch; ``seen`` gets the batches."""

    def evaluate(x):
        if seen is not None:
            seen.append(x[:, 0].tolist())
        return x[:, 0].unflatten(0, (-1, group_size)).sum(1)

    return evaluate


@pytest.mark.parametrize("n_groups", [1, 42, 43, 100])
def test_groups_of_rows_give_one_result_each(n_groups):
    X = np.arange(6.0 * n_groups).reshape(-1, 2)
    found = map_batches(sums_of(3), X, CPU, group_size=3)
    np.testing.assert_array_equal(found, X[:, 0].reshape(-1, 3).sum(1))


def test_results_of_groups_are_joined_along_the_axis_of_the_rows():
    X = np.arange(600.0)[:, None]
    found = map_batches(lambda x: x.view(-1, 3), X, CPU, row_axis=0, group_size=3)
    np.testing.assert_array_equal(found, X.reshape(-1, 3))


def test_no_group_is_cut_by_the_end_of_a_batch_and_the_last_group_fills_up_the_last_batch():
    seen, X = [], np.arange(132.0)[:, None]
    map_batches(sums_of(3, seen), X, CPU, group_size=3)
    # Each group has room for four rows, so 32 groups fill a batch of 128.
    assert seen == [list(range(96)), [*range(96, 132), *[129, 130, 131] * 20]]


def test_a_group_may_be_larger_than_a_batch():
    seen, X = [], np.arange(600.0)[:, None]
    found = map_batches(sums_of(200, seen), X, CPU, group_size=200)
    np.testing.assert_array_equal(found, X[:, 0].reshape(3, 200).sum(1))
    assert [len(x) for x in seen] == [200, 200, 200]


@pytest.mark.parametrize("largest, size", [(1, 3), (8, 6), (16, 12), (1000, 96)])
def test_batches_may_be_smaller_but_hold_whole_groups(largest, size):
    seen, X = [], np.arange(300.0)[:, None]
    found = map_batches(sums_of(3, seen), X, CPU, group_size=3, largest_batch=largest)
    assert {len(x) for x in seen} == {size}
    np.testing.assert_array_equal(found, X.reshape(-1, 3).sum(1))


@pytest.mark.parametrize("group_size", [2, 32, 128])  # of which a batch has a whole number
def test_a_group_gives_the_same_bits_in_any_company(group_size, network):
    X = np.random.default_rng(0).random((8, group_size, 8, 8), dtype=np.float32)

    def score(groups):
        rows = X[groups].reshape(-1, 8, 8)
        sums = sums_of(group_size)
        return map_batches(lambda x: sums(network(x)), rows, CPU, group_size=group_size)

    everything = score(np.arange(8))
    for groups in ([0], [7], [1, 2, 3], np.arange(8)[::-1]):
        np.testing.assert_array_equal(score(groups), everything[groups])


@pytest.mark.parametrize("as_array", [False, True])
def test_tensors_and_arrays_give_float64(as_array):
    result = map_batches(
        lambda x: x.double().numpy()[:, 0] if as_array else x[:, 0], np.ones((3, 2)), CPU
    )
    assert result.dtype == np.float64


def test_no_gradient_is_recorded(network):
    flags = []
    map_batches(
        lambda x: flags.append(network(x).requires_grad) or x[:, 0], np.ones((2, 8, 8)), CPU
    )
    assert flags == [False]


def test_shuffled_batches_show_every_row_at_most_once_in_a_pass_and_all_of_them_in_time():
    X = np.arange(50.0)[:, None]
    batches = ShuffledBatches(X, 8, CPU, np.random.default_rng(0))
    seen = [torch.cat(list(batches))[:, 0].tolist() for _ in range(20)]
    assert len(batches) == 6
    assert all(len(rows) == len(set(rows)) == 48 for rows in seen)
    assert set().union(*seen) == set(range(50))


def test_batches_without_a_generator_keep_the_order_and_leave_nothing_out():
    X = np.arange(50.0)[:, None]
    batches = ShuffledBatches(X, 8, CPU)
    assert len(batches) == len(list(batches)) == 7
    assert torch.cat(list(batches))[:, 0].tolist() == list(range(50))


def test_fewer_rows_than_a_batch_are_one_batch():
    batches = ShuffledBatches(np.ones((3, 2)), 8, CPU, np.random.default_rng(0))
    assert [len(x) for x in batches] == [3]


def test_the_same_generator_gives_the_same_batches_and_each_pass_another_order():
    X = np.arange(32.0)[:, None]
    a, b = (ShuffledBatches(X, 8, CPU, np.random.default_rng(1)) for _ in range(2))
    first, second = (torch.stack(list(a)) for _ in range(2))
    assert torch.equal(first, torch.stack(list(b)))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), "auto"])
def test_a_device_that_is_there_is_taken(device):
    assert resolve_device(device).type in ("cpu", "cuda")


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device):
    with pytest.raises(ValueError, match=r"cannot be used here .* Use 'auto' or 'cpu'") as error:
        resolve_device(device)
    assert repr(device) in str(error.value)
