"""Models whose posterior is known exactly, in every order of inference.

The real networks, their layers replaced by exact linear ones: see ``conftest.py``.
"""

import itertools

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from skood import SeReVAE
from skood.core.noise import Noise
from skood.core.protocols import LatentNetwork
from skood.models._base import BaseGenerativeModel
from skood.models._latent_variables import LatentVariablesMixin
from skood.nn.gaussian import gaussian
from skood.nn.networks.draws import Draws
from skood.nn.networks.evidence import Evidence
from skood.testing import spec_of


class Exact(LatentVariablesMixin, BaseGenerativeModel):
    """A model of latent variables without parameters."""


@pytest.fixture
def model(exact):
    """An estimator around the exact network, as if it had been fitted."""
    model = Exact()
    model.network_, model.seed_, model.device = exact.network, 0, "cpu"
    model.input_shape_, model.n_features_in_, model.rows_ = (4,), 4, spec_of(exact.X)
    model.batch_sizes_ = (32, 128)
    return model


def many_weights(exact, n, prior_layers):
    """Log weights (n, rows) with noise of their own."""
    x = torch.tensor(exact.X).repeat(n, 1)
    terms = exact.network.terms(x, Noise(0), prior_layers, below="sample")
    return terms.log_weight.view(n, -1).numpy()


def log_mean(weights):
    return np.logaddexp.reduce(weights) - np.log(len(weights))


def test_the_exact_network_is_a_network(exact):
    assert isinstance(exact.network, LatentNetwork)


@pytest.mark.parametrize("shared", [False, True])
def test_with_the_exact_posterior_every_draw_has_the_log_likelihood_as_its_weight(exact, shared):
    for seed in range(5):
        terms = exact.network.terms(torch.tensor(exact.X), Noise(seed, shared=shared))
        np.testing.assert_allclose(terms.log_weight, exact.log_px, rtol=0, atol=1e-10)
        assert (terms.log_ratios() != 0).all()


@pytest.mark.parametrize("n_importance_samples", [1, 3])
def test_the_score_of_an_exact_model_is_the_log_likelihood(model, exact, n_importance_samples):
    scores = model.score_samples(exact.X, n_importance_samples=n_importance_samples)
    np.testing.assert_allclose(scores, exact.log_px, rtol=0, atol=1e-10)
    assert model.score(exact.X) == pytest.approx(exact.log_px.mean())


def test_bits_per_dim_are_the_log_likelihood_in_bits_per_value(model, exact):
    np.testing.assert_allclose(model.bits_per_dim(exact.X), -exact.log_px / np.log(2) / 4)


def test_the_bound_below_the_layer_beyond_the_top_is_the_ordinary_one(model, exact):
    bounds, _ = model.bounds(exact.X, prior_layers=[range(4, 4), range(3, 4)])
    np.testing.assert_allclose(bounds[0], exact.log_px, rtol=0, atol=1e-10)
    assert (abs(bounds[1] - exact.log_px) > 1e-3).all()


@pytest.mark.parametrize("prior_layers", [{1}, {1, 2}, {3}, {2, 3}, {2}, {1, 2, 3}])
def test_bounds_with_layers_from_the_prior_lie_below_the_log_likelihood_on_average(
    exact, prior_layers
):
    """Havtorn et al. 2021, eq. 5 and 20: E log w = log p(x) - KL(q' || p(z | x)), E w = p(x)."""
    weights = many_weights(exact, 20_000, prior_layers)
    assert (weights.mean(0) < exact.log_px - 0.01).all()
    np.testing.assert_allclose(log_mean(weights), exact.log_px, atol=0.3)


def test_the_weight_of_the_prior_alone_is_the_likelihood_of_x(exact):
    terms = exact.network.terms(torch.tensor(exact.X), Noise(0), {1, 2, 3}, below="sample")
    assert torch.equal(terms.log_weight, terms.log_px)


@pytest.mark.parametrize("prior_layers", [(1,), (2, 3)])
def test_bounds_rise_to_the_log_likelihood_with_more_importance_samples(model, exact, prior_layers):
    gaps = np.empty((20, 2))  # all rows share their noise, so only several seeds give a mean
    for model.seed_, (i, s) in itertools.product(range(20), enumerate((1, 50))):
        options = {"n_importance_samples": s, "below": "sample"}
        bounds, _ = model.bounds(exact.X, **options, prior_layers=[prior_layers])
        gaps[model.seed_, i] = (exact.log_px - bounds[0]).mean()
    once, many = gaps.mean(0)
    assert once > 0.3
    assert many == pytest.approx(0, abs=0.1)


def test_the_nll_counts_from_the_best_possible_reconstruction(model, exact):
    _, nll = model.bounds(exact.X, below="mean")
    noise = Noise([0, 5], shared=True).fork(0)
    terms = exact.network.terms(torch.tensor(exact.X), noise, {1})
    np.testing.assert_allclose(nll[1], exact.network.max_log_px - terms.log_px, rtol=1e-12)
    assert (nll > 0).all()


@pytest.mark.parametrize("network", ["mlp", "resnet"])
@torch.no_grad()
def test_the_ratio_of_base_variables_is_that_of_latents(network, build):
    """f being affine and the same for both, both densities of z = f(e) are Gaussians too."""
    X = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    net, x = build(SeReVAE, X, network=network)
    x = 2 * (x > 127).double() - 1
    result = net(Evidence(x, net.evidence_of(x, 0)), Draws(Noise(0), len(x)))
    for i in (0, 1):
        z, above = result.latents[i], result.latents[i + 1]
        q, p = net.posteriors[i](net.evidence(x)[i], above), gaussian(net.priors[i](above))
        affine = net.bijections[i].conditioner(above)
        ratio = pushed(affine, q, z) - pushed(affine, p, z)
        torch.testing.assert_close(result.layers[i].log_ratio.sum(1), ratio, rtol=0, atol=1e-10)


def pushed(affine, base, z):
    """Density of z = affine.multiply(e) for e of a diagonal Gaussian."""
    n = z.shape[1]
    basis = torch.eye(n, dtype=torch.float64)
    columns = [affine.multiply(e.expand_as(z)) - affine.shift for e in basis]
    matrix = torch.stack(columns, dim=2)
    covariance = matrix @ torch.diag_embed(base.variance) @ matrix.mT
    return MultivariateNormal(affine.multiply(base.mean), covariance).log_prob(z)
