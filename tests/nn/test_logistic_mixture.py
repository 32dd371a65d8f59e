"""The mixture of discretized logistics: the colours of a pixel are one distribution."""

import math

import pytest
import torch
from scipy import stats

from skood.core.noise import Noise
from skood.nn.likelihoods import DiscretizedLogistic, DiscretizedLogisticMixture

MIXTURE = DiscretizedLogisticMixture(255.0)
K, NOISE = MIXTURE.n_components, Noise(0)
LEVELS = MIXTURE.observe(torch.arange(256.0, dtype=torch.float64), NOISE)
CHANNELS = pytest.mark.parametrize("n_channels", [1, 2, 3, 4])


def parts(n_channels, *, n=1, raw_scale=0.0, means=0.7, seed=0):
    """Random logits (n, 1, K), means and raw scales (n, c, K), and raw coefficients."""
    generator = torch.Generator().manual_seed(seed)
    n_coefficients = n_channels * (n_channels - 1) // 2
    sizes = {"logits": 1, "means": n_channels, "raw": n_channels, "coefficients": n_coefficients}
    drawn = {
        name: torch.randn(n, size, K, generator=generator, dtype=torch.float64)
        for name, size in sizes.items()
    }
    drawn["means"] *= means
    drawn["raw"] += raw_scale
    return drawn


def pack(logits, means, raw, coefficients):
    """Parameters (n, 10 (1 + 2 c + ...), 1, 1), groups of ten after each other."""
    return torch.cat([logits, means, raw, coefficients], dim=1).reshape(len(means), -1, 1, 1)


def random_levels(*shape):
    return LEVELS[torch.randint(256, shape, generator=torch.Generator().manual_seed(0))]


def log_prob_of_pixels(pixels, parameters):
    """log p of pixels (n, c) under the same parameters of one pixel."""
    return MIXTURE.log_prob(pixels[:, :, None, None], parameters.expand(len(pixels), -1, -1, -1))


def test_it_sums_to_one_over_256_levels():
    for seed in range(20):
        total = log_prob_of_pixels(LEVELS[:, None], pack(**parts(1, seed=seed))).exp().sum()
        assert total.item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("n_channels", [2, 3, 4])
def test_summed_over_the_last_channel_it_is_the_mixture_of_the_channels_before(n_channels):
    full = parts(n_channels)
    n_before = (n_channels - 1) * (n_channels - 2) // 2
    before = {name: part[:, : n_channels - 1] for name, part in full.items()}
    before["coefficients"] = full["coefficients"][:, :n_before]
    for first in random_levels(5, n_channels - 1):
        pixels = torch.cat([first.expand(256, -1), LEVELS[:, None]], dim=1)
        marginal = log_prob_of_pixels(pixels, pack(**full)).logsumexp(0)
        expected = log_prob_of_pixels(first[None], pack(**before))[0]
        torch.testing.assert_close(marginal, expected, rtol=1e-10, atol=1e-10)


def test_it_is_equation_3_of_salimans_et_al_written_as_a_loop():
    """P(r, g, b) = sum_k pi_k P(r | m_r) P(g | m_g + a r) P(b | m_b + b r + c g)."""
    drawn = parts(3)
    logits, means, raw, coefficients = (drawn[name][0] for name in drawn)
    r, g, b = LEVELS[torch.tensor([90, 200, 120])].tolist()
    total = 0.0
    for k in range(K):
        ar, br, bg = torch.tanh(coefficients[:, k]).tolist()
        shifts = (0.0, ar * r, br * r + bg * g)
        product = torch.softmax(logits[0], 0)[k].item()
        for channel, (x, shift) in enumerate(zip((r, g, b), shifts, strict=True)):
            mean = means[channel, k].item() + shift
            logistic = stats.logistic(mean, math.exp(raw[channel, k].item() - 2))
            product *= logistic.cdf(x + 1 / 255) - logistic.cdf(x - 1 / 255)
        total += product
    actual = log_prob_of_pixels(torch.tensor([[r, g, b]], dtype=torch.float64), pack(**drawn))
    assert actual.item() == pytest.approx(math.log(total), rel=1e-9)


@CHANNELS
def test_one_component_without_coefficients_is_the_discretized_logistic(n_channels):
    drawn = parts(n_channels, n=20)
    drawn["logits"][:, 0, 3], drawn["coefficients"] = 1e3, 0 * drawn["coefficients"]
    single = torch.cat([drawn["means"][:, :, 3], drawn["raw"][:, :, 3]], dim=1)[:, :, None, None]
    x = random_levels(20, n_channels, 1, 1)
    expected = DiscretizedLogistic(255.0).log_prob(x, single)
    torch.testing.assert_close(MIXTURE.log_prob(x, pack(**drawn)), expected, rtol=1e-10, atol=0)


