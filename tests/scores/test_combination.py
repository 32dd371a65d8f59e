"""Combinations of evidence, and weights from how members depend on one another."""

import numpy as np
import pytest
from scipy.stats import combine_pvalues, spearmanr

from skood.scores.combination import METHODS, fisher, harmonic, independent_weights, largest

EVIDENCE = np.random.default_rng(0).exponential(size=(500, 3))


def test_fisher_is_half_of_the_statistic_of_scipy():
    expected = [combine_pvalues(np.exp(-row), "fisher").statistic / 2 for row in EVIDENCE]
    np.testing.assert_allclose(fisher(EVIDENCE, np.ones(3)), expected)


def test_harmonic_orders_as_the_harmonic_mean_of_p():
    mean = 3 / np.exp(EVIDENCE).sum(axis=1)
    np.testing.assert_allclose(harmonic(EVIDENCE), np.log(3 / mean))


def test_the_largest_is_the_smallest_p():
    np.testing.assert_allclose(np.exp(-largest(EVIDENCE)), np.exp(-EVIDENCE).min(axis=1))


@pytest.mark.parametrize("name", METHODS)
def test_more_evidence_of_any_member_is_never_less_in_all(name):
    more = EVIDENCE + np.random.default_rng(1).exponential(size=EVIDENCE.shape)
    weights = np.array([1.0, 0.5, 1.5])
    assert (METHODS[name](more, weights) > METHODS[name](EVIDENCE, weights)).all()


@pytest.mark.parametrize("name", METHODS)
def test_huge_evidence_stays_finite_and_keeps_order(name):
    scores = METHODS[name]([[1e4, 0.0], [1e5, 1.0], [1e9, 2.0]], np.ones(2))
    assert np.isfinite(scores).all() and (np.diff(scores) > 0).all()


def test_independent_members_have_equal_weights():
    many = np.random.default_rng(0).exponential(size=(100_000, 3))
    np.testing.assert_allclose(independent_weights(many), 1, atol=0.02)


def test_a_member_that_is_given_twice_counts_once():
    twice = EVIDENCE[:, [0, 0, 1, 2]]
    weights = independent_weights(twice)
    assert weights[0] == pytest.approx(weights[1], rel=1e-3)
    once = fisher(EVIDENCE, independent_weights(EVIDENCE))
    assert spearmanr(fisher(twice, weights), once).statistic > 0.999


def test_weights_are_never_negative():
    common = np.random.default_rng(1).exponential(size=(500, 1))
    weights = independent_weights(np.c_[common + 0.1 * EVIDENCE, EVIDENCE[:, :1]])
    assert (weights >= 0).all() and weights.mean() == pytest.approx(1)


@pytest.mark.parametrize("evidence", [EVIDENCE[:19], np.c_[EVIDENCE[:, :1], np.ones(500)]])
def test_weights_are_equal_where_correlations_are_not_known(evidence):
    np.testing.assert_array_equal(independent_weights(evidence), 1)


def test_a_single_member_has_weight_one():
    np.testing.assert_array_equal(independent_weights(EVIDENCE[:, :1]), [1])
