"""Likelihood ratios agree with the equations written out as loops."""

import numpy as np
import pytest

from skood.scores.ratios import (
    adaptive_likelihood_ratio,
    information_ratios,
    layer_contributions,
    likelihood_ratios,
    most_significant_ratio,
    optimal_likelihood_ratio,
    standardised_ratios,
)

N_LAYERS, N = 4, 30


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def bounds(rng):
    """L>k falls with k, on the whole."""
    return -100 - rng.gamma(2.0, 5.0, (N_LAYERS, N)).cumsum(0) + rng.normal(size=(N_LAYERS, N))


@pytest.fixture
def nll(rng):
    return rng.gamma(2.0, 20.0, (N_LAYERS, N)).cumsum(0)


def test_the_ratio_of_k_is_the_bound_less_the_bound_of_k(bounds):
    """Havtorn et al. 2021, eq. 6."""
    ratios = likelihood_ratios(bounds)
    assert ratios.shape == (N_LAYERS - 1, N)
    for k in range(1, N_LAYERS):
        np.testing.assert_array_equal(ratios[k - 1], bounds[0] - bounds[k])


def test_the_contribution_of_a_layer_is_what_it_adds_to_the_ratio(bounds):
    """LLR>k - LLR>k-1, with LLR>0 = 0."""
    ratios = np.vstack([np.zeros(N), likelihood_ratios(bounds)])
    for k in range(1, N_LAYERS):
        expected = ratios[k] - ratios[k - 1]
        np.testing.assert_allclose(layer_contributions(bounds)[k - 1], expected)


def test_contributions_add_up_to_the_last_ratio(bounds):
    total = layer_contributions(bounds).sum(0)
    np.testing.assert_allclose(total, likelihood_ratios(bounds)[-1])


def test_a_layer_that_the_prior_replaces_at_no_loss_contributes_nothing(bounds):
    bounds[2] = bounds[1]
    contributions = layer_contributions(bounds)
    assert (contributions[1] == 0).all() and (contributions[[0, 2]] != 0).all()


def test_the_adaptive_ratio_is_the_weighted_sum_of_the_contributions(bounds, nll):
    expected = (information_ratios(nll) * layer_contributions(bounds)).sum(0)
    np.testing.assert_allclose(adaptive_likelihood_ratio(bounds, nll), expected)


def test_the_information_ratio_is_that_of_reciprocal_log_likelihoods(nll):
    """Li et al. 2022, section 4: R(x, z>k) = 1 / log p(x | z>k)."""
    information = 1 / -nll
    for k in range(1, N_LAYERS):
        expected = information[k - 1] / information[k]
        np.testing.assert_allclose(information_ratios(nll)[k - 1], expected)


def test_the_adaptive_ratio_is_equation_11_written_as_a_loop(bounds, nll):
    """Li et al. 2022, eq. 11, with LLR>0 = 0."""
    information, expected = 1 / -nll, np.zeros(N)
    for row in range(N):
        previous = 0.0
        for k in range(1, N_LAYERS):
            ratio = bounds[0, row] - bounds[k, row]
            weight = information[k - 1, row] / information[k, row]
            expected[row] += weight * (ratio - previous)
            previous = ratio
    np.testing.assert_allclose(adaptive_likelihood_ratio(bounds, nll), expected)


def test_the_adaptive_ratio_is_the_last_ratio_where_no_layer_loses_information(bounds):
    constant = np.full((N_LAYERS, N), 12.5)
    last = likelihood_ratios(bounds)[-1]
    np.testing.assert_allclose(adaptive_likelihood_ratio(bounds, constant), last)


def test_the_adaptive_ratio_of_two_layers_is_the_weighted_ratio(bounds, nll):
    expected = nll[1] / nll[0] * (bounds[0] - bounds[1])
    np.testing.assert_allclose(adaptive_likelihood_ratio(bounds[:2], nll[:2]), expected)


def test_the_adaptive_ratio_rises_when_an_upper_layer_explains_less(bounds, nll):
    before = adaptive_likelihood_ratio(bounds, nll)
    bounds[-1] -= 10
    assert (adaptive_likelihood_ratio(bounds, nll) > before).all()


def test_the_optimal_ratio_is_that_of_the_layer_that_loses_most_information(bounds, nll):
    """Li et al. 2022, appendix L."""
    for row, actual in enumerate(optimal_likelihood_ratio(bounds, nll)):
        lost = [nll[k, row] / nll[k - 1, row] for k in range(1, N_LAYERS)]
        k = 1 + lost.index(max(lost))
        assert actual == bounds[0, row] - bounds[k, row]


