"""Posteriors fitted to each row alone: where they lead, and the bounds under them."""

from itertools import chain

import numpy as np
import pytest
import torch

from skood import VAE
from skood.core.noise import Noise
from skood.models._latent_variables import LatentVariablesMixin
from skood.models._refitting import refit_posteriors
from skood.testing import all_models, easy_images, small, tensor_of

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
IMAGES = easy_images(60)
LATENT = [model for model in all_models() if issubclass(model, LatentVariablesMixin)]
# The latents of each draw in the networks of ``conftest.py``: a layer has one or two.
NAMES = {"z1": ["z1"], "z2": ["z2"], "z3": ["z3"]}
BOTH_WAYS = {"z1": ["u1"], "z1down": ["d1"], "z2": ["u2"], "z2down": ["d2"], "z3": ["z3"]}
BASES = {"z1": ["e1a", "e1b"], "z2": ["e2"], "z3": ["e3"]}


@pytest.fixture(scope="module")
def vae():
    return small(VAE, latent_dim=4, width=16, max_epochs=20, random_state=0).fit(easy_images(600))


def names_in(world):
    return next(
        names
        for names in (BASES, BOTH_WAYS, NAMES)
        if all(latent in world.rows for latents in names.values() for latent in latents)
    )


def test_the_fit_leads_to_the_best_independent_gaussians(exact):
    """Of a normal p(z | x): those with its mean, and with the inverses of its precisions."""
    x, noise, names = torch.tensor(exact.X), Noise(0, shared=True), names_in(exact.world)
    found = refit_posteriors(exact.network, x, noise, n_steps=500, learning_rate=0.01)
    assert found.keys() == names.keys()
    mean, covariance = exact.world.posterior([*chain(*names.values())], exact.X)
    std = np.linalg.inv(covariance).diagonal() ** -0.5
    found_mean, found_std = (
        torch.cat([getattr(found[name], which) for name in names], dim=1).detach().numpy()
        for which in ("mean", "stddev")
    )
    np.testing.assert_allclose(found_mean, mean, atol=0.15)
    np.testing.assert_allclose(found_std, np.broadcast_to(std, mean.shape), atol=0.15)


def test_no_step_leaves_the_encoder_s_posterior_and_its_bound(vae):
    """Of a model with one layer: there the encoder's q does not depend on other draws."""
    x, noise = tensor_of(IMAGES), vae.scoring_noise()
    with torch.no_grad():
        posteriors = vae.network_.infer_posteriors(x, noise)
        same = vae.network_.terms_under(posteriors, x, noise.fork(0))
    terms = vae.network_.terms(x, noise.fork(0))
    torch.testing.assert_close(same.log_weight, terms.log_weight)
    torch.testing.assert_close(same.log_ratios(), terms.log_ratios())


def test_steps_raise_the_bound_of_rows_that_the_encoder_does_not_know(vae):
    odd = 255 - IMAGES
    options = {"n_importance_samples": 4, "learning_rate": 0.05}
    few, many = (vae.refitted_bounds(odd, n_steps=n, **options).mean() for n in (5, 60))
    assert vae.score_samples(odd, n_importance_samples=4).mean() + 1 < few < many - 1


def test_inference_is_not_asked_at_every_step(vae, monkeypatch):
    calls, inference = [], vae.network_.inference
    forward = type(inference).forward
    monkeypatch.setattr(type(inference), "forward", lambda *args: calls.append(1) or forward(*args))
    vae.refitted_bounds(IMAGES[:2], n_steps=5, n_importance_samples=3)
    assert len(calls) == 1


@pytest.mark.parametrize("X", [IMAGES, np.random.default_rng(0).normal(size=(60, 4))])
@pytest.mark.parametrize("model", LATENT)
def test_every_model_with_latent_variables_can_be_refitted(model, X):
    fitted = small(model, random_state=0).fit(X)
    bounds = fitted.refitted_bounds(X, n_steps=3, n_importance_samples=2)
    assert bounds.shape == (60,) and bounds.dtype == np.float64
    # Hardly trained layers hardly depend on each other, and a few steps do not lead far away.
    scores = fitted.score_samples(X, n_importance_samples=2)
    np.testing.assert_allclose(bounds, scores, rtol=0.1, atol=3)


@pytest.mark.parametrize(
    "options",
    [{"n_steps": 0}, {"n_steps": 1.5}, {"n_importance_samples": 0}]
    + [{"learning_rate": rate} for rate in (0, -1.0, np.inf, np.nan, "0.1")],
)
def test_wrong_options_are_named_with_what_was_given(vae, options):
    (name, value), *_ = options.items()
    with pytest.raises(ValueError, match=f"{name} must be a positive .*; got {value!r}"):
        vae.refitted_bounds(IMAGES, **options)
