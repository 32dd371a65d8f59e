"""Arrays become batches of one size and come back, each row by itself."""

import numpy as np
import pytest
import torch
from torch import nn

from skood.core.batches import (
    ShuffledBatches,
    fixed_sizes,
    fixed_sizes_for,
    largest_batch,
    map_batches,
    numbers_kept_per_row,
    resolve_device,
)
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows

CPU = torch.device("cpu")


def as_tensor(X):
    """A tensor of its own; of images with their axis of channels."""
    x = torch.from_numpy(np.array(X)).float()
    return x[:, None] if x.ndim == 3 else x


def mapped(function, X, sizes=(128,), **options):
    return map_batches(function, X, as_tensor, sizes, **options)


def shuffled(X, batch_size, rng=None):
    rows = Rows(X, "float")
    return ShuffledBatches(rows, RowSpec.of(rows), batch_size, CPU, rng)


@pytest.fixture
def network():
    """A convolutional network of a realistic width, with one number per row."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 64), nn.Linear(64, 1)
        )


@pytest.mark.parametrize("choose", [lambda *_, **options: (128,), fixed_sizes_for])
def test_a_row_gives_bitwise_the_same_result_in_any_company_and_order(choose, network):
    rng = np.random.default_rng(0)
    X = rng.random((300, 8, 8), dtype=np.float32)
    with torch.no_grad():
        sizes = choose(lambda x: network(x)[:, 0], as_tensor(X[:128]), 1, backward=False)

    def score(rows):
        return mapped(lambda x: network(x)[:, 0], X[rows], sizes)

    everything = score(np.arange(300))
    for rows in [[0], [299], range(31), range(127), range(128), range(129), rng.permutation(300)]:
        rows = np.asarray(rows)
        np.testing.assert_array_equal(score(rows), everything[rows])


def test_every_batch_has_the_same_size():
    sizes = []

    def record(x):
        sizes.append(len(x))
        return x[:, 0]

    for n in (1, 127, 128, 129, 300):
        assert mapped(record, np.ones((n, 2))).shape == (n,)
    assert set(sizes) == {128}


def test_results_are_joined_along_the_axis_of_the_rows():
    X = np.arange(600.0).reshape(300, 2)
    by_column = mapped(lambda x: x.T, X)
    by_row = mapped(lambda x: x, X, row_axis=0)
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
    found = mapped(sums_of(3), X, group_size=3)
    np.testing.assert_array_equal(found, X[:, 0].reshape(-1, 3).sum(1))


def test_results_of_groups_are_joined_along_the_axis_of_the_rows():
    X = np.arange(600.0)[:, None]
    found = mapped(lambda x: x.view(-1, 3), X, row_axis=0, group_size=3)
    np.testing.assert_array_equal(found, X.reshape(-1, 3))


def test_no_group_is_cut_by_the_end_of_a_batch_and_the_last_group_fills_up_the_last_batch():
    seen, X = [], np.arange(132.0)[:, None]
    mapped(sums_of(3, seen), X, group_size=3)
    # Each group has room for four rows, so 32 groups fill a batch of 128.
    assert seen == [list(range(96)), [*range(96, 132), *[129, 130, 131] * 20]]


def test_a_group_may_be_larger_than_a_batch():
    seen, X = [], np.arange(600.0)[:, None]
    found = mapped(sums_of(200, seen), X, group_size=200)
    np.testing.assert_array_equal(found, X[:, 0].reshape(3, 200).sum(1))
    assert [len(x) for x in seen] == [200, 200, 200]


@pytest.mark.parametrize("largest, size", [(1, 3), (8, 6), (16, 12), (128, 96)])
def test_batches_may_be_smaller_but_hold_whole_groups(largest, size):
    seen, X = [], np.arange(300.0)[:, None]
    found = mapped(sums_of(3, seen), X, (largest,), group_size=3)
    assert {len(x) for x in seen} == {size}
    np.testing.assert_array_equal(found, X.reshape(-1, 3).sum(1))


@pytest.mark.parametrize("group_size", [2, 32, 128])  # of which a batch has a whole number
def test_a_group_gives_bitwise_the_same_result_in_any_company(group_size, network):
    X = np.random.default_rng(0).random((8, group_size, 8, 8), dtype=np.float32)

    def score(groups):
        rows = X[groups].reshape(-1, 8, 8)
        sums = sums_of(group_size)
        return mapped(lambda x: sums(network(x)), rows, group_size=group_size)

    everything = score(np.arange(8))
    for groups in ([0], [7], [1, 2, 3], np.arange(8)[::-1]):
        np.testing.assert_array_equal(score(groups), everything[groups])


@pytest.mark.parametrize(
    "n, sizes",
    [(1, [32]), (64, [32] * 2), (65, [128]), (128, [128]), (129, [128, 32]), (200, [128, 128])],
)
def test_few_rows_make_small_batches_and_whatever_they_would_waste_a_large_one(n, sizes):
    assert list(fixed_sizes(n, (32, 128))) == sizes


def test_no_rows_make_no_batches():
    assert list(fixed_sizes(0, (32, 128))) == []


def test_a_small_size_is_taken_only_where_results_are_bitwise_equal():
    def depends_on_the_size(x):
        return x[:, 0] + (len(x) == 32) * 2.0**-20

    x = torch.ones(5, 2)
    assert fixed_sizes_for(lambda x: x[:, 0], x, 1, backward=False) == (32, 128)
    assert fixed_sizes_for(depends_on_the_size, x, 1, backward=False) == (128,)


@pytest.mark.parametrize(
    "numbers_per_row, of_backward, of_forward",
    [
        (0, 128, 128),
        (2**17, 128, 128),
        (2**17 + 1, 128, 64),
        (2**20, 128, 32),
        (2**22, 32, 32),
        (2**23 - 1, 16, 16),
        (2**40, 1, 1),
    ],
)
def test_rows_of_many_numbers_make_smaller_batches_in_a_forward_pass_above_all(
    numbers_per_row, of_backward, of_forward
):
    for backward, size in ((True, of_backward), (False, of_forward)):
        options = {"backward": backward}
        assert largest_batch(numbers_per_row, CPU, **options) == size
        sizes = fixed_sizes_for(lambda x: x[:, 0], torch.ones(2, 2), numbers_per_row, **options)
        assert sizes[-1] == size


def test_the_numbers_that_a_pass_keeps_are_counted_for_one_row():
    weight = torch.ones(3, 5, requires_grad=True)
    # The product keeps x (3 numbers of a row) and, since x has no gradient, nothing else; exp keeps
    # its result (5 numbers).
    assert numbers_kept_per_row(lambda x: (x @ weight).exp().sum(1), torch.ones(2, 3)) == 8


@pytest.mark.parametrize("fill_up, lengths", [(True, [128, 32]), (False, [128, 9])])
def test_the_last_batch_is_filled_up_unless_the_function_does_so_itself(fill_up, lengths):
    seen = []

    def record(x):
        seen.append(len(x))
        return x[:, 0]

    X = np.arange(137.0)[:, None]
    np.testing.assert_array_equal(mapped(record, X, (32, 128), fill_up=fill_up), X[:, 0])
    assert seen == lengths


def test_rows_are_taken_by_index_without_a_copy_of_the_others():
    X, index = np.arange(50.0)[:, None], np.array([3, 1, 49])
    found = mapped(lambda x: x[:, 0], Rows(X, "float", index=index))
    np.testing.assert_array_equal(found, index)


@pytest.mark.parametrize("as_array", [False, True])
def test_tensors_and_arrays_give_float64(as_array):
    result = mapped(lambda x: x.double().numpy()[:, 0] if as_array else x[:, 0], np.ones((3, 2)))
    assert result.dtype == np.float64


def test_no_gradient_is_recorded(network):
    flags = []
    mapped(lambda x: flags.append(network(x).requires_grad) or x[:, 0], np.ones((2, 8, 8)))
    assert flags == [False]


def test_shuffled_batches_show_every_row_at_most_once_in_a_pass_and_all_of_them_in_time():
    X = np.arange(50.0)[:, None]
    batches = shuffled(X, 8, np.random.default_rng(0))
    seen = [torch.cat(list(batches))[:, 0].tolist() for _ in range(20)]
    assert len(batches) == 6
    assert all(len(rows) == len(set(rows)) == 48 for rows in seen)
    assert set().union(*seen) == set(range(50))


def test_batches_without_a_generator_keep_the_order_and_leave_nothing_out():
    X = np.arange(50.0)[:, None]
    batches = shuffled(X, 8)
    assert len(batches) == len(list(batches)) == 7
    assert torch.cat(list(batches))[:, 0].tolist() == list(range(50))


def test_fewer_rows_than_a_batch_are_one_batch():
    batches = shuffled(np.ones((3, 2)), 8, np.random.default_rng(0))
    assert [len(x) for x in batches] == [3]


def test_the_same_generator_gives_the_same_batches_and_each_pass_another_order():
    X = np.arange(32.0)[:, None]
    a, b = (shuffled(X, 8, np.random.default_rng(1)) for _ in range(2))
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


@pytest.mark.parametrize("n_layers", [1, 2, 5])
def test_activations_count_for_the_memory_of_a_row_and_weights_do_not(n_layers):
    layers = [layer for _ in range(n_layers) for layer in (nn.Linear(50, 50), nn.ReLU())]
    network = nn.Sequential(*layers)
    numbers = numbers_kept_per_row(lambda x: network(x).sum(1), torch.randn(2, 50))
    # The inputs of a linear layer, and the outputs of a ReLU.
    assert numbers == n_layers * 100
