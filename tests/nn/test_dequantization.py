"""From data to real coordinates and back: densities are in the units of the data."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.autograd.functional import jacobian

from skood.core.noise import Noise
from skood.nn.bijections.base import Chain
from skood.nn.bijections.elementwise import ActNorm
from skood.nn.bijections.reshaping import Flatten
from skood.nn.dequantization import DequantizedPixels, StandardizedReals
from skood.nn.networks.flow import FlowNetwork

WHITE = pytest.mark.parametrize("white", [255.0, 1.0])
LEVELS = torch.arange(256, dtype=torch.float64)


class Dither:
    """Noise with the same number everywhere."""

    def __init__(self, value):
        self.value = value

    def dither(self, shape):
        return torch.full(shape, self.value, dtype=torch.float64)


def pixels(white, loc=100.0, scale=60.0):
    """Mean and standard deviation are given in levels."""
    loc, scale = (torch.full((1, 1, 1), v * white / 255).double() for v in (loc, scale))
    return DequantizedPixels(loc, scale, white)


def reals(loc, scale):
    return StandardizedReals(torch.tensor(loc).double(), torch.tensor(scale).double()).eval()


def affine_flow(shape, coordinates, base, shift=0.0, log_scale=0.0):
    """A FlowNetwork whose bijection is y = (x + shift) exp(log_scale)."""
    layer = ActNorm(shape[0])
    torch.nn.init.constant_(layer.shift, shift)
    torch.nn.init.constant_(layer.log_scale, log_scale)
    network = FlowNetwork(shape, coordinates, Chain([layer, Flatten(shape)]), base)
    return network.double().eval().requires_grad_(False)


@WHITE
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_inverse_gives_back_every_level(white, dtype):
    x = (LEVELS[:, None, None, None] * white / 255).to(dtype).expand(256, 1, 3, 5)
    coordinates = pixels(white)
    for seed in range(10):
        y, _ = coordinates(x, Noise(seed, shared=True))
        assert y.dtype == dtype
        torch.testing.assert_close(coordinates.inverse(y).to(dtype), x, rtol=1e-6, atol=0)


def test_the_inverse_gives_back_bytes_of_a_table():
    coordinates = DequantizedPixels(
        torch.tensor([100.0, 3.0]).double(), torch.tensor([60.0, 0.1]).double(), 255
    )
    x = LEVELS[:, None].expand(256, 2)
    y, log_det = coordinates(x, Noise(0, shared=True))
    assert torch.equal(coordinates.inverse(y), x)
    torch.testing.assert_close(log_det[0].item(), -math.log(60 * 0.1))


@WHITE
def test_coordinates_from_anywhere_lead_to_levels_between_black_and_white(white):
    y = 10 * torch.randn(50, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    levels = pixels(white).inverse(y) * (255 / white)
    torch.testing.assert_close(levels, levels.round())
    assert levels.min() == 0 and levels.max() == pytest.approx(255)


@WHITE
@pytest.mark.parametrize("base", ["normal", "logistic"])
def test_the_probabilities_of_all_levels_sum_to_one(white, base):
    """The probability of a level is the mean of the density over its cell."""
    network = affine_flow((1, 1, 1), pixels(white, 120.0, 5.0), base, 0.3, -0.2)
    x = LEVELS[:, None, None, None] * white / 255
    middles = (np.arange(10) + 0.5) / 10
    mean = sum(network.terms(x, Dither(u)).log_px.exp() for u in middles) / len(middles)
    assert mean.sum().item() == pytest.approx(1, abs=1e-6)


@WHITE
def test_the_probability_of_a_level_is_the_mass_in_its_cell(white):
    network = affine_flow((1, 1, 1), pixels(white, 120.0, 5.0), "logistic")
    x = LEVELS[110:130, None, None, None] * white / 255
    middles = (np.arange(200) + 0.5) / 200
    mean = sum(network.terms(x, Dither(u)).log_px.exp() for u in middles) / len(middles)
    expected = np.diff(stats.logistic.cdf(np.arange(110, 131), 120, 5))
    np.testing.assert_allclose(mean.numpy(), expected, rtol=1e-5)


def test_bytes_and_pixels_in_0_to_1_are_seen_alike():
    x = torch.arange(24.0).double().reshape(2, 3, 2, 2)
    of_bytes = pixels(255.0)(x, Noise(0, shared=True))
    of_units = pixels(1.0)(x / 255, Noise(0, shared=True))
    for a, b in zip(of_bytes, of_units, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)  # dither has single precision


def test_in_scoring_equal_rows_get_equal_numbers_in_every_importance_sample():
    x, noise = torch.full((6, 1, 2, 2), 40.0), Noise(0, shared=True)
    y, _ = pixels(255.0)(x, noise)
    assert (y == y[:1]).all() and len(y[0].unique()) == 4
    for s in range(3):
        assert torch.equal(pixels(255.0)(x, noise.fork(s))[0], y)


def test_in_training_every_row_and_pass_gets_numbers_of_its_own():
    x, noise = torch.full((6, 1, 2, 2), 40.0), Noise(0)
    first, second = (pixels(255.0)(x, noise)[0] for _ in range(2))
    assert len(torch.stack([first, second]).unique()) == 48


def test_the_dithered_level_lies_in_its_cell():
    x = torch.full((1000, 1, 1, 1), 40.0).double()
    y, _ = pixels(255.0)(x, Noise(0))
    dither = y * 60 + 100 - 40
    assert dither.min() >= -1e-5 and dither.max() <= 1 + 1e-5
    assert stats.kstest(dither.flatten().numpy(), "uniform").pvalue > 0.01


def test_the_log_determinant_of_reals_is_that_of_the_jacobian():
    coordinates, x = reals([5.0, -1.0, 0.0], [2.0, 0.1, 30.0]), torch.randn(1, 3).double()
    matrix = jacobian(lambda x: coordinates(x, Noise(0))[0], x).reshape(3, 3)
    _, log_det = coordinates(x, Noise(0))
    torch.testing.assert_close(log_det[0], torch.linalg.slogdet(matrix).logabsdet)


@pytest.mark.parametrize(
    "base, distribution", [("normal", stats.norm), ("logistic", stats.logistic)]
)
def test_the_density_of_reals_is_in_the_units_of_x(base, distribution):
    loc, scale = np.array([5.0, -1000.0]), np.array([2.0, 300.0])
    network = affine_flow((2,), reals(loc, scale), base)
    x = loc + scale * np.random.default_rng(0).normal(size=(20, 2))
    expected = distribution.logpdf(x, loc, scale).sum(1)
    log_px = network.terms(torch.tensor(x), Noise(0)).log_px
    np.testing.assert_allclose(log_px.numpy(), expected, rtol=1e-10)


def test_images_of_reals_have_one_scale_for_all_pixels():
    coordinates = reals([[[3.0]]], [[[4.0]]])
    y, log_det = coordinates(torch.full((2, 3, 2, 5), 7.0).double(), Noise(0))
    assert (y == 1).all()
    torch.testing.assert_close(log_det, torch.full((2,), -30 * math.log(4)).double())


def test_the_density_of_reals_integrates_to_one():
    network = affine_flow((1,), reals([50.0], [7.0]), "normal", 0.4, -0.3)
    x = torch.linspace(-100, 200, 3001).double()
    density = network.terms(x[:, None], Noise(0)).log_px.exp()
    assert torch.trapezoid(density, x).item() == pytest.approx(1, abs=1e-8)


def test_reals_go_back_to_the_scale_of_the_data():
    coordinates, x = reals([5.0, -1.0], [2.0, 0.1]), torch.randn(9, 2).double()
    torch.testing.assert_close(coordinates.inverse(coordinates(x, Noise(0))[0]), x)


def test_reals_are_smoothed_in_training_only():
    coordinates, x = reals([0.0], [3.0]), torch.zeros(20_000, 1).double()
    assert (coordinates(x, Noise(0))[0] == 0).all()
    y, _ = coordinates.train()(x, Noise(0))
    assert y.std().item() == pytest.approx(coordinates.noise_std, rel=0.03)


@pytest.mark.parametrize("base", ["normal", "logistic"])
@pytest.mark.parametrize("value", [-1e300, -1e30, 1e30, 1e300])
def test_values_far_out_have_a_finite_density_in_single_precision(value, base):
    network = affine_flow((1,), reals([0.0], [1.0]), base).float()
    log_px = network.terms(torch.tensor([[value]]).double(), Noise(0)).log_px
    assert log_px.isfinite().all() and log_px < -1000


def test_a_probability_has_a_largest_logarithm_of_zero_and_a_density_has_none():
    assert pixels(255.0).max_log_px == pixels(1.0).max_log_px == 0
    assert reals([0.0], [1.0]).max_log_px == math.inf
