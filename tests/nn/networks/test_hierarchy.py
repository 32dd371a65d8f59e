"""What hierarchical networks share: where latents come from, both paths, padding."""

import math

import pytest
import torch
from torch.distributions import Normal

from skood.core.noise import Noise
from skood.core.protocols import LatentNetwork, SharedInference
from skood.nn.likelihoods import DiscretizedLogisticMixture, Gaussian
from skood.nn.networks.draws import Draws, GivenDraws
from skood.nn.networks.evidence import Evidence
from skood.nn.networks.hierarchy import (
    GenerativePath,
    HierarchicalNetwork,
    InferencePath,
    Pass,
    gaussian_head,
)
from skood.nn.plans import plan_network

N, UNITS = 50, 4
X_SHAPES = {"mlp": (5,), "patch": (1, 9, 11), "resnet": (1, 9, 11)}
NETWORKS = pytest.mark.parametrize("network", X_SHAPES)


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def normal(mean, std=0.5):
    return Normal(torch.full((N, UNITS), mean, dtype=torch.float64), std)


BELOW = pytest.mark.parametrize("below", ["mean", "sample"])
P, Q = normal(-7.0), normal(3.0)


def draws(**options):
    return Draws(Noise(0).pinned(), N, **options)


def never():
    raise AssertionError("q was called, but the layer comes from the prior")


def is_sample_of(z, distribution):
    """Whether N x UNITS numbers lie around the mean as they should, and are not the mean."""
    standardised = (z - distribution.mean) / distribution.stddev
    return 0.8 < standardised.std() < 1.2 and abs(standardised.mean()) < 4 / math.sqrt(z.numel())


@pytest.mark.parametrize(
    "options, is_mean",
    [
        ({}, False),
        ({"posterior_mean": True}, True),
        ({"prior_layers": {2}}, True),
        ({"prior_layers": {2}, "below": "sample"}, False),
        ({"prior_layers": {1, 3}}, False),
        ({"prior_layers": {1, 3}, "below": "sample", "posterior_mean": True}, True),
    ],
)
def test_inference_draws_samples_but_means_where_all_are_means_or_the_prior_s_stands(
    options, is_mean
):
    z = draws(**options).infer(2, Q)
    assert torch.equal(z, Q.mean) == is_mean
    assert is_mean or is_sample_of(z, Q)


def test_a_layer_from_the_posterior_has_the_log_densities_of_its_draw():
    z, terms = draws().generate(2, P, lambda: Q)
    assert is_sample_of(z, Q)
    torch.testing.assert_close(terms.log_prior, P.log_prob(z))
    torch.testing.assert_close(terms.log_posterior, Q.log_prob(z))


def test_a_draw_that_was_inferred_before_is_kept():
    inferred = torch.randn(N, UNITS, dtype=torch.float64)
    z, terms = draws().generate(2, P, lambda: Q, inferred)
    assert z is inferred
    torch.testing.assert_close(terms.log_ratio, Q.log_prob(inferred) - P.log_prob(inferred))


@pytest.mark.parametrize("inferred", [None, Q.mean])
@BELOW
def test_a_layer_from_the_prior_ignores_q_and_has_no_terms(below, inferred):
    z, terms = draws(prior_layers={2}, below=below).generate(2, P, never, inferred)
    assert torch.equal(z, P.mean) if below == "mean" else is_sample_of(z, P)
    assert (terms.log_prior == 0).all() and (terms.log_posterior == 0).all()
    assert terms.log_ratio.shape == z.shape


def test_the_posterior_mean_does_not_reach_layers_from_the_prior():
    options = {"prior_layers": {2}, "below": "sample", "posterior_mean": True}
    assert is_sample_of(draws(**options).generate(2, P, never)[0], P)


def test_generation_takes_the_mean_of_q_where_it_should():
    z, terms = draws(posterior_mean=True).generate(2, P, lambda: Q)
    assert torch.equal(z, Q.mean)
    torch.testing.assert_close(terms.log_posterior, Q.log_prob(Q.mean))


def test_a_given_posterior_stands_in_the_place_of_inference():
    given = GivenDraws(Noise(0).pinned(), N, posteriors={"z2down": Q})
    z, terms = given.generate(2, P, never, inferred=P.mean, path="down")
    assert torch.equal(z, draws().infer(2, Q, "down"))
    torch.testing.assert_close(terms.log_ratio, Q.log_prob(z) - P.log_prob(z))


def test_the_gradient_for_a_given_posterior_is_zero_at_every_draw_where_it_is_right():
    mean, std = P.mean.clone().requires_grad_(), P.stddev.clone().requires_grad_()
    given = GivenDraws(Noise(0).pinned(), N, posteriors={"z1": Normal(mean, std)})
    _, terms = given.generate(1, P, never)
    for gradient in torch.autograd.grad(terms.log_ratio.sum(), [mean, std]):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("shared", [True, False])
