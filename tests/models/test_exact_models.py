"""Bounds, samples and scores of models whose likelihood is known exactly or adds up to one."""

import itertools

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import nn
from torch.distributions import Normal

from skood import ELBO, HVAE, Trainer
from skood.core.noise import Noise
from skood.core.protocols import Network
from skood.core.terms import LayerTerms, Terms
from skood.models._base import BaseGenerativeModel

B = np.array([1.0, -0.5, 2.0])  # x = B z1 + noise
A, S0, S1 = 1.5, 0.8, 0.6  # z1 = A z2 + noise; standard deviations of the noise in x and z1
X = np.random.default_rng(0).integers(-24, 24, (6, 3)) / 8  # the same numbers in float32


class LinearGaussian(nn.Module):
    """x <- z1 <- z2, all linear and Gaussian, in float64; q is the exact posterior, bottom-up.

    q(z1 | x) from the marginal z1 ~ N(0, A^2 + S1^2), and q(z2 | z1, x) = p(z2 | z1).
    """

    n_layers, max_log_px = 2, float(-3 * np.log(S0 * np.sqrt(2 * np.pi)))

    def terms(self, x, noise, prior_layers=frozenset(), prior_mean=True):
        x, b = x.double(), torch.tensor(B)
        precision = 1 / (A**2 + S1**2) + B @ B / S0**2
        q1 = Normal((x @ b)[:, None] / S0**2 / precision, precision**-0.5)
        z1 = q1.mean if 1 in prior_layers else self._draw(q1, "z1", noise)
        precision = 1 + A**2 / S1**2
        q2 = Normal(A * z1 / S1**2 / precision, precision**-0.5)
        p2 = Normal(torch.zeros_like(z1), 1.0)
        z2, layer2 = self._layer(p2, q2, "z2", 2 in prior_layers, prior_mean, noise)
        p1 = Normal(A * z2, S1)
        if 1 in prior_layers:
            z1, layer1 = self._layer(p1, None, "z1", True, prior_mean, noise)
        else:
            layer1 = LayerTerms(p1.log_prob(z1), q1.log_prob(z1))
        return Terms(Normal(z1 * b, S0).log_prob(x).sum(1), (layer1, layer2))

    def sample(self, n, noise):
        z2 = noise.normal("z2", (n, 1)).double()
        z1 = A * z2 + S1 * noise.normal("z1", (n, 1))
        return z1 * torch.tensor(B) + S0 * noise.normal("x", (n, 3))

    def _layer(self, p, q, name, from_prior, prior_mean, noise):
        if from_prior:
            z = p.mean if prior_mean else self._draw(p, name, noise)
            return z, LayerTerms.from_prior(z)
        z = self._draw(q, name, noise)
        return z, LayerTerms(p.log_prob(z), q.log_prob(z))

    @staticmethod
    def _draw(distribution, name, noise):
        return distribution.mean + distribution.stddev * noise.normal(name, distribution.mean.shape)


@pytest.fixture
def log_px():
    """x ~ N(0, B (A^2 + S1^2) B' + S0^2)."""
    covariance = (A**2 + S1**2) * np.outer(B, B) + S0**2 * np.eye(3)
    return stats.multivariate_normal(np.zeros(3), covariance).logpdf(X)


@pytest.fixture
def model():
    """An estimator around the exact network, as if it had been fitted."""
    model = BaseGenerativeModel()
    model.network_, model.seed_, model.device = LinearGaussian(), 0, "cpu"
    model.input_shape_, model.n_features_in_, model.data_kind_ = (3,), 3, "real"
    return model


def test_the_exact_network_is_a_network():
    assert isinstance(LinearGaussian(), Network)


@pytest.mark.parametrize("shared", [False, True])
def test_with_the_exact_posterior_every_draw_has_the_log_likelihood_as_its_weight(log_px, shared):
    for seed in range(5):
        terms = LinearGaussian().terms(torch.tensor(X), Noise(seed, shared=shared))
        np.testing.assert_allclose(terms.log_weight, log_px, rtol=1e-12)


@pytest.mark.parametrize("n_importance_samples", [1, 3])
def test_the_score_of_an_exact_model_is_the_log_likelihood(model, log_px, n_importance_samples):
    scores = model.score_samples(X, n_importance_samples=n_importance_samples)
    np.testing.assert_allclose(scores, log_px, rtol=1e-12)
    assert model.score(X) == pytest.approx(log_px.mean())


def test_bits_per_dim_are_the_log_likelihood_in_bits_per_value(model, log_px):
    np.testing.assert_allclose(model.bits_per_dim(X), -log_px / np.log(2) / 3)


