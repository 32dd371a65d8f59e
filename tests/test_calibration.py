"""Thresholds and p-values keep their promise for every finite calibration set."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from skood.calibration import (
    CalibrationWarning,
    chunk,
    false_positive_rate_interval,
    p_values,
    threshold,
)

RATES = (0.01, 0.05, 0.07, 0.1, 0.29, 0.3, 0.57, 0.9)


@pytest.mark.parametrize("fpr", RATES)
def test_a_score_is_below_the_threshold_exactly_when_its_p_value_is_at_most_fpr(fpr):
    rng = np.random.default_rng(0)
    for n in range(1, 201):
        if Fraction(str(fpr)) * (n + 1) < 1:
            continue
        calibration = rng.integers(0, 50, n).astype(float)  # many ties
        scores = np.concatenate([calibration, calibration + 0.5, [-np.inf, np.inf]])
        flagged = scores < threshold(calibration, fpr)
        np.testing.assert_array_equal(flagged, p_values(scores, calibration) <= fpr)


@pytest.mark.parametrize("fpr", RATES)
def test_the_threshold_is_the_order_statistic_of_exact_arithmetic(fpr):
    for n in range(1, 201):
        rank = int(Fraction(str(fpr)) * (n + 1))
        if rank:
            assert threshold(np.arange(n, 0, -1), fpr) == rank


def test_a_product_that_is_rounded_down_does_not_cost_a_rank():
    assert int(0.29 * 100) == 28  # what floor would give in floating point
    assert threshold(np.arange(1, 100), 0.29) == 29


def test_the_quantile_of_numpy_would_flag_more_than_was_asked_for():
    n, fpr = 37, 0.1
    rng = np.random.default_rng(0)
    calibration = rng.random((20_000, n))
    rate_of_quantile = np.quantile(calibration, fpr, axis=1).mean()  # uniform: the rate itself
    rate = np.mean([threshold(row, fpr) for row in calibration])
    assert rate_of_quantile == pytest.approx(0.121, abs=0.002)
    assert rate == pytest.approx(3 / 38, abs=0.002)


def test_fresh_rows_are_flagged_at_most_at_fpr_on_average_over_splits():
    rng, fpr = np.random.default_rng(0), 0.1
    rows = rng.gamma(2.0, size=400)
    rates = []
    for _ in range(200):
        calibration, fresh = np.split(rng.permutation(rows), [77])
        rates.append(np.mean(fresh < threshold(calibration, fpr)))
    assert np.mean(rates) <= fpr + 3 * np.std(rates) / np.sqrt(len(rates))
    assert np.mean(rates) > 0.5 * fpr


def test_p_values_of_inliers_are_super_uniform():
    rng = np.random.default_rng(1)
    first = np.array([p_values(s[:1], s[1:])[0] for s in rng.normal(size=(4000, 20))])
    for level in (0.05, 0.1, 0.25, 0.5, 0.9):
        error = np.sqrt(level * (1 - level) / first.size)
        assert np.mean(first <= level) <= level + 3 * error


def test_p_values_count_the_calibration_scores_that_are_as_low():
    p = p_values([0.0, 1.0, 2.5, 9.0, -np.inf], [1.0, 2.0, 2.0, 3.0])
    np.testing.assert_array_equal(p, np.array([1, 2, 4, 5, 1]) / 5)
    assert p.dtype == np.float64
    assert p_values([], [1.0]).shape == (0,)


def test_p_values_hold_for_groups_of_exchangeable_rows():
    rng = np.random.default_rng(2)
    first = []
    for _ in range(1000):
        groups = np.median(chunk(rng.exponential(size=103), 5), axis=1)
        first.append(p_values(groups[:1], groups[1:])[0])
    assert np.mean(np.array(first) <= 0.1) <= 0.1 + 3 * np.sqrt(0.09 / 1000)


def test_groups_are_consecutive_and_disjoint_and_drop_the_remainder():
    groups = chunk(np.arange(11), 3)
    np.testing.assert_array_equal(groups, [[0, 1, 2], [3, 4, 5], [6, 7, 8]])


def test_too_few_calibration_rows_are_named_in_a_warning():
    message = r"8 calibration rows .*fpr=0\.1.* will be 0\.111.* at least 9"
    with pytest.warns(CalibrationWarning, match=message) as record:
        assert threshold([3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0], 0.1) == 1.0
    assert record[0].filename == __file__
    assert issubclass(CalibrationWarning, UserWarning)


def test_the_rows_that_the_warning_asks_for_are_enough_and_one_fewer_is_not():
    for k in range(3, 300):
        with pytest.warns(CalibrationWarning, match=f"at least {k - 1} calibration"):
            threshold(np.arange(k - 2), 1 / k)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            threshold(np.arange(k - 1), 1 / k)


def test_the_true_rate_of_a_threshold_lies_in_its_interval_as_often_as_stated():
    rng = np.random.default_rng(3)
    low, high = false_positive_rate_interval(99, 0.05, confidence=0.9)
    rates = np.array([threshold(row, 0.05) for row in rng.random((4000, 99))])  # uniform scores
    assert np.mean((low <= rates) & (rates <= high)) == pytest.approx(0.9, abs=0.015)
    np.testing.assert_allclose((low, high), stats.beta.interval(0.9, 5, 95), rtol=1e-9)


def test_the_interval_of_too_few_rows_is_that_of_the_smallest_score():
    expected = stats.beta.interval(0.95, 1, 8)
    np.testing.assert_allclose(false_positive_rate_interval(8, 0.05), expected, rtol=1e-9)


@pytest.mark.parametrize("fpr", [0.0, 1.0, -0.1, 5, np.nan])
def test_a_rate_outside_zero_to_one_is_refused(fpr):
    with pytest.raises(ValueError, match=r"fpr is .*between 0 and 1"):
        threshold([1.0, 2.0], fpr)
    with pytest.raises(ValueError, match=r"fpr is .*between 0 and 1"):
        false_positive_rate_interval(10, fpr)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ([], "calibration_scores is empty"),
        ([1.0, np.nan], "calibration_scores holds 1 NaN out of 2"),
        ([1.0, -np.inf], "calibration_scores holds 1 infinite"),
        ([[1.0, 2.0]], r"calibration_scores .* shape \(1, 2\)"),
    ],
)
def test_unusable_calibration_scores_are_refused(calibration, message):
    with pytest.raises(ValueError, match=message):
        threshold(calibration, 0.1)
    with pytest.raises(ValueError, match=message):
        p_values([0.0], calibration)


def test_a_score_that_is_nan_is_refused_rather_than_called_normal():
    with pytest.raises(ValueError, match="scores holds 1 NaN"):
        p_values([np.nan], [1.0, 2.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chunk(np.arange(4), 5), "4 rows, fewer than group_size=5"),
        (lambda: chunk(np.arange(4), 0), "group_size is 0"),
        (lambda: chunk(np.ones((4, 2)), 2), r"statistics .* shape \(4, 2\)"),
        (lambda: false_positive_rate_interval(0, 0.1), "n_calibration is 0"),
        (lambda: false_positive_rate_interval(9, 0.1, 1.0), "confidence is 1.0"),
    ],
)
def test_other_unusable_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
