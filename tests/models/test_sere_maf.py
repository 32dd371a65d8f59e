"""The self-reflective masked autoregressive flow."""

import warnings

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from skood import ELBO, HierarchicalLLR, SeReMAF
from skood.core.modes import explicit_construction
from skood.core.noise import Noise
from skood.core.protocols import LatentNetwork, Progress
from skood.nn.networks.conditional_flow import ResidualConditioner
from skood.nn.networks.draws import Draws
from skood.testing import spec_of, tensor_of

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 3))
GREY = RNG.integers(0, 256, (12, 5, 6), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 5, 6, 3), dtype=np.uint8)
DATA = pytest.mark.parametrize("X", [TABLE, GREY, COLOUR], ids=["table", "grey", "colour"])
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


def make(latent_dims=(3, 2, 2), **options):
    defaults = {"n_transforms": 2, "width": 16, "max_epochs": 1, "random_state": 0}
    return SeReMAF(latent_dims, **(defaults | options))


def build(X, latent_dims=(3, 2, 2)):
    """An untrained network in double precision."""
    with explicit_construction(0):
        return make(latent_dims)._build_network(spec_of(X)).double().eval()


def rows(X):
    return tensor_of(X[:6]).double()


def curved(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return np.column_stack([x, x**2 + 0.3 * rng.normal(size=n)])


@pytest.fixture(scope="module")
def fitted():
    options = {
        "max_epochs": 40,
        "batch_size": 32,
        "learning_rate": 5e-3,
        "objective": ELBO(free_bits=0.2),
    }
    return make((3, 2), **options).fit(curved(600, 0))


def test_the_held_out_bound_of_a_curve_beats_a_gaussian(fitted):
    X, fresh = curved(600, 0), curved(500, 1)
    gaussian = stats.multivariate_normal(X.mean(0), np.cov(X.T)).logpdf(fresh).mean()
    assert fitted.score(fresh) > gaussian + 0.5


@torch.no_grad()
def log_weights(network, x, prior_layers=frozenset(), n_samples=4000):
    """Shape (n_samples, n), each row with samples of its own."""
    terms = network.terms(x.repeat(n_samples, 1), Noise(0), prior_layers, below="sample")
    return terms.log_weight.view(n_samples, -1)


def test_the_bound_lies_below_the_log_likelihood_from_samples_of_the_prior(fitted):
    x = torch.tensor(curved(20, 1))
    bound = log_weights(fitted.network_, x).mean(0)
    # Of p(x | z) with z from the prior, which has no part of q in it.
    exact = log_weights(fitted.network_, x, {1, 2}).logsumexp(0) - np.log(4000)
    assert (bound < exact + 0.02).all() and (bound < exact).double().mean() > 0.8
    by_posterior = log_weights(fitted.network_, x).logsumexp(0) - np.log(4000)
    torch.testing.assert_close(by_posterior, exact, rtol=0, atol=0.1)


@pytest.mark.parametrize("prior_layers", [set(), {1}, {2}, {1, 2}])
def test_importance_weights_of_all_values_integrate_to_one(prior_layers):
    network = build(RNG.normal(50, 3, (200, 1)), (2, 1))
    x = torch.linspace(20, 80, 121, dtype=torch.float64)[:, None]
    weights = log_weights(network, x, prior_layers, n_samples=1000).exp().numpy()
    totals = integrate.trapezoid(weights, x[:, 0], axis=1)
    assert totals.mean() == pytest.approx(1, abs=4 * totals.std() / 1000**0.5 + 1e-3)


@DATA
@torch.no_grad()
def test_layers_from_the_prior_have_a_ratio_of_zero_and_only_they(X):
    network, x = build(X), rows(X)
    assert isinstance(network, LatentNetwork)
    for layers in ({1}, {2}, {3}, {1, 3}, {1, 2, 3}):
        ratios = network.terms(x, Noise(0), layers).log_ratios()
        assert {layer for layer in (1, 2, 3) if (ratios[layer - 1] == 0).all()} == layers


@pytest.mark.parametrize("below", ["mean", "sample"])
@torch.no_grad()
def test_with_all_layers_from_the_prior_x_enters_by_its_likelihood_alone(below):
    network, x, noise = build(TABLE), rows(TABLE), Noise(0, shared=True)
    terms = network.terms(x, noise, {1, 2, 3}, below)
    generated = network(None, Draws(noise, len(x), {1, 2, 3}, below))
    expected = network.likelihood(network.likelihood.observe(x, noise), generated.parameters)
    torch.testing.assert_close(terms.log_weight, expected)


@torch.no_grad()
def test_the_density_of_x_given_z_integrates_to_one():
    flow = build(RNG.normal(size=(60, 2))).likelihood
    side = torch.linspace(-12, 12, 241, dtype=torch.float64)
    y = torch.cartesian_prod(side, side)
    z = torch.randn(1, 7, generator=torch.Generator().manual_seed(0)).double().expand(len(y), 7)
    log_density = flow(y, z) - flow.log_det_of_coordinates
    assert log_density.exp().sum().item() * 0.1**2 == pytest.approx(1, abs=2e-3)


@torch.no_grad()
def test_a_reconstruction_is_the_mean_of_the_base_variables_pushed_through_the_flow():
    network, x = build(TABLE), rows(TABLE)
    reconstructed = network.reconstruct(x, Noise(0), ())
    latents, y = network.encode(x, Noise(0)), network.likelihood.observe(reconstructed, Noise(0))
    for i, transform in enumerate(network.likelihood.transforms):
        y, _ = transform(y, latents[i % 3])
    torch.testing.assert_close(
        y, network.likelihood.base.conditioner(latents).shift, rtol=1e-9, atol=1e-9
    )


def test_every_parameter_gets_a_gradient_from_the_bound():
    network = build(TABLE).train()
    ELBO(free_bits=0, warmup=0)(network, rows(TABLE), Noise(0), Progress(1, 1)).backward()
    assert [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_the_base_is_corrected_from_the_top_layer_down():
    with explicit_construction(0):
        conditioner = ResidualConditioner(4, (3, 2), width=8)
    low, top = torch.ones(5, 3), torch.ones(5, 2)
    for parameter in conditioner.residuals.parameters():
        torch.nn.init.zeros_(parameter)
    affine = conditioner([low, top])
    raw = conditioner.top(top)
    torch.testing.assert_close(affine.shift, raw[:, :4])
    torch.testing.assert_close(affine.direction, raw[:, 8:])


@DATA
def test_what_is_reconstructed_or_drawn_has_the_shape_of_x(X):
    model = make().fit(X)
    assert model.sample(3).shape == (3, *X.shape[1:])
    assert model.reconstruct(X, k=1).shape == X.shape
    assert model.partial_sample(X[:2], k=3, n_samples=2).shape == (2, 2, *X.shape[1:])
    assert [z.shape[1] for z in model.encode(X)] == [3, 2, 2]


@DATA
@pytest.mark.parametrize("k", [1, "ada"])
def test_likelihood_ratios_of_it_are_finite(X, k):
    detector = HierarchicalLLR(model=make(), k=k, n_importance_samples=2, fpr=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = detector.fit(X).score_samples(X)
    assert np.isfinite(scores).all()


@DATA
def test_the_number_of_layers_by_default(X):
    assert SeReMAF().count_layers(X) == (3 if X.ndim == 2 else 5)


def test_residual_encoders_are_for_images():
    with pytest.raises(ValueError, match=r"'resnet' is for images.*Use network='auto'"):
        make(network="resnet").fit(TABLE)


@pytest.mark.parametrize("name", ["latent_dims", "n_transforms", "width", "network"])
def test_a_wrong_parameter_is_refused(name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of SeReMAF"):
        make().set_params(**{name: 0}).fit(TABLE)