def test_two_passes_with_the_same_noise_make_the_same_draw_of_a_layer(shared):
    noise = Noise(0, shared=True) if shared else Noise(0).pinned()
    inferred = Draws(noise, N).infer(2, Q)
    generated, _ = Draws(noise, N, {1}).generate(2, P, lambda: Q)
    assert torch.equal(inferred, generated)


def test_layers_and_paths_have_draws_of_their_own():
    source = draws()
    latents = [source.infer(1, Q), source.infer(2, Q), source.infer(2, Q, path="down")]
    latents.append(source.generate(1, P, lambda: Q, path="down")[0])
    assert len(torch.stack(latents).unique()) == 4 * N * UNITS


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("path", ["", "down"])
def test_a_sample_of_the_prior_is_independent_of_what_q_gave_for_the_layers_above(shared, path):
    """Else q of a layer above would know of numbers that L>k takes as unknown."""
    noise = Noise(0, shared=True) if shared else Noise(0).pinned()
    source, normal = Draws(noise, 1, {2}, below="sample"), Normal(torch.zeros(1, 400), 1.0)
    inferred, (generated, _) = (
        source.infer(2, normal, path),
        source.generate(2, normal, never, path=path),
    )
    correlation = torch.corrcoef(torch.cat([inferred, generated]))[0, 1]
    assert abs(correlation) < 4 / math.sqrt(400)


def test_the_standard_normal_has_a_row_for_each_row_and_the_type_of_its_example():
    p = draws().standard_normal((3, 2, 2), torch.full((1,), 7.0, dtype=torch.float64))
    assert p.mean.shape == p.stddev.shape == (N, 3, 2, 2) and p.mean.dtype == torch.float64
    assert (p.mean == 0).all() and (p.stddev == 1).all()


@pytest.mark.parametrize("latent", [(2,), (2, 3, 3), (2, 6, 6)])
def test_a_head_gives_a_gaussian_of_the_shape_of_the_latent(latent):
    q = gaussian_head((4, 6, 6), latent)(torch.randn(5, 4, 6, 6))
    assert q.mean.shape == q.stddev.shape == (5, *latent)
    assert (q.stddev > 0).all()


class Nothing(Draws):
    """Whatever is inferred is zero: only skips carry anything past a latent."""

    def infer(self, layer, q, path=""):
        return torch.zeros_like(q.mean)


def plan(network):
    return plan_network(
        X_SHAPES[network], network=network, latent_dims=(3, 2, 2), width=8, n_rows=1000
    )


def generative_path(network):
    shapes = plan(network)
    return GenerativePath(shapes, shapes.latents, (2, *shapes.padded[1:])).double()


def random_rows(*shape):
    return torch.randn(6, *shape, dtype=torch.float64)


def inferred(path, x, source):
    evidence = Evidence(x, path.evidence_of(x, source.n_means(len(path.stages))))
    return path(evidence, source)


@NETWORKS
@torch.no_grad()
def test_inference_gives_q_a_draw_and_features_of_every_layer(network):
    shapes = plan(network)
    x, source = random_rows(*shapes.padded), Draws(Noise(0, shared=True), 6)
    posteriors, latents, features = inferred(InferencePath(shapes).double(), x, source)
    assert [tuple(z.shape[1:]) for z in latents] == shapes.latents
    assert [tuple(f.shape[1:]) for f in features] == [upper for _, upper in shapes.stages]
    for layer, (q, z) in enumerate(zip(posteriors, latents, strict=True), start=1):
        assert torch.equal(z, source.infer(layer, q))


@NETWORKS
@torch.no_grad()
def test_skips_carry_x_past_the_latents_up_to_every_layer(network):
    shapes = plan(network)
    source = Nothing(Noise(0), 6)
    path, x = InferencePath(shapes).double(), random_rows(*shapes.padded)
    posteriors, _, _ = inferred(path, x, source)
    for q in posteriors:
        assert (q.mean.std(0) > 0).any()


@NETWORKS
@torch.no_grad()
def test_every_draw_has_an_effect_on_the_posteriors_above_it(network):
    shapes = plan(network)
    path, x = InferencePath(shapes).double(), random_rows(*shapes.padded)
    sources = [Draws(Noise(0), 6, posterior_mean=p) for p in (False, True)]
    means = [inferred(path, x, source)[0] for source in sources]
    differences = [(a.mean - b.mean).abs().max() for a, b in zip(*means, strict=True)]
    assert differences[0] == 0 and differences[1] > 0 and differences[2] > 0


@NETWORKS
@torch.no_grad()
def test_the_prior_of_the_top_is_the_standard_normal_and_the_others_see_what_lies_above(network):
    path, shapes = generative_path(network), plan(network)
    source, features = Draws(Noise(0), 6), None
    top = path.prior(3, None, source)
    assert (top.mean == 0).all() and (top.stddev == 1).all()
    for layer in (3, 2, 1):
        p = path.prior(layer, features, source)
        assert tuple(p.mean.shape) == (6, *shapes.latents[layer - 1])
        assert layer == 3 or (p.mean.std(0) > 0).any()
        features = path.descend(layer, random_rows(*shapes.latents[layer - 1]), features)
    assert tuple(path.output(features).shape) == (6, 2, *shapes.padded[1:])


