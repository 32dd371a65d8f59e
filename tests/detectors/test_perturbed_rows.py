"""Rows of which a part of the values was replaced."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skood.core.rows import check_rows
from skood.detectors._perturbed_rows import perturbed


def rows_of(X):
    return check_rows(BaseEstimator(), X, reset=True)


def perturb(rows, rate, kind, seed=0):
    return np.asarray(perturbed(rows, rate, kind, np.random.default_rng(seed)))


@pytest.mark.parametrize("kind, white", [("bytes", 255), ("unit", 1.0)])
def test_a_part_of_the_pixels_is_replaced_by_levels_that_are_all_equally_likely(kind, white):
    X = np.full((2_000, 8, 8), white // 2, dtype=np.uint8 if kind == "bytes" else np.float32)
    perturbed_X = perturb(rows_of(X), 0.3, kind)
    assert perturbed_X.dtype == X.dtype and perturbed_X.shape == X.shape
    replaced = perturbed_X[perturbed_X != X] * (255 / white)
    assert len(replaced) / X.size == pytest.approx(0.3, abs=0.01)
    levels, counts = np.unique(replaced.round(), return_counts=True)
    assert len(levels) == 255 and levels.min() >= 0 and levels.max() == 255  # not what it was
    assert counts.min() > 0.6 * counts.mean()


def test_real_numbers_are_replaced_by_those_of_other_rows_in_the_same_column():
    X = np.arange(4_000.0)[:, None] + [0, 10_000, 20_000]
    perturbed_X = perturb(rows_of(X), 0.5, "real")
    assert (perturbed_X // 10_000 == [0, 1, 2]).all()
    assert np.isin(perturbed_X, X).all()
    assert (perturbed_X != X).mean() == pytest.approx(0.5, abs=0.03)
    # Which rows go together is lost: with half of the values left, a quarter of the pairs.
    a, b, _ = perturbed_X.T
    assert (b - a == 10_000).mean() == pytest.approx(0.25, abs=0.03)


def test_only_the_rows_given_are_perturbed_and_drawn_from():
    X = np.arange(100.0)[:, None] * [1, 1]
    some = rows_of(X)[np.arange(50, 100)]
    perturbed_X = perturb(some, 0.5, "real")
    assert perturbed_X.shape == (50, 2) and perturbed_X.min() >= 50
    np.testing.assert_array_equal(np.asarray(some), X[50:])


def test_the_generator_decides_what_is_replaced():
    rows = rows_of(np.random.default_rng(0).normal(size=(100, 4)))
    np.testing.assert_array_equal(perturb(rows, 0.3, "real"), perturb(rows, 0.3, "real"))
    assert (perturb(rows, 0.3, "real") != perturb(rows, 0.3, "real", seed=1)).any()
