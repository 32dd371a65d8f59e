"""What is HVAE's own: its skips, its shapes, and the layers that it may lose."""

import numpy as np
import pytest
import torch
from torch import nn

from skood import ELBO, HVAE, CollapseWarning
from skood.core.noise import Noise
from skood.nn.layers import WeightNorm

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 5))
GREY = RNG.integers(0, 256, (12, 9, 11), dtype=np.uint8)
ARCHITECTURES = pytest.mark.parametrize("network", ["mlp", "patch", "resnet"])


def data(network):
    return TABLE if network == "mlp" else GREY


@ARCHITECTURES
@torch.no_grad()
def test_every_skip_has_an_effect(network, build):
    net, x = build(HVAE, data(network), network=network)
    stages = [*net.inference.stages[1:], *net.generative.stages[:-1]]
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


@pytest.mark.parametrize("layer", [1, 2])
def test_a_collapsed_layer_is_named_in_a_warning(layer):
    class Collapsed(HVAE):
        """The posterior of a layer is the standard normal, and so is its prior."""

        def _build_network(self, rows):
            network = super()._build_network(rows)
            for head in (network.inference.heads[layer - 1], *network.generative.heads):
                for p in head.parameters():
                    nn.init.zeros_(p).requires_grad_(False)
            return network

    model = Collapsed((3, 2), width=4, max_epochs=1, random_state=0)
    with pytest.warns(CollapseWarning, match=f"layer {layer} of Collapsed .*free_bits") as record:
        model.fit(TABLE)
    assert [str(w.message).count("Latent layer") for w in record] == [1]
    assert model.history_["active_units"][-1][layer - 1] == 0


def test_a_penalty_on_information_makes_the_layers_collapse(make):
    class Strangle(ELBO):
        """The weight of the divergence is 1000."""

        def __call__(self, network, x, noise, progress):
            return 1000 * self.regularisation(network.terms(x, noise))

    objective = Strangle(free_bits=0)
    model = make(HVAE, (2,), objective=objective, learning_rate=0.05, batch_size=10)
    with pytest.warns(CollapseWarning, match="layer 1 of HVAE"):
        model.set_params(max_epochs=20, trainer__clip_norm=1e9, trainer__patience=None).fit(TABLE)
    assert model.history_["active_units"][-1] == [0]


@ARCHITECTURES
def test_only_the_resnet_is_weight_normalised_and_all_of_its_layers_are(network, build):
    modules = list(build(HVAE, data(network), network=network)[0].modules())
    n_layers = sum(isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) for m in modules)
    n_normalised = sum(isinstance(m, WeightNorm) for m in modules)
    assert n_normalised == (n_layers if network == "resnet" else 0)


@pytest.mark.parametrize(
    "network, n_spatial_layers, shapes",
    [
        ("mlp", 0, [(3,), (2,), (2,)]),
        ("patch", 1, [(3, 5, 6), (2,), (2,)]),
        ("resnet", 2, [(3, 6, 6), (2, 3, 3), (2,)]),
    ],
)
def test_latent_dims_and_spatial_layers_set_the_shapes_of_the_latents(
    network, n_spatial_layers, shapes, build
):
    options = {"network": network, "n_spatial_layers": n_spatial_layers}
    assert build(HVAE, data(network), **options)[0].latent_shapes == shapes


@pytest.mark.parametrize(
    "X, options, message",
    [
        (GREY, {"network": "mlp"}, "'mlp' is for tables, but X holds images. Use network='auto'"),
        (TABLE, {"network": "patch"}, "'patch' is for images.*Use network='auto'"),
        (GREY, {"n_spatial_layers": 4}, "=4 is more than the 3 layers that can be maps here"),
        (TABLE, {"n_spatial_layers": 1}, "=1 is more than the 0 layers that can be maps here"),
    ],
)
def test_an_architecture_that_does_not_fit_is_refused_with_a_remedy(X, options, message, make):
    with pytest.raises(ValueError, match=message):
        make(HVAE, **options).fit(X)
