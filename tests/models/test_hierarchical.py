"""What every model with latent layers does, in every architecture and for any kind of data."""

import copy
import inspect
import itertools

import numpy as np
import pytest
import torch

from skood import BIVA, ELBO, HVAE, VAE, LadderVAE, SeReMAF, SeReVAE
from skood.core.noise import Noise
from skood.core.protocols import LatentNetwork, Progress
from skood.nn.networks.draws import Draws
from skood.testing import all_models, small

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 5))
GREY = RNG.integers(0, 256, (12, 9, 11), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 9, 11, 3), dtype=np.uint8)
# A network that has seen a dozen rows for one epoch may well not use a layer.
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")

MODELS = (HVAE, LadderVAE, BIVA, SeReVAE, SeReMAF, VAE)
DEEP = MODELS[:5]


def networks(model, X):
    """The values of ``network`` that fit to X."""
    if X.ndim == 2:
        return ("mlp",)
    return ("mlp", "resnet") if model in (SeReVAE, SeReMAF) else ("patch", "resnet")


def every(models, *data):
    """Each of the models with each of its networks, for each kind of data."""
    cases = [
        pytest.param(model, network, X, id=f"{model.__name__}-{network}-{X.ndim - 1}d")
        for model, X in itertools.product(models, data)
        for network in networks(model, X)
    ]
    return pytest.mark.parametrize("model, network, X", cases)


def has(model, parameter):
    return parameter in inspect.signature(model).parameters


def test_every_model_with_latent_layers_is_tested_here():
    found = [m for m in all_models() if has(m, "latent_dims") or has(m, "latent_dim")]
    assert set(found) == set(MODELS)


# ------------------------------------------------------------------------------- untrained networks


class RememberedNoise:
    """Noise whose draws can be differentiated by."""

    def __init__(self):
        self.drawn, self.rng = {}, torch.Generator().manual_seed(0)

    def normal(self, name, shape):
        assert name not in self.drawn
        noise = torch.randn(shape, generator=self.rng, dtype=torch.float64)
        self.drawn[name] = noise.requires_grad_()
        return self.drawn[name]


@every(MODELS, TABLE, GREY)
def test_the_network_can_be_looked_into(model, network, X, build):
    assert isinstance(build(model, X, network=network)[0], LatentNetwork)


@every(MODELS, TABLE, GREY)
def test_every_unit_of_every_latent_layer_reaches_x(model, network, X, build):
    net, _ = build(model, X, network=network)
    noise, layers = RememberedNoise(), range(1, net.n_layers + 1)
    net(None, Draws(noise, 50, layers, below="sample")).parameters.square().sum().backward()
    n_units = sum(np.prod(shape) for shape in net.latent_shapes)
    assert sum(z[0].numel() for z in noise.drawn.values()) == n_units
    for name, z in noise.drawn.items():
        assert (z.grad.abs().sum(0) > 0).all(), name


@every(MODELS, TABLE, GREY)
@torch.no_grad()
def test_x_reaches_every_unit_of_the_posterior_of_every_layer(model, network, X, build):
    net, x = build(model, X, network=network)
    means = net.encode(x, Noise(0, shared=True))
    assert [z.shape[1:] for z in means] == [torch.Size(shape) for shape in net.latent_shapes]
    assert all((z.std(0) > 0).all() for z in means)


