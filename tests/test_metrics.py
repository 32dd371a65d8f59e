"""Metrics against their definitions; OOD is positive and scores high."""

import numpy as np
import pytest
from scipy.stats import norm

from skood import metrics

ALL = [
    metrics.auroc,
    metrics.auprc,
    metrics.fpr_at_tpr,
    metrics.overlap_coefficient,
    metrics.equal_count,
    metrics.summary,
]


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    # Rounded, so that there are ties.
    return rng.normal(0, 1, 300).round(1), rng.normal(1, 1, 200).round(1)


def test_auroc_is_the_chance_that_an_ood_row_scores_higher(scores):
    inside, outside = scores
    wins = (outside[:, None] > inside).mean() + 0.5 * (outside[:, None] == inside).mean()
    assert metrics.auroc(inside, outside) == pytest.approx(wins, abs=1e-12)


def test_auprc_is_the_mean_precision_over_steps_of_recall(scores):
    inside, outside = scores
    area, found = 0.0, 0
    for cut in np.unique(outside)[::-1]:
        hits, alarms = (outside >= cut).sum(), (inside >= cut).sum()
        area += (hits - found) / outside.size * hits / (hits + alarms)
        found = hits
    assert metrics.auprc(inside, outside) == pytest.approx(area, abs=1e-12)


@pytest.mark.parametrize("tpr", [0.05, 0.5, 0.8, 0.95, 1.0])
def test_fpr_at_tpr_is_the_smallest_rate_that_finds_enough(scores, tpr):
    inside, outside = scores
    enough = [cut for cut in np.unique(outside) if (outside >= cut).mean() >= tpr]
    assert metrics.fpr_at_tpr(inside, outside, tpr) == (inside >= max(enough)).mean()


def test_fpr_at_tpr_reaches_exactly_four_of_five():
    assert metrics.fpr_at_tpr([0.0, 1.5, 2.5, 4.5], [1.0, 2.0, 3.0, 4.0, 5.0], 0.8) == 0.5


def test_perfect_and_reversed_scores_give_the_extremes():
    low, high = np.arange(5.0), np.arange(10.0, 15.0)
    best = metrics.summary(low, high)
    assert best == {"auroc": 1.0, "auprc": 1.0, "fpr80": 0.0, "fpr95": 0.0}
    assert metrics.auroc(high, low) == 0.0
    assert metrics.fpr_at_tpr(high, low) == 1.0


def test_metrics_depend_on_the_order_alone_and_take_infinite_scores(scores):
    inside, outside = scores
    expected = metrics.summary(inside, outside)
    assert metrics.summary(np.exp(3 * inside), np.exp(3 * outside)) == expected
    top = max(inside.max(), outside.max())
    infinite = (np.where(s == top, np.inf, s) for s in scores)
    assert metrics.summary(*infinite) == expected


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_overlap_of_shifted_normals_agrees_with_the_closed_form(shift):
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(0, 1, 20_000), rng.normal(shift, 1, 20_000)
    expected = 2 * norm.cdf(-shift / 2)
    assert metrics.overlap_coefficient(inside, outside) == pytest.approx(expected, abs=0.01)


def test_overlap_is_1_for_identical_scores_and_0_for_scores_that_lie_apart(scores):
    inside, outside = scores
    assert metrics.overlap_coefficient(inside, inside) == pytest.approx(1.0, abs=1e-12)
    assert metrics.overlap_coefficient(inside, outside + 100) == 0.0
    assert metrics.overlap_coefficient([1.0], [1.0]) == 1.0


def test_overlap_is_small_for_scores_that_lie_between_the_others():
    inside, sides = np.linspace(-1, 1, 1000), np.array([-2.0, 2.0])
    outside = np.add.outer(sides, np.linspace(-0.5, 0.5, 500)).ravel()
    assert metrics.auroc(inside, outside) == pytest.approx(0.5)
    assert metrics.overlap_coefficient(inside, outside) <= 2 / 10 + 1e-12


def test_overlap_of_equal_distributions_has_the_bias_that_is_documented():
    rng = np.random.default_rng(0)
    n, m, n_bins = 200, 1000, 6
    overlaps = [
        metrics.overlap_coefficient(rng.normal(size=n), rng.normal(size=m)) for _ in range(200)
    ]
    expected = 1 - np.sqrt((n_bins - 1) * (1 / n + 1 / m) / (2 * np.pi))
    assert np.mean(overlaps) == pytest.approx(expected, abs=0.01)


def test_overlap_is_symmetric_and_depends_on_the_order_alone(scores):
    inside, outside = scores
    expected = metrics.overlap_coefficient(inside, outside)
    assert metrics.overlap_coefficient(outside, inside) == expected
    assert metrics.overlap_coefficient(np.exp(3 * inside), np.exp(3 * outside)) == expected
    top = max(inside.max(), outside.max())
    infinite = (np.where(s == top, np.inf, s) for s in scores)
    assert metrics.overlap_coefficient(*infinite) == expected


@pytest.mark.parametrize("swap", [False, True])
def test_equal_count_draws_a_subset_of_the_larger_and_keeps_the_smaller(swap):
    small, large = np.arange(10.0), np.arange(100.0, 150.0)
    arguments = (large, small) if swap else (small, large)
    inside, outside = metrics.equal_count(*arguments, random_state=0)
    kept, drawn = (outside, inside) if swap else (inside, outside)
    np.testing.assert_array_equal(kept, small)
    assert np.unique(drawn).size == 10
    assert np.isin(drawn, large).all()
    assert not np.array_equal(drawn, large[:10])


def test_the_subset_follows_the_seed_and_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the one not to use
    first, again, other = (
        metrics.equal_count(np.arange(5), np.arange(500), seed)[1] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_summary_is_made_on_equal_counts(scores):
    inside, outside = metrics.equal_count(*scores, random_state=3)
    result = metrics.summary(*scores, random_state=3)
    assert result["auprc"] == metrics.auprc(inside, outside)
    assert result["fpr80"] == metrics.fpr_at_tpr(inside, outside, 0.8)
    assert result["fpr95"] == metrics.fpr_at_tpr(inside, outside, 0.95)


@pytest.mark.parametrize("metric", ALL)
def test_empty_and_nan_scores_are_refused_by_name(metric):
    with pytest.raises(ValueError, match="in_scores is empty"):
        metric([], [1.0])
    with pytest.raises(ValueError, match="out_scores holds 1 NaN out of 2"):
        metric([1.0], [1.0, np.nan])
    with pytest.raises(ValueError, match=r"out_scores .* shape \(1, 1\)"):
        metric([1.0], [[1.0]])


@pytest.mark.parametrize("tpr", [0.0, 1.1, np.nan])
def test_a_true_positive_rate_out_of_range_is_refused(tpr):
    with pytest.raises(ValueError, match="tpr is"):
        metrics.fpr_at_tpr([0.0], [1.0], tpr)
