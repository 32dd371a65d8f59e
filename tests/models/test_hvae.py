"""Every part of the network has an effect, in every architecture and for any kind of data."""

import numpy as np
import pytest
import torch
from torch import nn

from skood import ELBO, HVAE, CollapseWarning, Trainer
from skood.core.batches import to_tensor
from skood.core.noise import Noise
from skood.core.protocols import Network, Progress
from skood.nn.blocks import WeightNorm
from skood.nn.likelihoods import Bernoulli, DiscretizedLogistic, Gaussian

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 5))
GREY = RNG.integers(0, 256, (12, 9, 11), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 9, 11, 3), dtype=np.uint8)
# A network that has seen a dozen rows for one epoch may well not use a layer.
UNTRAINED = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
DEPTHS = [
    pytest.param(network, X, n_layers, n_spatial, id=f"{network}-{name}-{n_layers}-{n_spatial}")
    for network in ("mlp", "patch", "resnet")
    for name, X in {"table": TABLE, "grey": GREY, "colour": COLOUR}.items()
    if (network == "mlp") == (name == "table")
    for n_layers in range(1, 5)
    for n_spatial in (range(min(n_layers, 2) + 1) if X.ndim > 2 else [0])
]
ARCHITECTURES = pytest.mark.parametrize("network", ["mlp", "patch", "resnet"])


class OneLayerNoise:
    """Noise that is a constant for one layer's latent, and zero elsewhere."""

    shared, device = True, torch.device("cpu")

    def __init__(self, layer, value):
        self.name, self.value = f"z{layer}", value

    def normal(self, name, shape):
        return torch.full(shape, self.value if name == self.name else 0.0)

    def dither(self, shape):
        return torch.full(shape, 0.5)


def hvae(latent_dims=(3, 2, 2), **options):
    options = {"width": 4, "max_epochs": 1, "trainer": Trainer(patience=None)} | options
    return HVAE(latent_dims, random_state=0, **options)


def build(network, latent_dims=(3, 2, 2)):
    """An untrained network, with rows for it."""
    X, kind = (TABLE, "real") if network == "mlp" else (GREY, "bytes")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = hvae(latent_dims, network=network, width=8)._build_network(X, kind).double()
    x = to_tensor(X, torch.device("cpu")).double()
    with torch.no_grad():
        built.initialise_from_data(x, Noise(1))
    return built, x


@ARCHITECTURES
def test_the_network_is_a_network(network):
    assert isinstance(build(network)[0], Network)


@ARCHITECTURES
@torch.no_grad()
def test_every_skip_has_an_effect(network):
    net, x = build(network)
    stages = [*net.up[1:], *net.down[:-1]]
    before = net.terms(x, Noise(0, shared=True)).log_weight
    assert len(stages) == 4
    for stage in stages:
        skip = stage.join.adapters[1]
        weights = [p.clone() for p in skip.parameters()]
        for p in skip.parameters():
            p.add_(torch.linspace(0.5, 1, p.numel()).view_as(p))
        after = net.terms(x, Noise(0, shared=True)).log_weight
        assert (after != before).any()
        for p, weight in zip(skip.parameters(), weights, strict=True):
            p.copy_(weight)


@ARCHITECTURES
@pytest.mark.parametrize("layer", [1, 2, 3])
@torch.no_grad()
def test_the_latent_of_every_layer_reaches_x(network, layer):
    net, x = build(network)
    values = [
        net.terms(x, OneLayerNoise(layer, value), {1, 2, 3}, prior_mean=False).log_px
        for value in (0.0, 1.0)
    ]
    assert (values[0] != values[1]).any()


@ARCHITECTURES
@pytest.mark.parametrize("layer", [1, 2, 3])
@torch.no_grad()
def test_x_reaches_the_posterior_of_every_layer(network, layer):
    net, x = build(network)
    means = net.encode(x, OneLayerNoise(0, 0.0))[layer - 1]
    assert (means.std(0) > 0).all()