@CHANNELS
def test_the_pixels_of_a_map_are_independent(n_channels):
    pixels = [pack(**parts(n_channels, n=4, seed=seed)) for seed in range(6)]
    x = random_levels(4, n_channels, 2, 3)
    expected = sum(
        MIXTURE.log_prob(x[:, :, i // 3, i % 3, None, None], pixels[i]) for i in range(6)
    )
    as_map = torch.cat(pixels, dim=3).reshape(4, -1, 2, 3)
    torch.testing.assert_close(MIXTURE.log_prob(x, as_map), expected)


@CHANNELS
@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_draws_and_means_are_on_the_scale_of_the_data_and_draws_on_its_levels(n_channels, scale):
    likelihood = DiscretizedLogisticMixture(scale)
    parameters = pack(**parts(n_channels, n=2000)).float().reshape(500, -1, 2, 2)
    draws, means = likelihood.sample(parameters, NOISE), likelihood.mean(parameters)
    levels = torch.arange(256.0) * (scale / 255)
    assert draws.shape == means.shape == (500, n_channels, 2, 2)
    assert torch.isin(draws, levels).all()
    assert len(draws.unique()) > 200
    assert means.min() >= 0 and means.max() <= scale


@CHANNELS
@pytest.mark.parametrize("coefficients", [0.0, 1.0])
def test_the_mean_of_many_draws_is_the_mean_where_nothing_is_clamped(n_channels, coefficients):
    drawn = parts(n_channels, means=0.1, raw_scale=-2.0)
    drawn["raw"].clamp_(max=-2)
    drawn["coefficients"] *= coefficients
    parameters = pack(**drawn).expand(20_000, -1, -1, -1)
    draws = MIXTURE.sample(parameters, Noise(0))
    assert draws.min() > 0 and draws.max() < 255
    error = draws.std(0) / math.sqrt(20_000)
    assert ((draws.mean(0) - MIXTURE.mean(parameters)[0]).abs() < 4 * error).all()


def test_colours_are_drawn_as_often_together_as_they_are_probable():
    parameters = pack(**parts(2, means=0.3))
    draws = MIXTURE.sample(parameters.expand(20_000, -1, -1, -1), Noise(0))[:, :, 0, 0]
    log_prob = log_prob_of_pixels(torch.cartesian_prod(LEVELS, LEVELS), parameters)
    table = log_prob.exp().reshape(2, 128, 2, 128).sum((1, 3))
    counts = (draws > 127.5).double() @ torch.tensor([2.0, 1.0], dtype=torch.float64)
    frequencies = torch.bincount(counts.long(), minlength=4) / 20_000
    torch.testing.assert_close(frequencies.double(), table.flatten(), rtol=0, atol=0.014)


@pytest.mark.parametrize("coefficient, expected", [(-3.0, -0.96), (0.0, 0.0), (3.0, 0.96)])
def test_the_coefficients_make_colours_depend_on_each_other(coefficient, expected):
    drawn = {name: 0 * part for name, part in parts(2).items()}
    drawn["raw"] += torch.tensor([-1.0, -2.0])[:, None]
    drawn["coefficients"] += coefficient
    draws = MIXTURE.sample(pack(**drawn).expand(5000, -1, -1, -1), Noise(0))[:, :, 0, 0]
    correlation = torch.corrcoef(draws.T)[0, 1].item()
    assert correlation == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("level", [0.0, 1.0, 100.0, 254.0, 255.0])
@pytest.mark.parametrize("size", [30.0, 1e3, 1e6])
def test_it_is_finite_with_finite_gradients_in_single_precision(level, size):
    parameters = size * torch.randn(200, 100, 1, 1, generator=torch.Generator().manual_seed(0))
    parameters.requires_grad_()
    observed = MIXTURE.observe(torch.full((200, 3, 1, 1), level), NOISE)
    log_prob = MIXTURE.log_prob(observed, parameters)
    log_prob.sum().backward()
    assert log_prob.isfinite().all() and log_prob.max() <= 0
    assert parameters.grad.isfinite().all() and parameters.grad.abs().max() > 0
    assert MIXTURE.sample(parameters, NOISE).isfinite().all()
    assert MIXTURE.mean(parameters).isfinite().all()


@CHANNELS
def test_every_parameter_has_an_effect_on_the_probability(n_channels):
    parameters = pack(**parts(n_channels, n=5)).requires_grad_()
    MIXTURE.log_prob(random_levels(5, n_channels, 1, 1), parameters).sum().backward()
    assert (parameters.grad != 0).all()