@every(MODELS, TABLE, GREY)
def test_every_parameter_gets_a_gradient_from_the_bound(model, network, X, build):
    net, x = build(model, X, network=network)
    ELBO(free_bits=0, warmup=0)(net, x, Noise(0), Progress(1, 1)).backward()
    dead = [
        name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert dead == []


@every(DEEP, TABLE, GREY)
@pytest.mark.parametrize("prior_layers", [{1}, {2}, {3}, {1, 3}, {1, 2, 3}])
@torch.no_grad()
def test_layers_from_the_prior_have_a_ratio_of_zero_and_the_others_do_not(
    model, network, X, prior_layers, build
):
    net, x = build(model, X, network=network)
    ratios = net.terms(x, Noise(0), prior_layers).log_ratios()
    for layer in (1, 2, 3):
        assert bool((ratios[layer - 1] == 0).all()) == (layer in prior_layers)


# ----------------------------------------------------------------------------------- fitted models


@every(DEEP, TABLE, GREY)
@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_any_depth_gives_finite_bounds_of_every_layer(model, network, X, n_layers, make):
    fitted = make(model, (2, 3, 2, 2)[:n_layers], network=network).fit(X)
    bounds, nll = fitted.bounds(X)
    assert bounds.shape == nll.shape == (n_layers, len(X))
    assert np.isfinite(bounds).all() and np.isfinite(nll).all() and (nll >= 0).all()


# A single epoch on a few images may make a network worse than it was.
@pytest.mark.filterwarnings("ignore:Training diverged:sklearn.exceptions.ConvergenceWarning")
@every([model for model in DEEP if has(model, "n_spatial_layers")], GREY)
@pytest.mark.parametrize("n_spatial_layers", [0, 1, 2, 3])
def test_any_number_of_layers_can_be_maps(model, network, X, n_spatial_layers, make):
    fitted = make(model, network=network, n_spatial_layers=n_spatial_layers).fit(X)
    maps = [len(z.shape) == 4 for z in fitted.encode(X)]
    assert maps == [layer < n_spatial_layers for layer in range(3)]
    assert np.isfinite(fitted.bounds(X)[0]).all()


@every(MODELS, TABLE, GREY)
def test_what_is_reconstructed_or_drawn_has_the_shape_of_x(model, network, X, make):
    fitted = make(model, network=network).fit(X)
    n_layers = fitted.network_.n_layers
    assert fitted.sample(3).shape == (3, *X.shape[1:])
    for k in range(n_layers):
        assert fitted.reconstruct(X, k=k).shape == X.shape
    for k in range(n_layers + 1):
        assert fitted.partial_sample(X[:5], k=k, n_samples=2).shape == (2, 5, *X.shape[1:])


@every(MODELS, TABLE, GREY)
def test_encode_gives_the_means_of_every_layer_and_transform_those_of_the_top(
    model, network, X, make
):
    fitted = make(model, network=network).fit(X)
    latents, top = fitted.encode(X), fitted.transform(X)
    shapes = [(len(X), *shape) for shape in fitted.network_.latent_shapes]
    assert [z.shape for z in latents] == shapes
    np.testing.assert_array_equal(top, latents[-1].reshape(len(X), -1))
    assert top.shape[1] == len(fitted.get_feature_names_out())


@pytest.mark.parametrize("model", MODELS)
def test_channels_first_and_last_are_the_same_to_the_network(model, make):
    last, channels_first = make(model).fit(COLOUR), np.moveaxis(COLOUR, 3, 1)
    first = make(model).fit(channels_first)
    np.testing.assert_array_equal(last.score_samples(COLOUR), first.score_samples(channels_first))
    for one, other in (
        (last.reconstruct(COLOUR), first.reconstruct(channels_first)),
        (last.sample(2, random_state=0), first.sample(2, random_state=0)),
    ):
        np.testing.assert_array_equal(np.moveaxis(one, 3, 1), other)


@every(MODELS, GREY)
@pytest.mark.parametrize("side", [(1, 8), (2, 2), (5, 3), (28, 7)])
def test_images_may_be_tiny_or_oblong(model, network, X, side, make):
    X = RNG.integers(0, 256, (12, *side), dtype=np.uint8)
    assert np.isfinite(make(model, network=network).fit(X).score_samples(X)).all()


@pytest.mark.parametrize(
    "model, X, n_layers",
    [
        (HVAE, COLOUR, 3),
        (LadderVAE, TABLE, 3),
        (BIVA, GREY, 3),
        (BIVA, COLOUR, 10),
        (SeReVAE, TABLE, 3),
        (SeReVAE, GREY, 10),
        (SeReVAE, COLOUR, 10),
        (SeReMAF, TABLE, 3),
        (SeReMAF, GREY, 5),
        (SeReMAF, COLOUR, 5),
        (VAE, GREY, 1),
    ],
)
def test_the_number_of_layers_by_default(model, X, n_layers):
    assert model().count_layers(X) == n_layers


@pytest.mark.parametrize("model", [BIVA, SeReVAE])
def test_the_ten_layers_of_the_default_can_be_fitted(model):
    fitted = small(model, latent_dims="auto", max_epochs=1).fit(COLOUR)
    assert np.isfinite(fitted.bounds(COLOUR)[0]).all()
    assert len(fitted.encode(COLOUR)) == len(fitted.history_["kl"][-1]) == 10


# ------------------------------------------------------------------------------ means and samples


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: model.__name__)
def fitted(request, make):
    return make(request.param, width=16).fit(TABLE)


