"""The network of a PixelCNN against everything that a tiny image can be."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch

from skood.core.modes import explicit_construction
from skood.core.noise import Noise
from skood.core.protocols import DensityNetwork, InvertibleNetwork, LatentNetwork
from skood.nn.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gaussian,
)
from skood.nn.networks.pixel_cnn import PixelCNNNetwork

NOISE = Noise(0, shared=True)
ALL_IMAGES = torch.tensor(list(itertools.product([0.0, 255.0], repeat=4))).view(16, 1, 2, 2)
LEVELS = torch.arange(256.0)
ALL_PAIRS = torch.cartesian_prod(LEVELS, LEVELS)
GRID = torch.linspace(-12, 24, 200, dtype=torch.float64)
N_DRAWS = 20_000
TWO_VALUES = pytest.mark.parametrize("shape", [(1, 1, 2), (1, 2, 1), (2, 1, 1)])


def gaussian(*shape):
    """A likelihood in units of its own."""
    n_units = shape[0] if len(shape) == 1 else 1
    loc = torch.linspace(3.0, 5.0, n_units, dtype=torch.float64)
    scale = torch.linspace(0.5, 2.0, n_units, dtype=torch.float64)
    if len(shape) == 3:
        loc, scale = loc.view(1, 1, 1), scale.view(1, 1, 1)
    return Gaussian(loc, scale, math.prod(shape))


LIKELIHOODS = {
    "bernoulli": lambda *_: Bernoulli(255.0),
    "logistic": lambda *_: DiscretizedLogistic(255.0),
    "mixture": lambda *_: DiscretizedLogisticMixture(255.0),
    "gaussian": gaussian,
}
SHAPES = [(1, 8, 8), (3, 8, 8), (9,)]
CASES = [(shape, name) for shape in SHAPES for name in LIKELIHOODS]
CASES.remove(((9,), "mixture"))  # which is for images


def build(shape, name, *, n_layers=3, gain=4):
    """In double precision, with larger weights, so that pixels depend on one another."""
    with explicit_construction(3), torch.no_grad():
        likelihood = LIKELIHOODS[name](*shape)
        network = PixelCNNNetwork(shape, likelihood, width=6, n_layers=n_layers)
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.mul_(gain)
    return network.double().eval()


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def probabilities(network, x):
    return network.terms(x.double(), NOISE).log_px.exp()


@functools.cache
def of_all_pairs(shape):
    """Probabilities of the images of ``shape`` that two values of 256 levels can make."""
    return probabilities(build(shape, "mixture"), ALL_PAIRS.view(-1, *shape))


def test_the_network_has_a_density_and_samples_and_nothing_else():
    network = build((1, 8, 8), "mixture")
    assert isinstance(network, DensityNetwork)
    assert not isinstance(network, LatentNetwork | InvertibleNetwork)


@pytest.mark.parametrize("shape, name", CASES)
def test_the_parameters_of_a_pixel_depend_on_all_pixels_before_it_and_on_no_other(shape, name):
    network = build(shape, name, n_layers=9, gain=1)
    observed = random(1, *shape)
    places = math.prod(shape[1:]) if len(shape) == 3 else shape[0]

    def of_pixels(observed):
        return network(observed).view(-1, places).square().sum(0)

    jacobian = torch.autograd.functional.jacobian(of_pixels, observed).view(places, -1, places)
    seen = (jacobian != 0).any(1)
    before = torch.ones(places, places).tril(-1).bool()
    assert torch.equal(seen, before)


def test_the_probabilities_of_all_black_and_white_images_sum_to_one():
    network = build((1, 2, 2), "bernoulli")
    assert probabilities(network, ALL_IMAGES).sum().item() == pytest.approx(1, abs=1e-12)


@TWO_VALUES
def test_the_probabilities_of_all_pairs_of_levels_sum_to_one(shape):
    assert of_all_pairs(shape).sum().item() == pytest.approx(1, abs=1e-10)


def test_the_density_of_a_table_integrates_to_one():
    network = build((2,), "gaussian", gain=3)
    densities = probabilities(network, torch.cartesian_prod(GRID, GRID)).view(len(GRID), -1)
    total = torch.trapezoid(torch.trapezoid(densities, GRID), GRID).item()
    assert total == pytest.approx(1, abs=1e-6)


@torch.no_grad()
def test_the_map_holds_the_conditional_probability_of_each_pixel():
    network = build((1, 2, 2), "bernoulli")
    maps = network.log_px_map(ALL_IMAGES.double(), NOISE).view(16, 4).exp()
    p, pixels = probabilities(network, ALL_IMAGES), ALL_IMAGES.view(16, 4)
    for image, i in itertools.product(range(16), range(4)):
        same_before = (pixels[:, :i] == pixels[image, :i]).all(1)
        same = same_before & (pixels[:, i] == pixels[image, i])
        expected = (p[same].sum() / p[same_before].sum()).item()
        assert maps[image, i].item() == pytest.approx(expected, rel=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("shape, name", CASES)
def test_the_map_has_a_term_for_each_pixel_and_adds_up_to_log_p(shape, name):
    network = build(shape, name)
    x = 255 * (random(5, *shape) > 0).double()
    maps = network.log_px_map(x, NOISE)
    assert maps.shape == (5, *(shape[1:] if len(shape) == 3 else shape))
    torch.testing.assert_close(maps.flatten(1).sum(1), network.terms(x, NOISE).log_px)


def assert_drawn_as_often(drawn, expected):
    """``drawn`` (n, k) bool, as often as ``expected`` (2, ..., 2) says, which is no product."""
    k = drawn.shape[1]
    product = torch.ones(1, dtype=torch.float64)
    for i in range(k):
        marginal = expected.sum([axis for axis in range(k) if axis != i])
        product = (product[:, None] * marginal).flatten()
    expected = expected.flatten()
    assert (product - expected).abs().max() > 0.03
    codes = (drawn * 2 ** torch.arange(k - 1, -1, -1)).sum(1)
    frequencies = torch.bincount(codes, minlength=2**k) / len(drawn)
    torch.testing.assert_close(frequencies.double(), expected, rtol=0, atol=0.014)


def test_images_are_drawn_as_often_as_they_are_probable():
    network = build((1, 2, 2), "bernoulli")
    drawn = network.sample(N_DRAWS, Noise(1)).view(-1, 4) > 0
    assert_drawn_as_often(drawn, probabilities(network, ALL_IMAGES).view(2, 2, 2, 2))


@TWO_VALUES
def test_levels_are_drawn_as_often_together_as_they_are_probable(shape):
    network = build(shape, "mixture")
    drawn = network.sample(N_DRAWS, Noise(1)).view(-1, 2) > 127.5
    expected = of_all_pairs(shape).view(2, 128, 2, 128).sum((1, 3))
    assert_drawn_as_often(drawn, expected)


def test_rows_of_a_table_are_drawn_from_their_density():
    network = build((2,), "gaussian", gain=3)
    drawn = network.sample(N_DRAWS, Noise(1)).numpy()
    x, y = torch.cartesian_prod(GRID, GRID).T.numpy()
    densities = probabilities(network, torch.cartesian_prod(GRID, GRID)).numpy()
    correlation = np.cov(x, y, aweights=densities)[0, 1] / (0.5 * 2.0)
    assert abs(correlation) > 0.1
    for moment in (lambda x, y: x, lambda x, y: y, lambda x, y: x * y, lambda x, y: y * y):
        values = moment(*drawn.T)
        expected = np.average(moment(x, y), weights=densities)
        assert values.mean() == pytest.approx(expected, abs=4 * values.std() / N_DRAWS**0.5)


def test_noise_that_several_passes_share_draws_every_pixel_anew():
    drawn = build((1, 8, 8), "mixture", gain=1).sample(3, Noise(1).pinned())
    assert len(drawn.unique()) > 50