@pytest.mark.parametrize("score", [adaptive_likelihood_ratio, optimal_likelihood_ratio])
def test_a_perfect_reconstruction_gives_a_finite_score(score, bounds):
    assert np.isfinite(score(bounds, np.zeros((N_LAYERS, N)))).all()


@pytest.mark.parametrize("score", [adaptive_likelihood_ratio, optimal_likelihood_ratio])
def test_a_row_is_scored_by_itself(score, bounds, nll):
    alone = [score(bounds[:, [i]], nll[:, [i]])[0] for i in range(N)]
    np.testing.assert_array_equal(score(bounds, nll), alone)


def test_the_most_significant_ratio_is_a_robust_z_score_written_as_a_loop(rng, bounds):
    """Havtorn et al. 2021, section 5, "Selection of k"."""
    ratios, reference = likelihood_ratios(bounds), rng.gamma(3.0, 4.0, (N_LAYERS - 1, 200))
    for row, actual in enumerate(most_significant_ratio(ratios, reference)):
        scores = []
        for k in range(N_LAYERS - 1):
            low, middle, high = np.percentile(reference[k], [15.87, 50, 84.13])
            scores.append(abs(ratios[k, row] - middle) / ((high - low) / 2))
        assert actual == pytest.approx(max(scores))


def test_standardised_ratios_are_z_scores_with_their_sign():
    """101 equally spaced numbers: half their central 68.26 % is 34.13 of the 100 steps."""
    reference = np.array([np.arange(101.0), 7 - 2 * np.arange(101.0)])
    ratios = np.array([[50 + 34.13, 50 - 3 * 34.13], [-93.0, -93 + 68.26]])
    expected = [[1.0, -3.0], [0.0, 1.0]]
    np.testing.assert_allclose(standardised_ratios(ratios, reference), expected, atol=1e-12)


def test_the_most_significant_ratio_is_the_largest_standardised_one_without_its_sign(rng, bounds):
    ratios, reference = likelihood_ratios(bounds), rng.normal(20, 9, (N_LAYERS - 1, 99))
    standardised = standardised_ratios(ratios, reference)
    assert standardised.shape == ratios.shape
    assert standardised.min() < 0 < standardised.max()
    largest = most_significant_ratio(ratios, reference)
    np.testing.assert_array_equal(largest, np.abs(standardised).max(0))


def test_a_row_at_the_median_of_the_reference_scores_zero(rng):
    reference = rng.gamma(3.0, 4.0, (3, 201))
    median = np.median(reference, axis=1, keepdims=True)
    assert most_significant_ratio(median, reference).item() == pytest.approx(0, abs=1e-12)


def test_scores_of_a_normal_reference_are_standard_deviations(rng):
    reference = rng.normal(7, 3, (1, 100_000))
    assert most_significant_ratio(np.array([[16.0]]), reference).item() == pytest.approx(
        3, rel=0.02
    )


def test_the_units_and_the_origin_of_each_ratio_do_not_matter(rng, bounds):
    ratios, reference = likelihood_ratios(bounds), rng.normal(size=(N_LAYERS - 1, 99))
    factor, shift = np.array([[1.0], [50.0], [0.1]]), np.array([[3.0], [0.0], [-9.0]])
    np.testing.assert_allclose(
        most_significant_ratio(factor * ratios + shift, factor * reference + shift),
        most_significant_ratio(ratios, reference),
    )


@pytest.mark.parametrize("n_reference", [1, 20])
def test_a_constant_reference_gives_numbers_and_no_warning(n_reference):
    scores = most_significant_ratio(np.array([[5.0, 99.0, 0.0]]), np.full((1, n_reference), 5.0))
    assert scores[0] == 0 and scores[1] > scores[2] > 0
    assert np.isfinite(scores).all()


def test_a_ratio_far_too_small_is_as_significant_as_one_far_too_large(rng):
    reference = rng.normal(size=(1, 10_001))
    small, large = most_significant_ratio(np.array([[-9.0, 9.0]]), reference)
    assert small == pytest.approx(large, rel=0.05) and small > 8


def test_every_score_rises_with_the_ratios_themselves(rng, bounds, nll):
    reference = rng.normal(likelihood_ratios(bounds).min() - 99, size=(N_LAYERS - 1, 99))
    higher = bounds.copy()
    higher[1:] -= np.array([[1.0], [3.0], [7.0]])  # every LLR>k, and every step between them
    scores = [
        adaptive_likelihood_ratio,
        optimal_likelihood_ratio,
        lambda bounds, nll: most_significant_ratio(likelihood_ratios(bounds), reference),
    ]
    for score in scores:
        assert (score(higher, nll) > score(bounds, nll)).all()
