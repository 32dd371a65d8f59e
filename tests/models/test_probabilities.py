"""The probabilities of everything that x can be add up to one, in models as they are."""

import itertools

import numpy as np
import pytest
import torch
from scipy import integrate

from skood import BIVA, ELBO, HVAE, VAE, LadderVAE, SeReVAE, Trainer
from skood.core.noise import Noise

MODELS = pytest.mark.parametrize("model", [HVAE, LadderVAE, BIVA, SeReVAE, VAE])
ALL_IMAGES = torch.tensor(list(itertools.product([0.0, 255.0], repeat=4))).view(16, 1, 2, 2)


@torch.no_grad()
def weights(network, x, prior_layers=frozenset(), n_samples=4000):
    """Importance weights (n_samples, len(x)), whose mean is p(x) without bias."""
    repeated = x.repeat(n_samples, *(1 for _ in x.shape[1:]))
    terms = network.terms(repeated, Noise(0), prior_layers, below="sample")
    return terms.log_weight.double().exp().view(n_samples, -1).numpy()


def assert_mean_is_one(totals):
    error = totals.std() / np.sqrt(len(totals))
    assert error < 0.03
    assert totals.mean() == pytest.approx(1, abs=4 * error)


@MODELS
@pytest.mark.parametrize("prior_layers", [{}, {1}, {1, 2}, {2}])
def test_the_probabilities_of_all_images_sum_to_one(model, prior_layers, build):
    network, _ = build(model, ALL_IMAGES.byte().numpy()[:, 0], (2, 2))
    layers = set(prior_layers) & set(range(1, network.n_layers + 1))
    assert_mean_is_one(weights(network, ALL_IMAGES, layers).sum(1))


@MODELS
def test_the_density_of_a_table_integrates_to_one(model, build):
    X = np.random.default_rng(0).normal(50, 3, (200, 1))
    network, _ = build(model, X, (2, 1))
    x = torch.linspace(20, 80, 121, dtype=torch.float64)[:, None]
    densities = weights(network, x, n_samples=2000)
    assert_mean_is_one(integrate.trapezoid(densities, x[:, 0], axis=1))


@pytest.fixture(scope="module")
def trained():
    """All there is to know about 2 x 2 black and white images fits in 16 numbers."""
    rng = np.random.default_rng(0)
    prototypes = np.array([[[1, 1], [0, 0]], [[0, 1], [0, 1]], [[1, 1], [1, 1]]])
    noise = rng.random((300, 2, 2)) < 0.1
    X = 255 * (prototypes[rng.integers(3, size=300)] ^ noise).astype(np.uint8)
    # Few free bits keep q near the prior, which importance sampling needs.
    options = {"objective": ELBO(free_bits=0.5), "trainer": Trainer(patience=None)}
    model = HVAE((2, 2), width=8, max_epochs=15, batch_size=20, random_state=0, **options)
    return model.set_params(learning_rate=0.01).fit(X)


def test_the_probabilities_of_all_images_sum_to_one_after_training(trained):
    assert_mean_is_one(weights(trained.network_, ALL_IMAGES).sum(1))


def test_images_are_drawn_as_often_as_they_are_probable(trained):
    draws = trained.sample(20_000, random_state=0).reshape(-1, 4) > 0
    frequency = np.bincount(draws @ [8, 4, 2, 1], minlength=16) / len(draws)
    probabilities = weights(trained.network_, ALL_IMAGES).mean(0)
    np.testing.assert_allclose(frequency, probabilities, atol=0.012)
