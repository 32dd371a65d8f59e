"""The importance-weighted bound is the logarithm of the mean weight."""

import math

import numpy as np
import pytest
from scipy import stats

from skood.scores.bounds import importance_weighted_bound

WEIGHTS = np.random.default_rng(0).normal(-3, 2, (5, 4, 6))


def test_the_bound_is_the_logarithm_of_the_mean_weight():
    """Burda et al. 2016, eq. 8."""
    expected = np.empty((4, 6))
    for i, j in np.ndindex(4, 6):
        expected[i, j] = math.log(sum(math.exp(w) for w in WEIGHTS[:, i, j]) / 5)
    np.testing.assert_allclose(importance_weighted_bound(WEIGHTS), expected, rtol=1e-12)


def test_the_samples_are_left_as_they_were():
    weights = WEIGHTS.copy()
    importance_weighted_bound(weights)
    np.testing.assert_array_equal(weights, WEIGHTS)


@pytest.mark.parametrize("shape", [(6,), (4, 6), ()])
def test_one_sample_gives_its_own_weight_bitwise(shape):
    weight = np.random.default_rng(0).normal(-3e3, 2e3, shape)
    np.testing.assert_array_equal(importance_weighted_bound(weight[None]), weight)


@pytest.mark.filterwarnings("error")
def test_weights_of_zero_count_as_samples_and_all_of_them_give_minus_infinity():
    inf = np.inf
    weights = [[-inf, -inf, -1.0], [-2.0, -inf, -inf]]
    expected = [-2 - math.log(2), -inf, -1 - math.log(2)]
    np.testing.assert_allclose(importance_weighted_bound(weights), expected, rtol=1e-15)
    np.testing.assert_array_equal(importance_weighted_bound([[-inf, 3.0]]), [-inf, 3])


@pytest.mark.parametrize("wrong", [np.empty((0, 3)), np.float64(1.0)])
def test_no_sample_is_refused(wrong):
    with pytest.raises(ValueError, match="at least one sample"):
        importance_weighted_bound(wrong)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_bound_of_a_row_is_bitwise_equal_in_any_company(order):
    weights = np.random.default_rng(0).normal(-300, 2, (64, 128))
    together = importance_weighted_bound(np.asarray(weights, order=order))
    for rows in (slice(0, 1), slice(127, 128), slice(3, 20)):
        alone = importance_weighted_bound(weights[:, rows].copy())
        np.testing.assert_array_equal(alone, together[rows])


@pytest.mark.parametrize("shift", [-1e5, 1e5])
def test_large_weights_neither_overflow_nor_vanish(shift):
    bound = importance_weighted_bound(WEIGHTS + shift)
    np.testing.assert_allclose(bound, importance_weighted_bound(WEIGHTS) + shift, rtol=1e-14)


def test_the_bound_lies_between_the_mean_and_the_largest_weight():
    bound = importance_weighted_bound(WEIGHTS)
    assert (bound >= WEIGHTS.mean(0)).all() and (bound <= WEIGHTS.max(0)).all()


def test_the_order_of_the_samples_does_not_matter():
    np.testing.assert_allclose(
        importance_weighted_bound(WEIGHTS[::-1]), importance_weighted_bound(WEIGHTS)
    )


def test_more_samples_raise_the_bound_towards_the_log_likelihood():
    """z ~ N(0, 1), x | z ~ N(z, 1), proposal N(0, 2): log p(x) is known."""
    rng, x = np.random.default_rng(0), 1.5
    proposal = stats.norm(0, 2)
    z = proposal.rvs((64, 2000), random_state=rng)
    weights = stats.norm.logpdf(z) + stats.norm.logpdf(x, z) - proposal.logpdf(z)
    bounds = [importance_weighted_bound(weights[:s]).mean() for s in (1, 4, 16, 64)]
    log_px = stats.norm.logpdf(x, 0, math.sqrt(2))
    assert bounds == sorted(bounds)
    assert log_px - 0.02 < bounds[-1] < log_px
