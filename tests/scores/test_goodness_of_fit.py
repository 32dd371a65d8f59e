"""Test statistics of the values of a row against known distributions."""

import numpy as np
import pytest
from scipy import stats

from skood.scores.goodness_of_fit import (
    anderson_darling_exponential,
    anderson_darling_normal,
    normal_from_logistic,
    periodogram,
)

RNG = np.random.default_rng(0)


def from_scipy(law, values):
    """The statistic of one row, with nothing estimated."""
    known = {"loc": 0, "scale": 1}
    test = stats.goodness_of_fit(law, values, known_params=known, statistic="ad", n_mc_samples=1)
    return test.statistic


@pytest.mark.parametrize("n_values", [1, 2, 7, 100])
@pytest.mark.parametrize(
    "statistic, law",
    [(anderson_darling_normal, stats.norm), (anderson_darling_exponential, stats.expon)],
)
def test_the_anderson_darling_statistic_is_that_of_scipy(statistic, law, n_values):
    rows = law.rvs(size=(5, n_values), random_state=0)
    expected = [from_scipy(law, row) for row in rows]
    np.testing.assert_allclose(statistic(rows), expected, rtol=1e-10)


@pytest.mark.parametrize(
    "statistic, law",
    [(anderson_darling_normal, stats.norm), (anderson_darling_exponential, stats.expon)],
)
def test_under_its_law_the_statistic_has_a_mean_of_1(statistic, law):
    values = statistic(law.rvs(size=(4_000, 50), random_state=0))
    assert values.mean() == pytest.approx(1, abs=4 * values.std() / np.sqrt(4_000))


def test_the_farther_values_are_from_their_law_the_larger_the_statistic():
    z = RNG.normal(size=100)
    for rows in ([z, 2 * z, 9 * z], [z, z / 2, z / 9], [z, z + 1, z + 9], [z, 1e3 * z, 1e8 * z]):
        statistic = anderson_darling_normal(rows)
        assert np.isfinite(statistic).all() and (np.diff(statistic) > 0).all()


def test_powers_of_zero_have_a_finite_statistic():
    powers = np.stack([np.ones(10), np.r_[np.zeros(9), 10], np.zeros(10)])
    statistic = anderson_darling_exponential(powers)
    assert np.isfinite(statistic).all() and (np.diff(statistic) > 0).all()


def test_logistic_values_become_normal_ones_of_the_same_probability():
    values = RNG.logistic(size=200)
    expected = stats.norm.ppf(stats.logistic.cdf(values))
    np.testing.assert_allclose(normal_from_logistic(values), expected, rtol=1e-9)


def test_logistic_values_far_out_stay_in_order():
    values = normal_from_logistic([-1e6, -1e3, -50, 0, 50, 1e3, 1e6])
    assert np.isfinite(values).all() and (np.diff(values) > 0).all()
    np.testing.assert_array_equal(values, -values[::-1])


@pytest.mark.parametrize("shape", [(1,), (2,), (5,), (8,), (2, 4, 6), (1, 5, 4), (3, 5, 5)])
def test_of_each_pair_of_mirror_images_there_is_one_power(shape):
    maps = RNG.normal(size=(3, *shape))
    axes = (1,) if len(shape) == 1 else (2, 3)
    size = np.prod(shape[-len(axes) :])
    whole = np.abs(np.fft.fftn(maps, axes=axes)) ** 2 / size
    # The power at minus each frequency, where it is its own mirror image: those that are left out.
    frequencies = np.indices([maps.shape[axis] for axis in axes])
    sides = np.reshape([maps.shape[axis] for axis in axes], (-1, *(1,) * len(axes)))
    is_mirror = (-frequencies % sides == frequencies).all(axis=0)
    pairs = whole[..., ~is_mirror].reshape(3, -1)
    expected = np.sort(pairs, axis=1)[:, ::2]
    np.testing.assert_allclose(np.sort(periodogram(maps), axis=1), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(101,), (2, 10, 11)])
def test_powers_of_white_noise_are_exponential(shape):
    powers = periodogram(RNG.normal(size=(200, *shape)))
    assert stats.kstest(powers.ravel(), "expon").pvalue > 0.01
    assert np.abs(np.corrcoef(powers[:, :20], rowvar=False) - np.eye(20)).max() < 0.35


def test_a_smooth_image_has_its_power_at_few_frequencies():
    rows, columns = np.indices((8, 8))
    wave = np.cos(2 * np.pi * (rows + 2 * columns) / 8)
    powers = periodogram(wave[None, None])
    assert powers.max() == pytest.approx(16) and (powers > 1e-12).sum() == 1


def test_a_row_has_the_same_statistics_alone():
    z = RNG.normal(size=(7, 3, 8, 8))
    powers = periodogram(z)
    flat = z.reshape(7, -1)
    for i in range(7):
        np.testing.assert_array_equal(periodogram(z[i : i + 1])[0], powers[i])
        alone = anderson_darling_normal(flat[i : i + 1])[0]
        assert alone == anderson_darling_normal(flat)[i]
