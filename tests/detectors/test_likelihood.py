"""The likelihood as a detector."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skood import Likelihood
from skood.testing import easy_images

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


def detect(model, X, **parameters):
    return Likelihood(FrozenEstimator(model), random_state=0, **parameters).fit(X)


@pytest.mark.parametrize("n_importance_samples", [1, 3])
def test_the_score_is_the_bound_of_the_model(n_importance_samples, fitted_hvae, images):
    detector = detect(fitted_hvae, images, n_importance_samples=n_importance_samples)
    bound = fitted_hvae.score_samples(images, n_importance_samples=n_importance_samples)
    np.testing.assert_array_equal(detector.score_samples(images), bound)
    np.testing.assert_array_equal(detector.ood_score(images), -bound)


def test_more_importance_samples_tighten_the_bound(trained_hvae):
    X = easy_images(200, random_state=2)
    one, many = (detect(trained_hvae, X, n_importance_samples=s).score_samples(X) for s in (1, 32))
    assert many.mean() > one.mean()


def test_noise_is_flagged(trained_hvae):
    detector = detect(trained_hvae, easy_images(200, random_state=2))
    noise = np.random.default_rng(0).integers(0, 256, size=(100, 8, 8)).astype(np.uint8)
    assert (detector.predict(noise) == -1).all()


def test_simple_images_are_more_likely_than_normal_ones(trained_hvae):
    normal = easy_images(200, random_state=2)
    detector = detect(trained_hvae, normal)
    black = np.zeros((1, 8, 8), np.uint8)
    assert detector.ood_score(black)[0] < np.median(detector.ood_score(normal))
