"""The informative objective: which bounds it takes, what they pay for, and the noise they share."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skood import ELBO, HVAE, VAE, InformativeELBO
from skood.core.noise import Noise
from skood.core.protocols import LatentNetwork, Progress
from skood.core.terms import LayerTerms, Terms
from skood.testing import easy_images, spec_of

IMAGES = easy_images(16)
END = Progress(1, 1)


class Recorder(LatentNetwork):
    """Three layers; log p(x | z>k) is -10^k, and a layer that is inferred costs 1 nat."""

    latent_shapes, max_log_px = [(1,)] * 3, 0.0

    def __init__(self):
        self.passes, self.seen = [], []

    def terms(self, x, noise, prior_layers=frozenset(), below=None):
        k = len(prior_layers)
        self.passes.append((tuple(prior_layers), below))
        self.seen.append((noise.dither(x.shape), noise.normal("z3", (len(x), 2))))
        one, zero = torch.ones(len(x), 1), torch.zeros(len(x), 1)
        layers = [LayerTerms(zero, zero if i in prior_layers else one) for i in (1, 2, 3)]
        return Terms(torch.full((len(x),), -(10.0**k)), tuple(layers))


def loss(network, progress=END, seed=0, **options):
    objective = InformativeELBO(**options)
    return objective(network, torch.zeros(4, 1, 8, 8), Noise(seed), progress)


def network_of(model_class):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return model_class(random_state=0)._build_network(spec_of(IMAGES)).double()


@torch.no_grad()
def test_with_one_layer_it_is_the_ordinary_bound():
    network, x = network_of(VAE), torch.tensor(IMAGES)[:, None].double()
    expected = ELBO(free_bits=0, warmup=0)(network, x, Noise(1), END)
    for options in ({}, {"n_bounds": "all", "divergences": "printed", "below": "sample"}):
        torch.testing.assert_close(
            InformativeELBO(**options)(network, x, Noise(1), END), expected, rtol=1e-12, atol=0
        )


@torch.no_grad()
def test_with_all_bounds_it_is_minus_their_mean():
    network, x = network_of(HVAE), torch.tensor(IMAGES)[:, None].double()
    noise = Noise(1).pinned()
    bounds = [network.terms(x, noise, range(1, k + 1)).log_weight.mean() for k in range(3)]
    measured = InformativeELBO(n_bounds="all")(network, x, Noise(1), END)
    torch.testing.assert_close(measured, -sum(bounds) / 3, rtol=1e-12, atol=0)


def test_each_reconstruction_pays_for_the_layers_that_it_uses():
    assert loss(Recorder(), n_bounds="all").item() == pytest.approx((1 + 10 + 100 + 3 + 2 + 1) / 3)


def test_as_printed_every_layer_pays_once():
    measured = loss(Recorder(), n_bounds="all", divergences="printed").item()
    assert measured == pytest.approx((1 + 10 + 100) / 3 + 3)


def test_a_random_bound_at_each_step_has_the_mean_of_all():
    values = [round(loss(Recorder(), seed=seed).item(), 6) for seed in range(600)]
    bounds = {1 + 3.0, 10 + 2.0, 100 + 1.0}
    assert set(values) == bounds
    shares = [values.count(bound) / len(values) for bound in bounds]
    np.testing.assert_allclose(shares, 1 / 3, atol=5 * np.sqrt(2 / 9 / 600))


def test_two_bounds_at_a_step_are_different_ones():
    for seed in range(20):
        network = Recorder()
        loss(network, seed=seed, n_bounds=2)
        assert len(set(network.passes)) == 2


def test_layers_below_are_means_or_samples_as_asked():
    for below in ("mean", "sample"):
        network = Recorder()
        loss(network, n_bounds="all", below=below)
        assert network.passes == [
            ((), None),
            ((1,), below),
            ((1, 2), below),
        ]


def test_all_passes_share_the_binarised_x_and_the_latents():
    network = Recorder()
    loss(network, n_bounds="all")
    for dither, latent in network.seen[1:]:
        assert torch.equal(dither, network.seen[0][0])
        assert torch.equal(latent, network.seen[0][1])


def test_the_divergences_are_phased_in():
    start, end = (loss(Recorder(), Progress(s, 1000), n_bounds="all").item() for s in (0, 999))
    assert start == pytest.approx((1 + 10 + 100) / 3, abs=0.05)
    assert end == pytest.approx((1 + 10 + 100) / 3 + 2)
    whole = loss(Recorder(), Progress(0, 1000), n_bounds="all", warmup=0).item()
    assert whole == pytest.approx(end)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_bounds": 0}, "n_bounds"),
        ({"n_bounds": "some"}, "n_bounds"),
        ({"below": "above"}, "below"),
        ({"divergences": "none"}, "divergences"),
        ({"warmup": 2.0}, "warmup"),
        ({"divergences": "printed"}, "needs all bounds; got n_bounds=1. Use n_bounds='all'"),
    ],
)
def test_a_wrong_parameter_is_refused_before_training(options, message):
    model = HVAE(objective=InformativeELBO(**options), max_epochs=1)
    with pytest.raises(ValueError, match=message):
        model.fit(IMAGES)


def test_it_can_be_cloned_and_set_like_any_estimator():
    objective = clone(InformativeELBO(below="sample")).set_params(n_bounds=2)
    assert objective.get_params() == {
        "below": "sample",
        "divergences": "each",
        "n_bounds": 2,
        "warmup": 0.1,
    }
