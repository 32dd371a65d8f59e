"""The log survival function is the empirical one, with an exponential tail."""

import numpy as np
import pytest

from skood.scores.survival import LogSurvival


@pytest.mark.parametrize("n", [2, 10, 50, 1000])
def test_it_is_the_log_of_the_part_of_normal_rows_that_score_at_least_as_high(n):
    scores = np.random.default_rng(0).normal(size=n)
    lowest = np.sort(scores)[: n - max(2, n // 10) + 1]  # the others are the tail
    expected = [np.log((scores >= score).mean()) for score in lowest]
    np.testing.assert_allclose(LogSurvival.fit(scores)(lowest), expected, rtol=1e-12)


def test_tied_scores_all_count_as_at_least_as_high():
    scores = np.repeat(np.arange(10.0), 5)
    expected = [np.log((scores >= score).mean()) for score in range(10)]
    np.testing.assert_allclose(LogSurvival.fit(scores)(np.arange(9.0)), expected[:9], rtol=1e-12)


def test_that_of_an_exponential_is_minus_the_score_far_beyond_what_was_seen():
    log_survival = LogSurvival.fit(np.random.default_rng(0).exponential(size=100_000))
    np.testing.assert_allclose(log_survival([1.0, 5, 30]), [-1, -5, -30], rtol=0.03)


def test_it_falls_from_the_lowest_score_to_beyond_the_highest():
    scores = np.random.default_rng(0).normal(size=200)
    values = LogSurvival.fit(scores)(np.linspace(scores.min(), 100, 1000))
    assert (np.diff(values) < 0).all() and values[0] == 0


def test_it_is_zero_below_all_normal_scores_and_minus_infinity_at_infinity():
    log_survival = LogSurvival.fit([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(log_survival([-np.inf, 0.0, np.inf]), [0, 0, -np.inf])


@pytest.mark.parametrize("factor, shift", [(1e-6, 0.0), (1e6, -3e6)])
def test_the_unit_of_the_scores_does_not_matter(factor, shift):
    rng = np.random.default_rng(0)
    normal, new = rng.normal(size=100), rng.normal(size=50) * 4
    scaled = LogSurvival.fit(normal * factor + shift)(new * factor + shift)
    np.testing.assert_allclose(scaled, LogSurvival.fit(normal)(new), rtol=1e-7)


@pytest.mark.parametrize("scores", [[3.0], [3.0, 3.0], [3.0] * 50])
def test_among_equal_scores_it_is_finite_and_tells_higher_ones(scores):
    below, equal, above, far = LogSurvival.fit(scores)([2.0, 3.0, 4.0, 9.0])
    assert 0 == below == equal > above > far > -np.inf


@pytest.mark.parametrize("scores", [[], [[1.0, 2.0]], [1.0, np.nan], [1.0, np.inf], 3.0])
def test_scores_that_have_no_survival_function_are_refused(scores):
    with pytest.raises(ValueError, match="Give the scores of normal rows"):
        LogSurvival.fit(scores)