@ARCHITECTURES
def test_every_parameter_gets_a_gradient_from_the_bound(network):
    net, x = build(network)
    loss = ELBO(free_bits=0, warmup=0)(net, x, Noise(0), Progress(1, 1))
    loss.backward()
    dead = [
        name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert dead == []


@ARCHITECTURES
@pytest.mark.parametrize("prior_layers", [{1}, {2}, {3}, {1, 3}, {1, 2, 3}])
@torch.no_grad()
def test_layers_from_the_prior_have_a_ratio_of_zero_and_the_others_do_not(network, prior_layers):
    net, x = build(network)
    ratios = net.terms(x, Noise(0), prior_layers).log_ratios()
    for layer in (1, 2, 3):
        assert bool((ratios[layer - 1] == 0).all()) == (layer in prior_layers)


@ARCHITECTURES
@torch.no_grad()
def test_layers_below_do_not_see_whether_those_above_come_from_the_prior(network):
    """log q(z1 | x) is the same in L and in L<1, in which the layers above 1 are the prior's."""
    net, x = build(network)
    posteriors = [
        net.terms(x, Noise(0, shared=True), prior).layers[0].log_posterior for prior in ({}, {2, 3})
    ]
    torch.testing.assert_close(*posteriors)


@UNTRAINED
@pytest.mark.parametrize("network, X, n_layers, n_spatial_layers", DEPTHS)
def test_any_depth_gives_finite_scores_and_rows_of_the_right_shape(
    network, X, n_layers, n_spatial_layers
):
    dims = (2, 3, 2, 2)[:n_layers]
    model = hvae(dims, network=network, n_spatial_layers=n_spatial_layers).fit(X)
    bounds, nll = model.bounds(X)
    assert bounds.shape == nll.shape == (n_layers, len(X))
    assert np.isfinite(bounds).all() and np.isfinite(nll).all()
    assert model.sample(3).shape == (3, *X.shape[1:])
    assert model.reconstruct(X, k=n_layers - 1).shape == X.shape
    assert len(model.transform(X)) == len(X)
    assert model.transform(X).shape[1] == len(model.get_feature_names_out())


@UNTRAINED
@pytest.mark.parametrize("network", ["patch", "resnet"])
def test_channels_first_and_last_are_the_same_to_the_network(network):
    last = hvae(network=network).fit(COLOUR)
    channels_first = np.moveaxis(COLOUR, 3, 1)
    first = hvae(network=network).fit(channels_first)
    np.testing.assert_array_equal(last.score_samples(COLOUR), first.score_samples(channels_first))
    assert first.sample(2).shape == (2, 3, 9, 11)
    assert first.reconstruct(channels_first).shape == channels_first.shape


@UNTRAINED
@pytest.mark.parametrize("side", [(1, 8), (2, 2), (5, 3), (28, 7)])
@pytest.mark.parametrize("network", ["patch", "resnet"])
def test_images_may_be_tiny_or_oblong(network, side):
    X = RNG.integers(0, 256, (12, *side), dtype=np.uint8)
    assert np.isfinite(hvae(network=network).fit(X).score_samples(X)).all()


@UNTRAINED
@pytest.mark.parametrize(
    "X, likelihood",
    [
        (GREY, Bernoulli),
        (COLOUR, DiscretizedLogistic),
        (GREY / 255, Bernoulli),
        (COLOUR / 255, DiscretizedLogistic),
        (GREY / 100 - 1, Gaussian),
        (COLOUR / 100 - 1, Gaussian),
        (TABLE, Gaussian),
        (TABLE > 0, Gaussian),
    ],
    ids=["grey", "colour", "grey 0-1", "colour 0-1", "grey real", "colour real", "table", "bool"],
)
def test_the_likelihood_follows_from_the_data(X, likelihood):
    assert type(hvae().fit(X).network_.likelihood) is likelihood


@UNTRAINED
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "discretized_logistic"])
@pytest.mark.parametrize(
    "X", [GREY, GREY / 255, COLOUR, TABLE > 0], ids=["grey", "grey 0-1", "colour", "bool"]
)
def test_any_likelihood_can_be_asked_for_and_draws_on_the_scale_of_the_data(X, likelihood):
    model = hvae(likelihood=likelihood).fit(X)
    sample, mean = model.sample(5, random_state=0), model.reconstruct(X)
    assert np.isfinite(model.score_samples(X)).all()
    if likelihood != "gaussian":
        highest = 255 if X.dtype == np.uint8 else 1
        assert min(sample.min(), mean.min()) >= 0
        assert highest / 2 < max(sample.max(), mean.max()) <= highest + 1e-4