def test_the_bound_from_the_top_layer_rises_to_the_log_likelihood_with_more_samples(model, log_px):
    gaps = np.empty((20, 2))  # all rows share their noise, so only many seeds give a mean
    for model.seed_, s in itertools.product(range(20), range(2)):
        options = {"n_importance_samples": 64**s, "prior_mean": False, "layers": [1]}
        gaps[model.seed_, s] = (log_px - model.bounds(X, **options)[0][0]).mean()
    assert gaps.mean(0)[0] > 1
    assert gaps.mean(0)[1] == pytest.approx(0, abs=0.1)


def test_the_bound_from_the_top_layer_lies_below_the_log_likelihood_on_average(log_px):
    """Havtorn et al. 2021, eq. 5, for one sample: E log w = log p(x) - KL(q' || p(z | x))."""
    x, network = torch.tensor(X).repeat(4000, 1), LinearGaussian()
    weights = network.terms(x, Noise(0), {1}, prior_mean=False).log_weight.view(4000, 6)
    assert (weights.mean(0).numpy() < log_px).all()
    np.testing.assert_allclose(weights.logsumexp(0) - np.log(4000), log_px, atol=0.2)


def test_the_prior_alone_gives_the_log_likelihood_too(log_px):
    x, network = torch.tensor(X).repeat(20_000, 1), LinearGaussian()
    terms = network.terms(x, Noise(0), {1, 2}, prior_mean=False)
    assert torch.equal(terms.log_weight, terms.log_px)
    estimate = terms.log_px.view(20_000, 6).logsumexp(0) - np.log(20_000)
    np.testing.assert_allclose(estimate, log_px, atol=0.2)


def test_the_nll_counts_from_the_best_possible_reconstruction(model):
    _, nll = model.bounds(X, prior_mean=True)
    terms = LinearGaussian().terms(torch.tensor(X), Noise([0, 5], shared=True).sample(0), {1})
    np.testing.assert_allclose(nll[1], LinearGaussian.max_log_px - terms.log_px, rtol=1e-12)
    assert (nll > 0).all()


@pytest.fixture(scope="module")
def hvae_of_four_pixels():
    """All there is to know about 2 x 2 black and white images fits in 16 numbers."""
    rng = np.random.default_rng(0)
    prototypes = np.array([[[1, 1], [0, 0]], [[0, 1], [0, 1]], [[1, 1], [1, 1]]])
    noise = rng.random((300, 2, 2)) < 0.1
    X = 255 * (prototypes[rng.integers(3, size=300)] ^ noise).astype(np.uint8)
    # Few free bits keep q near the prior, which importance sampling needs.
    options = {"objective": ELBO(free_bits=0.5), "trainer": Trainer(patience=None)}
    model = HVAE((2, 2), width=8, max_epochs=15, batch_size=20, random_state=0, **options)
    return model.set_params(learning_rate=0.01).fit(X)


ALL_IMAGES = torch.tensor(list(itertools.product([0.0, 255.0], repeat=4))).view(16, 1, 2, 2)


def probabilities(model, prior_layers=frozenset(), n_samples=4000):
    """p(x) of all 16 images by importance sampling, which has no bias."""
    with torch.no_grad():
        x = ALL_IMAGES.repeat(n_samples, 1, 1, 1)
        terms = model.network_.terms(x, Noise(0), prior_layers, prior_mean=False)
    return terms.log_weight.double().exp().view(n_samples, 16).mean(0).numpy()


@pytest.mark.parametrize("prior_layers", [{}, {1}, {1, 2}])
def test_the_probabilities_of_all_images_sum_to_one(hvae_of_four_pixels, prior_layers):
    assert probabilities(hvae_of_four_pixels, prior_layers).sum() == pytest.approx(1, abs=0.02)


def test_images_are_drawn_as_often_as_they_are_probable(hvae_of_four_pixels):
    draws = hvae_of_four_pixels.sample(20_000, random_state=0).reshape(-1, 4) > 0
    frequency = np.bincount(draws @ [8, 4, 2, 1], minlength=16) / len(draws)
    np.testing.assert_allclose(frequency, probabilities(hvae_of_four_pixels), atol=0.012)


def test_the_density_of_a_table_integrates_to_one():
    X = np.random.default_rng(0).normal(50, 3, (200, 1))
    trainer = Trainer(patience=None)
    model = HVAE((2, 1), width=4, max_epochs=20, trainer=trainer, random_state=0).fit(X)
    x = torch.linspace(20, 80, 301)[:, None]
    with torch.no_grad():
        weights = model.network_.terms(x.repeat(500, 1), Noise(0)).log_weight.double().exp()
    density = weights.view(500, 301).mean(0)
    assert integrate.trapezoid(density, x[:, 0]) == pytest.approx(1, abs=0.03)
