"""Which latents the posterior of a layer depends on: change one and see, in the real networks."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from skood import BIVA, HVAE, LadderVAE, SeReVAE
from skood.core.noise import Noise
from skood.models._ladder_vae import precision_weighted
from skood.nn.networks.draws import Draws
from skood.nn.networks.evidence import Evidence

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 5))
GREY = RNG.integers(0, 256, (12, 9, 11), dtype=np.uint8)
LAYERS = (1, 2, 3)


@dataclass(frozen=True)
class Given(Draws):
    """Latents of q with given values, by name, and zero where none is given."""

    values: dict = field(default_factory=dict)

    def infer(self, layer, q, path=""):
        return q.mean * 0 + self.values.get(f"z{layer}{path}", 0.0)


@pytest.fixture(params=["mlp", "patch", "resnet"])
def network(request, build):
    """``network(model)`` is an untrained network of three layers and rows, by architecture."""

    def of(model, **options):
        name = "mlp" if model is SeReVAE and request.param == "patch" else request.param
        X = TABLE if request.param == "mlp" else GREY
        return build(model, X, network=name, **options)

    return of


@torch.no_grad()
def run(net, **values):
    """A pass through random x with given latents."""
    x = torch.randn(8, *net.padded, generator=torch.Generator().manual_seed(0)).double()
    return net(Evidence(x, net.evidence_of(x, 0)), Given(Noise(0), 8, values=values))


def log_posteriors(net, halves, **values):
    """log q of each latent by name; "z1down" is the half of "z1" that is inferred downward."""
    found = {}
    for layer, terms in enumerate(run(net, **values).layers, start=1):
        n_parts = 2 if halves and layer < net.n_layers else 1
        parts = terms.log_posterior.chunk(n_parts, dim=1)
        found |= dict(zip((f"z{layer}", f"z{layer}down"), parts, strict=False))
    return found


def dependencies(net, halves=False):
    """All pairs (a, b) such that q of the latent a depends on the value of the latent b."""
    before = log_posteriors(net, halves)
    pairs = set()
    for b in before:
        after = log_posteriors(net, halves, **{b: 1.0})
        pairs |= {(a, b) for a in before if a != b and not torch.equal(after[a], before[a])}
    return pairs


ABOVE = {(f"z{a}", f"z{b}") for a, b in itertools.product(LAYERS, LAYERS) if a < b}
BELOW = {(a, b) for b, a in ABOVE}


def test_bottom_up_inference_depends_on_the_latents_below_only(network):
    assert dependencies(network(HVAE)[0]) == BELOW


@pytest.mark.parametrize("model", [LadderVAE, SeReVAE])
def test_top_down_inference_depends_on_the_latents_above_only(model, network):
    assert dependencies(network(model)[0]) == ABOVE


def test_one_half_is_inferred_from_below_and_the_other_from_above(network):
    down = {("z2down", "z3"), ("z1down", "z3"), ("z1down", "z2"), ("z1down", "z2down")}
    with_x = {("z2down", "z1")}  # among the features of x, which both paths share
    assert dependencies(network(BIVA)[0], halves=True) == BELOW | down | with_x


# ------------------------------------------------------------------------------ layers of the prior


@torch.no_grad()
def densities(net, x, noise, *arguments):
    return [layer.log_posterior for layer in net.terms(x, noise, *arguments).layers]


@pytest.mark.parametrize("model", [LadderVAE, SeReVAE])
@pytest.mark.parametrize("below", ["mean", "sample"])
def test_top_down_layers_above_k_do_not_see_that_those_below_come_from_the_prior(
    model, below, network
):
    net, x = network(model)
    noise = Noise(0, shared=True)
    expected = densities(net, x, noise)
    for k in (1, 2):
        found = densities(net, x, noise, range(1, k + 1), below)
        assert all(map(torch.equal, found[k:], expected[k:]))


def test_bottom_up_layers_below_l_do_not_see_that_those_above_come_from_the_prior(network):
    net, x = network(HVAE)
    noise = Noise(0, shared=True)
    expected = densities(net, x, noise)
    for l in (2, 3):
        found = densities(net, x, noise, range(l, 4))
        assert all(map(torch.equal, found[: l - 1], expected[: l - 1]))


@pytest.mark.parametrize("model", [HVAE, BIVA])
@pytest.mark.parametrize("k", [1, 2])
def test_where_the_prior_is_sampled_samples_of_q_are_passed_upward(model, k, network):
    net, x = network(model)
    noise = Noise(0, shared=True)
    found = densities(net, x, noise, range(1, k + 1), "sample")[-1]
    assert torch.equal(found, densities(net, x, noise)[-1])


class TopNoise(Noise):
    """Zero but for the draws of the top layer of three."""

    def normal(self, name, shape):
        return super().normal(name, shape) * name.startswith("z3")


@pytest.mark.parametrize("model", [HVAE, BIVA])
def test_where_the_prior_gives_its_mean_means_of_q_are_passed_upward(model, network):
    net, x = network(model)
    expected = densities(net, x, TopNoise(0, shared=True))[-1]
    noise = Noise(0, shared=True)
    assert torch.equal(densities(net, x, noise, {1, 2}, "mean")[-1], expected)
    assert not torch.equal(densities(net, x, noise)[-1], expected)


# ------------------------------------------------------------------------------ merging in a ladder


def test_precision_weighting_gives_the_product_of_two_densities():
    first, second = Normal(torch.tensor(1.0).double(), 2.0), Normal(torch.tensor(-3.0).double(), 1)
    merged = precision_weighted(first, second)
    z = torch.linspace(-9, 9, 50, dtype=torch.float64)
    product = first.log_prob(z) + second.log_prob(z) - merged.log_prob(z)
    torch.testing.assert_close(product, product[:1].expand(50), rtol=0, atol=1e-12)
    assert merged.mean.item() == pytest.approx((1 / 4 - 3) / (1 / 4 + 1))
    assert merged.variance.item() == pytest.approx(1 / (1 / 4 + 1))


# ---------------------------------------------------------------------------------- self-reflection


def test_the_independent_twin_infers_every_layer_from_x_alone(network):
    assert dependencies(network(SeReVAE, self_reflective=False)[0]) == set()


def test_self_reflective_inference_sees_the_latent_directly_above_and_none_further_up(network):
    net, _ = network(SeReVAE)
    first = run(net, z3=0.5)
    with torch.no_grad():  # another z3, but the same z2
        z3 = torch.full_like(first.latents[2], -0.5)
        base = net.bijections[1].inverse(first.latents[1], z3)
    second = run(net, z3=-0.5, z2=base)
    torch.testing.assert_close(second.latents[1], first.latents[1])
    torch.testing.assert_close(second.layers[0].log_posterior, first.layers[0].log_posterior)
    torch.testing.assert_close(second.layers[0].log_prior, first.layers[0].log_prior)


@pytest.mark.parametrize("self_reflective", [True, False])
def test_the_prior_of_a_base_variable_depends_on_the_latent_above_but_for_the_twin(
    self_reflective, network
):
    net, _ = network(SeReVAE, self_reflective=self_reflective)
    low, high = (run(net, z3=z3).layers for z3 in (-1.0, 1.0))  # every e2 and e1 is zero
    for layer in (0, 1):
        assert torch.equal(low[layer].log_prior, high[layer].log_prior) != self_reflective


@pytest.mark.parametrize("self_reflective", [True, False])
def test_the_latent_above_moves_the_one_below_in_both_twins(self_reflective, network):
    net, _ = network(SeReVAE, self_reflective=self_reflective)
    low, high = (run(net, z3=z3).latents for z3 in (-1.0, 1.0))
    assert (low[1] != high[1]).any() and (low[0] != high[0]).any()


def test_the_decoder_sees_every_unit_of_every_layer(network):
    net, _ = network(SeReVAE)
    z = torch.randn(50, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net.decoder(z.requires_grad_()).square().sum().backward()
    assert (z.grad.abs().sum(0) > 0).all()
