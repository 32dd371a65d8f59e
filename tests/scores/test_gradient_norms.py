"""Scores of gradient norms agree with the formulas, written out."""

import numpy as np
import pytest
from scipy import stats
from sklearn.covariance import LedoitWolf

from skood.scores.gradient_norms import (
    COMBINATIONS,
    LogNorms,
    gaussian_score,
    mahalanobis_score,
    max_score,
    one_sided_score,
)

SCORES = tuple(COMBINATIONS.values())


def squared_norms(n, n_layers=5, seed=0):
    """Lognormal, of different sizes and spreads, and correlated across layers."""
    rng = np.random.default_rng(seed)
    together = rng.normal(size=(n, 1))
    spreads, sizes = np.linspace(0.5, 2, n_layers), np.linspace(-20, 10, n_layers)
    return np.exp(spreads * (together + rng.normal(size=(n, n_layers))) + sizes)


@pytest.fixture
def norms():
    return squared_norms(200)


@pytest.fixture
def fresh():
    return squared_norms(30, seed=1)


# -------------------------------------------------------------------------------- what is normal


def test_normal_rows_have_standardised_logs_of_mean_zero_and_deviation_one(norms):
    z = LogNorms.fit(norms).standardise(norms)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(0, ddof=1), 1, rtol=1e-12)


@pytest.mark.parametrize("n_zeros, kept", [(0, True), (100, True), (101, False), (200, False)])
def test_a_layer_that_is_zero_for_more_than_half_of_the_rows_is_left_out(n_zeros, kept, norms):
    norms[:n_zeros, 1] = 0
    normal = LogNorms.fit(norms)
    np.testing.assert_array_equal(normal.used, [True, kept, True, True, True])
    assert normal.mean.shape == normal.std.shape == normal.floor.shape == (4 + kept,)
    assert normal.precision.shape == (4 + kept, 4 + kept)


def test_norms_of_zero_are_four_deviations_below_the_mean_of_the_others(norms):
    norms[:20, 1] = 0
    normal = LogNorms.fit(norms)
    logs = np.log(norms[20:, 1])
    assert normal.mean[1] == pytest.approx(logs.mean(), rel=1e-12)
    assert normal.std[1] == pytest.approx(logs.std(ddof=1), rel=1e-12)
    z = normal.standardise(norms)
    np.testing.assert_array_equal(z[:20, 1], -4)
    np.testing.assert_allclose(z[20:, 1], (logs - logs.mean()) / logs.std(ddof=1), atol=1e-12)
    assert (z[:, [0, 2, 3, 4]] != -4).all()


@pytest.mark.parametrize("score", SCORES)
def test_one_more_zero_among_normal_rows_changes_scores_a_little(score, fresh):
    """No row decides whether a layer is used, as it would if few zeros were too many."""
    norms = squared_norms(1000)
    norms[:10, 1] = 0
    before = score(fresh, LogNorms.fit(norms))
    norms[10, 1] = 0
    np.testing.assert_allclose(score(fresh, LogNorms.fit(norms)), before, rtol=0.02, atol=0.1)


def test_a_layer_whose_norm_is_always_the_same_is_left_out(norms):
    norms[:, 3] = 0.7
    np.testing.assert_array_equal(LogNorms.fit(norms).used, [True, True, True, False, True])


@pytest.mark.parametrize("score", SCORES)
def test_a_layer_that_is_left_out_has_no_effect(score, norms, fresh):
    norms[:, 1] = 0
    dead, without = LogNorms.fit(norms), LogNorms.fit(np.delete(norms, 1, axis=1))
    expected = score(np.delete(fresh, 1, axis=1), without)
    np.testing.assert_array_equal(score(fresh, dead), expected)


@pytest.mark.filterwarnings("ignore:Only one sample available:UserWarning")  # by LedoitWolf
def test_one_normal_row_is_enough_and_its_deviations_are_one(norms, fresh):
    normal = LogNorms.fit(norms[:1])
    assert normal.used.all()
    np.testing.assert_array_equal(normal.std, 1)
    np.testing.assert_array_equal(normal.mean, np.log(norms[0]))
    assert all(np.isfinite(score(fresh, normal)).all() for score in SCORES)


# ----------------------------------------------------------------------------------- the scores


def test_the_gaussian_score_is_minus_the_log_density_of_independent_gaussians(norms, fresh):
    """Montazeran et al., eqs. 11 and 12."""
    logs = np.log(norms)
    gaussians = stats.norm(logs.mean(0), logs.std(0, ddof=1))
    expected = -gaussians.logpdf(np.log(fresh)).sum(1)
    np.testing.assert_allclose(gaussian_score(fresh, LogNorms.fit(norms)), expected, rtol=1e-12)