@pytest.mark.parametrize(
    "X, options, message",
    [
        (TABLE, {"likelihood": "bernoulli"}, "likelihood='bernoulli' needs uint8 values.*gaussian"),
        (GREY / 100, {"likelihood": "discretized_logistic"}, r"from 0 to 2\.\d+\. Rescale X"),
        (GREY, {"network": "mlp"}, "'mlp' is for tables, but X holds images. Use network='auto'"),
        (TABLE, {"network": "patch"}, "'patch' is for images.*Use network='auto'"),
        (TABLE, {"network": "resnet"}, "'resnet' is for images.*Use network='auto'"),
        (GREY, {"n_spatial_layers": 4}, "=4 is more than the 3 layers that can be maps here"),
        (TABLE, {"n_spatial_layers": 1}, "=1 is more than the 0 layers that can be maps here"),
        (TABLE, {"latent_dims": ()}, "latent_dims must be a tuple of positive integers"),
        (TABLE, {"latent_dims": (3, 0)}, r"latent_dims must be .*got \(3, 0\)"),
        (TABLE, {"latent_dims": (3, 1.5)}, "latent_dims must be"),
        (TABLE, {"latent_dims": 3}, "latent_dims"),
        (TABLE, {"width": 0}, "width"),
        (TABLE, {"network": "transformer"}, "network"),
        (TABLE, {"max_epochs": 0}, "max_epochs"),
        (TABLE, {"device": "nowhere"}, "device='nowhere' cannot be used here"),
        (TABLE, {"trainer": Trainer(optimizer="sgd")}, "optimizer"),
        (TABLE, {"objective": ELBO(free_bits=(1.0, 2.0))}, "2 entries.* 3 latent layers"),
    ],
)
def test_a_wrong_parameter_is_refused_with_its_value_and_a_remedy(X, options, message):
    with pytest.raises(ValueError, match=message):
        hvae(**options).fit(X)


@pytest.mark.parametrize("layer", [1, 2])
def test_a_collapsed_layer_is_named_in_a_warning(layer):
    class Collapsed(HVAE):
        """The posterior of a layer is the standard normal, and so is its prior."""

        def _build_network(self, X, kind):
            network = super()._build_network(X, kind)
            for head in (network.posterior[layer - 1], *network.prior):
                for p in head.parameters():
                    nn.init.zeros_(p).requires_grad_(False)
            return network

    model = Collapsed((3, 2), width=4, max_epochs=1, random_state=0)
    with pytest.warns(CollapseWarning, match=f"layer {layer} of Collapsed .*free_bits") as record:
        model.fit(TABLE)
    assert [str(w.message).count("Latent layer") for w in record] == [1]
    assert model.history_["active_units"][-1][layer - 1] == 0


def test_a_penalty_on_information_makes_the_layers_collapse():
    class Strangle(ELBO):
        """The weight of the divergence is 1000."""

        def __call__(self, network, x, noise, progress):
            return 1000 * self.regularisation(network.terms(x, noise))

    model = hvae((2,), objective=Strangle(free_bits=0), learning_rate=0.05, batch_size=10)
    with pytest.warns(CollapseWarning, match="layer 1 of HVAE"):
        model.set_params(max_epochs=20, trainer__clip_norm=1e9).fit(TABLE)
    assert model.history_["active_units"][-1] == [0]


def test_only_the_resnet_is_weight_normalised_and_all_of_its_layers_are():
    for name, normalised in {"mlp": False, "patch": False, "resnet": True}.items():
        modules = list(build(name)[0].modules())
        n_layers = sum(isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) for m in modules)
        n_normalised = sum(isinstance(m, WeightNorm) for m in modules)
        assert n_normalised == (n_layers if normalised else 0)


def test_latent_dims_and_spatial_layers_set_the_shapes_of_the_latents():
    shapes = {
        ("mlp", 0): [(3,), (2,), (2,)],
        ("patch", 1): [(3, 5, 6), (2,), (2,)],
        ("resnet", 2): [(3, 6, 6), (2, 3, 3), (2,)],
    }
    for (network, n_spatial), expected in shapes.items():
        X = TABLE if network == "mlp" else GREY
        model = hvae(network=network, n_spatial_layers=n_spatial)
        kind = "real" if network == "mlp" else "bytes"
        assert model._build_network(X, kind).latent_shapes == expected
