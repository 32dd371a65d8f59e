"""The ratio between a model and one of perturbed rows."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture

from skood import HVAE, BackgroundLikelihoodRatio, CombinedDetector, Gaussian, Likelihood
from skood.testing import easy_images, small

pytestmark = [
    pytest.mark.filterwarnings("ignore::skood.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning"),
]
RNG = np.random.default_rng(0)
COVARIANCE = np.eye(4) + 4  # strongly correlated columns
TABLE = RNG.multivariate_normal(np.zeros(4), COVARIANCE, size=20_000)
IMAGES = easy_images(120)


@pytest.fixture(scope="module")
def of_gaussians():
    return BackgroundLikelihoodRatio(Gaussian(), mutation_rate=0.4, random_state=0).fit(TABLE)


def test_of_gaussians_the_ratio_is_known(of_gaussians):
    # A pair of values is left with probability 0.6^2; the variances stay.
    background = 0.36 * COVARIANCE + 0.64 * np.diag(np.diag(COVARIANCE))
    X = TABLE[:200]
    log_likelihood = stats.multivariate_normal(cov=COVARIANCE).logpdf(X)
    expected = stats.multivariate_normal(cov=background).logpdf(X) - log_likelihood
    usual = of_gaussians.model_.score_samples(X) >= of_gaussians.reference_likelihood_
    assert usual.mean() > 0.9
    np.testing.assert_allclose(of_gaussians.ood_score(X)[usual], expected[usual], atol=0.2)


def test_columns_that_do_not_go_together_are_ood_and_ordinary_values_are_not(of_gaussians):
    X = 2 * np.array([[1, -1, 1, -1], [1, 1, 1, 1.0]])
    np.testing.assert_array_equal(of_gaussians.predict(X), [-1, 1])


def test_rows_far_out_are_flagged_although_both_models_find_them_unlikely(of_gaussians):
    along = np.ones((1, 4)) * [[3], [50], [1e4]]  # where the background model falls faster
    scores = of_gaussians.ood_score(along)
    assert (np.diff(scores) > 0).all()
    assert (of_gaussians.predict(along[1:]) == -1).all()


def test_fresh_rows_are_flagged_at_the_rate_promised(of_gaussians):
    fresh = RNG.multivariate_normal(np.zeros(4), COVARIANCE, size=4_000)
    assert np.mean(of_gaussians.predict(fresh) == -1) == pytest.approx(0.05, abs=0.015)


def test_of_images_the_score_is_the_difference_of_the_bounds():
    detector = BackgroundLikelihoodRatio(small(HVAE), random_state=0, n_importance_samples=2)
    detector.fit(IMAGES)
    model, background = (
        model.score_samples(IMAGES, n_importance_samples=2) for model in detector.models_.values()
    )
    np.testing.assert_array_equal(detector.ood_score(IMAGES), background - model)
    assert not hasattr(detector, "reference_ratio_")


def test_the_background_is_trained_on_perturbed_rows_and_the_model_is_not(trainings):
    detector = BackgroundLikelihoodRatio(small(HVAE), mutation_rate=0.25, random_state=0)
    detector.fit(IMAGES)
    normal, perturbed = (np.asarray(rows) for rows in trainings)
    assert np.isin(normal, IMAGES).all() and normal.dtype == perturbed.dtype == np.uint8
    assert np.mean(normal != perturbed) == pytest.approx(0.25, abs=0.02)
    assert len(normal) + len(detector.calibration_scores_) == len(IMAGES)


def test_the_background_is_a_copy_of_the_model_unless_it_is_given():
    first = BackgroundLikelihoodRatio(small(HVAE, width=9), random_state=0).fit(IMAGES)
    assert first.models_["background"].width == 9
    second = clone(first).set_params(background__width=10).fit(IMAGES)
    assert [model.width for model in second.models_.values()] == [9, 10]
    assert first.background is None and first.set_params(background__width=10).model.width == 9


def test_a_frozen_model_is_not_trained_but_its_background_is(trainings):
    model = small(HVAE, random_state=3).fit(IMAGES)
    trainings.clear()
    detector = BackgroundLikelihoodRatio(FrozenEstimator(model), random_state=0).fit(IMAGES)
    assert detector.model_ is model and len(trainings) == 1
    both = [FrozenEstimator(model) for model in detector.models_.values()]
    trainings.clear()
    frozen = BackgroundLikelihoodRatio(*both, random_state=0).fit(IMAGES)
    assert trainings == [] and len(frozen.calibration_scores_) == len(IMAGES)
    np.testing.assert_array_equal(frozen.ood_score(IMAGES), detector.ood_score(IMAGES))


def test_both_models_see_the_same_noise_whatever_their_seeds():
    models = [small(HVAE, random_state=seed).fit(IMAGES) for seed in (1, 2)]
    models[1].network_.load_state_dict(models[0].network_.state_dict())
    detector = BackgroundLikelihoodRatio(*map(FrozenEstimator, models))
    with pytest.warns(UserWarning, match="the same score -?0"):
        detector.fit(IMAGES)


def test_a_combination_trains_the_model_once_and_the_background_apart(trainings):
    members = [
        ("ratio", BackgroundLikelihoodRatio(small(HVAE))),
        ("likelihood", Likelihood(small(HVAE))),
    ]
    CombinedDetector(members, calibration_fraction=0.2, random_state=0).fit(IMAGES)
    assert len(trainings) == 2
    assert np.mean(np.asarray(trainings[0]) != np.asarray(trainings[1])) > 0.2


def test_perturbed_rows_are_of_the_kind_that_the_model_takes_them_for():
    X = RNG.random((200, 6, 6))  # pixels, if one knew no better
    model = Gaussian().fit(9 * X)
    detector = BackgroundLikelihoodRatio(FrozenEstimator(model), random_state=0).fit(X)
    assert detector.models_["background"].data_kind_ == "real"


def test_mixtures_of_scikit_learn_make_a_ratio_of_columns_that_go_together():
    detector = BackgroundLikelihoodRatio(GaussianMixture(2), random_state=0).fit(TABLE[:2_000])
    X = 2 * np.array([[1, -1, 1, -1], [1, 1, 1, 1.0]])
    np.testing.assert_array_equal(detector.predict(X), [-1, 1])


@pytest.mark.parametrize("rate", [0, 1, -0.1, "auto"])
def test_a_rate_that_is_no_part_of_the_values_is_named(rate):
    with pytest.raises(ValueError, match="The 'mutation_rate' parameter of Background"):
        BackgroundLikelihoodRatio(Gaussian(), mutation_rate=rate).fit(TABLE[:50])
