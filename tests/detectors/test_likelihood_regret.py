"""Likelihood regret: what it is the difference of, what it sees, and what it refuses."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import InvalidParameterError

from skood import HVAE, VAE, Glow, LikelihoodRegret
from skood.metrics import auroc
from skood.testing import easy_images, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


@pytest.fixture(scope="module")
def detector():
    model = small(VAE, latent_dim=8, width=16, max_epochs=30, random_state=0)
    model.fit(easy_images(600, random_state=1))
    return LikelihoodRegret(FrozenEstimator(model), n_steps=40, random_state=0).fit(
        easy_images(200, random_state=2)
    )


def test_the_score_is_what_the_bound_gains_under_the_fitted_posterior(detector):
    X, model = easy_images(20), detector.model_
    options = {"n_steps": 40, "learning_rate": 0.03, "n_importance_samples": 16}
    gained = model.refitted_bounds(X, **options) - model.score_samples(X, n_importance_samples=16)
    np.testing.assert_array_equal(detector.ood_score(X), gained)


def test_rows_that_the_encoder_does_not_know_gain_more(detector):
    normal, odd = easy_images(100), 255 - easy_images(100)
    assert auroc(detector.ood_score(normal), detector.ood_score(odd)) > 0.95
    assert (detector.predict(odd) == -1).mean() > 0.5
    assert (detector.predict(normal) == -1).mean() < 0.15


def test_normal_rows_gain_little_on_average(detector):
    assert abs(detector.ood_score(easy_images(100)).mean()) < 1


def test_the_default_model_has_one_layer():
    assert isinstance(LikelihoodRegret()._nested_default("model"), VAE)
    assert LikelihoodRegret().set_params(model__latent_dim=3).model.latent_dim == 3


def test_a_hierarchy_will_do(images):
    detector = LikelihoodRegret(small(HVAE), n_steps=2, random_state=0).fit(images)
    assert np.isfinite(detector.ood_score(images)).all()


@pytest.mark.parametrize("frozen", [False, True])
def test_a_flow_is_refused_by_what_it_lacks_before_the_training(frozen, trainings):
    model = FrozenEstimator(small(Glow)) if frozen else small(Glow)
    with pytest.raises(ValueError, match=r"refitted_bounds, which Glow lacks.* such as VAE"):
        LikelihoodRegret(model).fit(easy_images(60))
    assert trainings == []


@pytest.mark.parametrize(
    "options", [{"n_steps": 0}, {"learning_rate": 0.0}, {"n_importance_samples": 0}]
)
def test_wrong_parameters_are_named_before_the_training(options, trainings):
    (name,) = options
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of LikelihoodRegret"):
        LikelihoodRegret(small(VAE), **options).fit(easy_images(60))
    assert trainings == []