def test_the_mahalanobis_score_is_the_squared_distance_by_the_shrunk_covariance(norms, fresh):
    mean, std = np.log(norms).mean(0), np.log(norms).std(0, ddof=1)
    covariance = LedoitWolf().fit((np.log(norms) - mean) / std).covariance_
    distances = (np.log(fresh) - mean) / std
    expected = [z @ np.linalg.solve(covariance, z) for z in distances]
    np.testing.assert_allclose(mahalanobis_score(fresh, LogNorms.fit(norms)), expected, rtol=1e-9)


def test_the_one_sided_score_is_minus_the_log_of_the_product_of_the_upper_tails(norms, fresh):
    logs = np.log(norms)
    gaussians = stats.norm(logs.mean(0), logs.std(0, ddof=1))
    expected = -gaussians.logsf(np.log(fresh)).sum(1)
    np.testing.assert_allclose(one_sided_score(fresh, LogNorms.fit(norms)), expected, rtol=1e-9)


def test_small_norms_of_some_layers_do_not_make_up_for_a_large_one(norms):
    normal = LogNorms.fit(norms)
    z = np.array([[0.0, 0, 0, 0, 0], [8, -8, -8, -8, -8], [-8, -8, -8, -8, -8]])
    typical, mixed, small = one_sided_score(np.exp(normal.mean + normal.std * z), normal)
    assert mixed > 30 > typical > small
    assert small == pytest.approx(0, abs=1e-12)


def test_the_one_sided_score_rises_with_the_norm_of_every_layer(norms, fresh):
    normal = LogNorms.fit(norms)
    before = one_sided_score(fresh, normal)
    for layer in range(fresh.shape[1]):
        larger = fresh * np.where(np.arange(5) == layer, 2.0, 1.0)
        assert (one_sided_score(larger, normal) > before).all()


@pytest.mark.parametrize("score", [gaussian_score, mahalanobis_score])
def test_the_other_scores_rise_on_either_side_of_the_mean(score, norms):
    normal = LogNorms.fit(norms)
    middle, below, above = np.exp(normal.mean + normal.std * np.array([[0], [-3], [3]]))
    scores = score(np.stack([middle, below, above]), normal)
    assert scores[1] == pytest.approx(scores[2]) and scores[0] < scores[1]


# ----------------------------------------------------------------------------------- single rows


@pytest.mark.parametrize("score", SCORES)
def test_a_norm_of_zero_counts_as_one_four_deviations_below_the_mean(score, norms, fresh):
    normal = LogNorms.fit(norms)
    zero, tiny = fresh.copy(), fresh.copy()
    zero[:, 2], tiny[:, 2] = 0, np.exp(normal.mean[2] - 4 * normal.std[2])
    np.testing.assert_allclose(score(zero, normal), score(tiny, normal), rtol=1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_layers", [1, 5, 40])
@pytest.mark.parametrize("score", SCORES)
def test_the_score_of_a_row_is_bitwise_equal_in_any_company(score, n_layers, order):
    normal = LogNorms.fit(squared_norms(200, n_layers))
    fresh = squared_norms(33, n_layers, seed=1)
    together = score(np.asarray(fresh, order=order), normal)
    for rows in (slice(0, 1), slice(32, 33), slice(3, 20)):
        np.testing.assert_array_equal(score(fresh[rows], normal), together[rows])


# ------------------------------------------------------------------------------ combined scores


def test_the_max_is_the_less_likely_of_distance_and_large_norms(norms, fresh):
    normal = LogNorms.fit(norms)
    distance = -normal.log_survival["mahalanobis"](mahalanobis_score(fresh, normal))
    large = -normal.log_survival["one-sided"](one_sided_score(fresh, normal))
    assert (distance > large).any() and (large > distance).any()
    np.testing.assert_array_equal(max_score(fresh, normal), np.maximum(distance, large))


@pytest.mark.parametrize("z", [6.0, -6.0, [4, -4, 4, -4, 4]])
def test_the_max_finds_large_norms_and_norms_in_unusual_proportion(z, norms):
    normal = LogNorms.fit(norms)
    unusual = np.exp(normal.mean + normal.std * np.broadcast_to(z, (1, 5)))
    assert max_score(unusual, normal) > np.quantile(max_score(norms, normal), 0.99)


def test_survival_of_normal_rows_is_that_of_new_ones_though_the_covariance_was_theirs():
    """40 layers from 60 rows: their own distances are far smaller than those of new rows."""
    normal = LogNorms.fit(squared_norms(60, 40))
    new = mahalanobis_score(squared_norms(2000, 40, seed=1), normal)
    median = np.median(normal.log_survival["mahalanobis"](new))
    assert median == pytest.approx(np.log(0.5), abs=0.4)
