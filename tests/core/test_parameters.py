"""Parameters of methods are checked, and any random state becomes an integer seed."""

import numpy as np
import pytest

from skood.core.parameters import check_count, check_group_size, draw_seed


def test_a_seed_is_an_integer_whatever_the_random_state():
    assert draw_seed(5) == 5
    assert draw_seed(np.int64(5)) == 5
    states = [np.random.RandomState(3) for _ in range(2)]
    assert draw_seed(states[0]) == draw_seed(states[1])
    assert draw_seed(None) != draw_seed(None)


def test_no_random_state_reads_no_global_one():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draw_seed(None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", None])
def test_what_is_no_positive_integer_is_refused_with_its_name(value):
    with pytest.raises(ValueError, match=r"n_things must be a positive integer; got") as error:
        check_count("n_things", value)
    assert repr(value) in str(error.value)


def test_integers_of_numpy_are_integers():
    assert type(check_count("n_things", np.int64(3))) is int
    assert type(check_group_size(np.int64(3), 6)) is int


@pytest.mark.parametrize("group_size", [0, -2, 4, 1.0, "a"])
def test_a_group_size_that_does_not_divide_the_rows_is_refused(group_size):
    with pytest.raises(ValueError, match=r"divides the 6 rows of X; got .* Cut X to a multiple"):
        check_group_size(group_size, 6)