@NETWORKS
@pytest.mark.parametrize("layer", [1, 2])
@torch.no_grad()
def test_features_descend_both_from_the_latent_and_past_it_by_a_skip(network, layer):
    path, shapes = generative_path(network), plan(network)
    z, above = random_rows(*shapes.latents[layer - 1]), random_rows(*shapes.stages[layer][0])
    before = path.descend(layer, z, above)
    assert tuple(before.shape[1:]) == shapes.stages[layer - 1][0]
    for other in (path.descend(layer, -z, above), path.descend(layer, z, -above)):
        assert (other - before).abs().flatten(1).max(1).values.min() > 0


class Mirror(HierarchicalNetwork):
    """One latent for each pixel, padded ones too: q is the pixel, and x the latent."""

    def __init__(self):
        gaussian = Gaussian(torch.zeros(1, 1, 1), torch.ones(1, 1, 1), n_values=9)
        super().__init__((1, 3, 3), (1, 4, 5), [(1, 4, 5)], gaussian)
        self.seen = []

    def evidence_of(self, x, n_means):
        self.seen.append(x)
        return [(x,)]

    def forward(self, evidence, draws):
        p = draws.standard_normal((1, 4, 5), next(self.parameters()))
        z, terms = draws.generate(1, p, lambda: Normal(*evidence[0], 0.5))
        return Pass([z], (terms,), z)


X = torch.randn(6, 1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def mirror():
    return Mirror().double()


def test_a_hierarchical_network_is_a_latent_network_that_shares_its_inference(mirror):
    assert isinstance(mirror, LatentNetwork) and isinstance(mirror, SharedInference)
    assert mirror.n_layers == 1 and mirror.max_log_px == mirror.likelihood.max_log_px


def test_a_network_sees_x_padded_by_zeros(mirror):
    mirror.terms(X, Noise(0))
    (seen,) = mirror.seen
    torch.testing.assert_close(seen[:, :, :3, :3], X)
    assert seen.shape == (6, 1, 4, 5) and seen.square().sum() == seen[:, :, :3, :3].square().sum()


def test_the_likelihood_does_not_count_what_was_padded(mirror):
    noise = Noise(0).pinned()
    terms = mirror.terms(X, noise)
    z = X + 0.5 * noise.normal("z1", (6, 1, 4, 5))[:, :, :3, :3]
    expected = Normal(z, 1.0).log_prob(X).sum((1, 2, 3))
    torch.testing.assert_close(terms.log_px, expected)
    assert terms.layers[0].log_prior.shape == (6, 1, 4, 5)


def test_means_are_encoded_and_rebuild_x(mirror):
    torch.testing.assert_close(mirror.encode(X, Noise(0))[0], mirror.seen[0])
    torch.testing.assert_close(mirror.reconstruct(X, Noise(0), ()).detach(), X)


def test_a_layer_from_the_prior_rebuilds_its_mean_or_a_sample(mirror):
    assert (mirror.reconstruct(X, Noise(0), {1}) == 0).all()
    samples = torch.cat([mirror.reconstruct(X, Noise(s), {1}, below="sample") for s in range(20)])
    assert samples.shape == (120, 1, 3, 3)
    assert abs(samples.mean()) < 0.1 and 0.9 < samples.std() < 1.1


def test_samples_of_the_posterior_reconstruct_x_in_another_way_each_time(mirror):
    drawn = torch.stack([mirror.reconstruct(X, Noise(s), (), below="sample") for s in range(300)])
    torch.testing.assert_close(drawn.mean(0), X, rtol=0, atol=0.15)
    assert drawn.std().item() == pytest.approx(math.sqrt(0.25 + X.var().item()), rel=0.05)


@torch.no_grad()
def test_drawing_from_the_model_needs_no_x(mirror):
    drawn = mirror.sample(500, Noise(0))
    assert not mirror.seen
    assert drawn.shape == (500, 1, 3, 3)
    assert drawn.var().item() == pytest.approx(2, rel=0.1)  # that of the latent and of x given it


def test_the_parameters_have_the_padded_size_and_as_many_channels_as_the_likelihood_needs():
    network = HierarchicalNetwork((3, 5, 7), (3, 8, 8), [(2,)], DiscretizedLogisticMixture(255.0))
    assert network.parameters_shape == (100, 8, 8)


def test_x_is_observed_in_the_precision_of_the_network():
    network = Mirror()
    assert network.terms(X, Noise(0)).log_px.dtype == torch.float32
    assert network.double().terms(X.float(), Noise(0)).log_px.dtype == torch.float64