def test_means_of_layers_and_reconstructions_do_not_depend_on_the_noise(fitted):
    other = copy.copy(fitted)
    other.seed_ = fitted.seed_ + 1
    for ours, others in zip(fitted.encode(TABLE), other.encode(TABLE), strict=True):
        np.testing.assert_array_equal(ours, others)
    for k in range(fitted.network_.n_layers):
        np.testing.assert_array_equal(fitted.reconstruct(TABLE, k=k), other.reconstruct(TABLE, k=k))


def test_samples_from_the_prior_alone_do_not_depend_on_x(fitted):
    k = fitted.network_.n_layers
    ours, others = (fitted.partial_sample(X, k=k, random_state=0) for X in (TABLE, -TABLE))
    np.testing.assert_array_equal(ours, others)


def test_samples_of_every_layer_from_the_posterior_depend_on_x(fitted):
    ours, others = (fitted.partial_sample(X, k=0, random_state=0) for X in (TABLE, -TABLE))
    assert (ours != others).all()


@pytest.mark.parametrize("k", [0, 1])
def test_partial_samples_differ_and_follow_the_random_state(fitted, k):
    one, again, other = (
        fitted.partial_sample(TABLE, k=k, n_samples=2, random_state=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert (one[0] != one[1]).all() and (one != other).all()


def test_a_wrong_k_of_partial_samples_is_refused_with_the_range(fitted):
    n_layers = fitted.network_.n_layers
    for k in (-1, n_layers + 1, 0.5):
        with pytest.raises(ValueError, match=f"k must be an integer from 0 to {n_layers}, since"):
            fitted.partial_sample(TABLE, k=k)


# -------------------------------------------------------------------------------- wrong parameters


@pytest.mark.parametrize("model", DEEP)
@pytest.mark.parametrize(
    "X, options, message",
    [
        (TABLE, {"network": "resnet"}, "'resnet' is for images.*Use network='auto'"),
        (TABLE, {"latent_dims": ()}, "latent_dims must be a tuple of positive integers"),
        (TABLE, {"latent_dims": (3, 0)}, r"latent_dims must be .*got \(3, 0\)"),
        (TABLE, {"latent_dims": (3, 1.5)}, "latent_dims must be"),
        (TABLE, {"latent_dims": 3}, "latent_dims"),
        (TABLE, {"width": 0}, "width"),
        (TABLE, {"network": "transformer"}, "network"),
        (TABLE, {"max_epochs": 0}, "max_epochs"),
        (TABLE, {"device": "nowhere"}, "device='nowhere' cannot be used here"),
        (TABLE, {"objective": ELBO(free_bits=(1.0, 2.0))}, "2 entries.* 3 latent layers"),
    ],
)
def test_a_wrong_parameter_is_refused_with_its_value_and_a_remedy(model, X, options, message, make):
    with pytest.raises(ValueError, match=message):
        make(model).set_params(**options).fit(X)


@pytest.mark.parametrize("model", [model for model in MODELS if has(model, "likelihood")])
def test_a_likelihood_of_other_data_is_refused_with_the_one_to_use(model, make):
    message = "likelihood='bernoulli' needs uint8 values.*gaussian"
    with pytest.raises(ValueError, match=message):
        make(model, likelihood="bernoulli").fit(TABLE)


@pytest.mark.parametrize("latent_dim", [0, 2.5, (3,)])
def test_a_wrong_number_of_units_of_the_baseline_is_refused(latent_dim):
    with pytest.raises(ValueError, match="The 'latent_dim' parameter of VAE"):
        VAE(latent_dim).fit(TABLE)
