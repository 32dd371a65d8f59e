"""The density of a model's own statistics."""

import numpy as np
import pytest
from scipy.stats import gaussian_kde
from sklearn.frozen import FrozenEstimator

from skood import HVAE, DoSE, Gaussian, KNNDistance, PixelCNN
from skood.testing import easy_images, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def gaussian():
    """Around a Gaussian in 20 dimensions, whose statistics are known."""
    model = Gaussian(random_state=0).fit(RNG.normal(size=(5_000, 20)))
    return DoSE(FrozenEstimator(model), random_state=0).fit(RNG.normal(size=(1_000, 20)))


def test_rows_nearer_the_mean_than_any_normal_row_are_flagged_and_farther_ones_too(gaussian):
    rows = RNG.normal(size=(50, 20))
    radius = np.linalg.norm(rows, axis=1, keepdims=True)
    for factor in (0.1, 3):
        assert (gaussian.predict(rows / radius * np.sqrt(20) * factor) == -1).all()
    assert (gaussian.predict(rows / radius * np.sqrt(20)) == 1).all()


def test_the_score_is_the_sum_of_minus_log_kernel_densities(gaussian):
    X = RNG.normal(size=(20, 20))
    model = gaussian.model_
    statistics = np.stack(
        [model.score_samples(X), np.log(np.linalg.norm(model.transform(X), axis=1))]
    )
    reference = [gaussian.densities_[i].scores for i in range(2)]
    pairs = zip(reference, statistics, strict=True)
    expected = -sum(gaussian_kde(normal).logpdf(values) for normal, values in pairs)
    np.testing.assert_allclose(gaussian.ood_score(X), expected, rtol=1e-3)


def test_a_model_with_layers_has_statistics_of_each():
    detector = DoSE(small(HVAE), random_state=0).fit(easy_images(300))
    names = ["log p(x | z)"] + [f"log {x}(z{i})" for i in (1, 2, 3) for x in "pq"]
    assert detector.statistic_names_ == names
    assert len(detector.densities_) == 7


def test_a_model_without_layers_and_base_variables_has_its_likelihood_alone(gaussian):
    detector = DoSE(small(PixelCNN), random_state=0).fit(easy_images(300))
    assert detector.statistic_names_ == ["log p(x)"] and len(detector.densities_) == 1
    assert gaussian.statistic_names_ == ["log p(x)", "log |z|"] and len(gaussian.densities_) == 2


def test_rows_far_beyond_all_others_have_finite_scores_in_order(gaussian):
    scores = gaussian.ood_score(np.array([[10.0], [100.0], [1e6]]) * np.ones(20))
    assert np.isfinite(scores).all() and (np.diff(scores) > 0).all()


def test_a_statistic_that_never_varies_says_nothing():
    X = np.repeat(RNG.normal(size=(1, 4)), 200, axis=0)
    with pytest.warns(UserWarning, match="the same score"):
        detector = DoSE(small(HVAE), random_state=0).fit(X)
    assert np.isfinite(detector.ood_score(X)).all()


def test_a_model_without_a_network_is_refused_before_training():
    with pytest.raises(ValueError, match=r"DoSE asks its model for .*map_network.*KNNDistance"):
        DoSE(KNNDistance()).fit(RNG.normal(size=(50, 3)))
