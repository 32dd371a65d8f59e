"""The likelihood of averaged Gaussian mixtures, beside their densities computed by hand."""

import numpy as np
import pytest
import sklearn
from scipy.stats import multivariate_normal

from skood import MixtureLikelihood

pytestmark = pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")


def clusters(n, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) + 10 * rng.integers(0, 2, size=(n, 1))


def density(mixture, X):
    covariances = np.linalg.inv(mixture.roots @ mixture.roots.transpose(0, 2, 1))
    parts = zip(mixture.weights, mixture.means, covariances, strict=True)
    return sum(w * multivariate_normal(m, c).pdf(X) for w, m, c in parts)


def test_the_score_is_minus_the_log_of_the_mean_density():
    detector = MixtureLikelihood(n_components=3, n_mixtures=4, random_state=0)
    detector.fit(clusters(300, seed=0))
    fresh = clusters(50, seed=1)
    X = (fresh - detector.vectors_.mean) / detector.vectors_.scale
    mean = np.mean([density(mixture, X) for mixture in detector.mixtures_], axis=0)
    assert len(detector.mixtures_) == 4
    np.testing.assert_allclose(detector.ood_score(fresh), -np.log(mean), rtol=1e-6)


def test_mixtures_are_fitted_to_different_rows():
    detector = MixtureLikelihood(n_components=1, n_mixtures=3, random_state=0)
    detector.fit(clusters(300, seed=0))
    assert len({mixture.means[0, 0] for mixture in detector.mixtures_}) == 3


@pytest.mark.parametrize(
    "n, n_components",
    # Of 0.8 n rows that do not calibrate each mixture gets 80 %, and five make a component.
    [(4, 1), (20, 2), (60, 7), (200, 10)],
)
def test_few_rows_have_fewer_components(n, n_components):
    detector = MixtureLikelihood(random_state=0).fit(clusters(n, seed=0))
    assert {len(mixture.weights) for mixture in detector.mixtures_} == {n_components}


def test_rows_of_few_different_values_have_fewer_components():
    X = np.random.default_rng(0).integers(0, 2, size=(300, 2)).astype(float)
    detector = MixtureLikelihood(random_state=0).fit(X)  # k-means warns if it finds fewer clusters
    assert {len(mixture.weights) for mixture in detector.mixtures_} == {4}


def test_constant_columns_leave_scores_finite():
    X = np.c_[clusters(200, seed=0), np.full((200, 2), 7.0)]
    detector = MixtureLikelihood(random_state=0).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    assert np.isfinite(detector.score_samples(X + 1)).all()


def test_rows_between_clusters_are_flagged():
    detector = MixtureLikelihood(random_state=0).fit(clusters(500, seed=0))
    assert (detector.predict([[5, 5], [0, 10], [20, 20]]) == -1).all()
    assert (detector.predict(clusters(500, seed=1)) == -1).mean() < 0.12


def test_settings_of_scikit_learn_change_no_score():
    X = np.random.default_rng(0).normal(size=(100, 70))
    expected = MixtureLikelihood(random_state=0).fit(X).score_samples(X)
    with sklearn.config_context(transform_output="pandas"):
        scores = MixtureLikelihood(random_state=0).fit(X).score_samples(X)
    np.testing.assert_array_equal(scores, expected)
