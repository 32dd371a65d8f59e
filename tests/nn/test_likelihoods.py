"""Likelihoods are distributions: they add up to one, and draw from what they score."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from skood.core.noise import Noise
from skood.nn.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gaussian,
)

NOISE = Noise(0)


def random(*shape, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def gaussian(n_features=3):
    """A likelihood of a table, with a scale and a learned standard deviation per feature."""
    loc, scale = torch.tensor([5.0, -2.0, 100.0]), torch.tensor([0.5, 3.0, 20.0])
    likelihood = Gaussian(loc[:n_features], scale[:n_features], n_features).double()
    likelihood.raw_log_std.data = random(n_features, scale=0.1)
    return likelihood


def total_of_all_levels(parameters):
    """Sum of the probabilities of 256 levels of one pixel, under parameters (n, 2, 1, 1)."""
    likelihood = DiscretizedLogistic(255.0)
    levels = likelihood.observe(torch.arange(256.0, dtype=torch.float64), NOISE)
    total = 0
    for level in levels:
        observed = level.expand(len(parameters), 1, 1, 1)
        total = total + likelihood.log_prob(observed, parameters).exp()
    return total


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_bernoulli_sums_to_one_over_all_images_of_three_pixels(scale):
    images = torch.tensor(list(itertools.product([0.0, scale], repeat=3)), dtype=torch.float64)
    likelihood = Bernoulli(scale)
    observed = likelihood.observe(images, NOISE).double()
    for logits in random(5, 3, scale=5.0):
        log_prob = likelihood.log_prob(observed, logits.expand(8, 3))
        assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_bernoulli_leaves_black_and_white_and_turns_grey_white_as_often_as_it_is_bright(scale):
    x = scale * torch.tensor([0.0, 0.3, 1.0]).expand(20_000, 3)
    observed = Bernoulli(scale).observe(x, NOISE)
    assert set(observed.unique().tolist()) == {0.0, 1.0}
    assert observed[:, 0].sum() == 0 and observed[:, 2].min() == 1
    assert observed[:, 1].mean().item() == pytest.approx(0.3, abs=0.015)


def test_bernoulli_binarises_all_rows_with_one_draw_in_scoring():
    observed = Bernoulli(255.0).observe(torch.full((5, 40), 128.0), Noise(0, shared=True))
    assert all(torch.equal(observed[0], row) for row in observed)
    assert 0 < observed[0].sum() < 40


def test_the_discretized_logistic_sums_to_one_over_256_levels():
    parameters = torch.stack([random(50, scale=0.7), random(50, scale=4.0)], 1)
    torch.testing.assert_close(
        total_of_all_levels(parameters.view(50, 2, 1, 1)), torch.ones(50, dtype=torch.float64)
    )


EXTREME = list(itertools.product([-1e6, -50.0, -1.0, 0.0, 1.0, 1e6], [-1e3, -5.0, 5.0, 1e3]))


def test_the_discretized_logistic_sums_to_one_even_for_extreme_parameters():
    parameters = torch.tensor(EXTREME, dtype=torch.float64).view(-1, 2, 1, 1)
    torch.testing.assert_close(
        total_of_all_levels(parameters), torch.ones(len(parameters), dtype=torch.float64)
    )


@pytest.mark.parametrize("level", [0.0, 1.0, 100.0, 254.0, 255.0])
def test_the_discretized_logistic_is_finite_with_finite_gradients_in_single_precision(level):
    likelihood = DiscretizedLogistic(255.0)
    parameters = torch.tensor(EXTREME).view(-1, 2, 1, 1).requires_grad_()
    observed = likelihood.observe(torch.full((len(EXTREME), 1, 1, 1), level), NOISE)
    log_prob = likelihood.log_prob(observed, parameters)
    log_prob.sum().backward()
    assert log_prob.isfinite().all() and log_prob.max() <= 0
    assert parameters.grad.isfinite().all()


def test_the_discretized_logistic_is_the_mass_of_a_logistic_distribution_in_each_bin():
    likelihood = DiscretizedLogistic(255.0)
    mean, raw = 0.2, 0.5
    logistic = stats.logistic(mean, math.exp(raw - 2))
    parameters = torch.tensor([mean, raw], dtype=torch.float64).view(1, 2, 1, 1)
    for level in (1, 77, 254):
        x = likelihood.observe(torch.full((1, 1, 1, 1), float(level)).double(), NOISE)
        mass = logistic.cdf(x.item() + 1 / 255) - logistic.cdf(x.item() - 1 / 255)
        log_prob = likelihood.log_prob(x, parameters).item()
        assert log_prob == pytest.approx(math.log(mass), rel=1e-9)


def test_pixels_in_0_to_1_and_bytes_are_observed_alike():
    levels = torch.arange(256.0)
    of_bytes = DiscretizedLogistic(255.0).observe(levels, NOISE)
    of_unit = DiscretizedLogistic(1.0).observe(levels / 255, NOISE)
    torch.testing.assert_close(of_bytes, of_unit)
    assert of_bytes.min() == -1 and of_bytes.max() == 1


def test_the_gaussian_is_the_density_of_scipy_in_the_units_of_x():
    likelihood, x, parameters = gaussian(), random(6, 3, scale=10.0), random(6, 3)
    observed = likelihood.observe(x, NOISE)
    mean = (parameters * likelihood.scale + likelihood.loc).detach().numpy()
    std = (likelihood.std() * likelihood.scale).detach().numpy()
    expected = stats.norm(mean, std).logpdf(x.numpy()).sum(1)
    actual = likelihood.log_prob(observed, parameters).detach()
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_the_gaussian_of_images_has_one_scale_for_all_pixels():
    likelihood = Gaussian(torch.full((1, 1, 1), 3.0), torch.full((1, 1, 1), 2.0), 12).double()
    x, parameters = random(4, 1, 3, 4, scale=5.0), random(4, 1, 3, 4)
    expected = stats.norm(3 + 2 * parameters, 2).logpdf(x).sum((1, 2, 3))
    actual = likelihood.log_prob(likelihood.observe(x, NOISE), parameters).detach()
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_the_largest_log_density_is_attained_at_the_mean_and_never_exceeded():
    likelihood, parameters = gaussian(), random(100, 3)
    at_mean = likelihood.log_prob(parameters, parameters)
    elsewhere = likelihood.log_prob(parameters + random(100, 3), parameters)
    assert at_mean.tolist() == pytest.approx([likelihood.max_log_px] * 100)
    assert (elsewhere < likelihood.max_log_px).all()


@pytest.mark.parametrize(
    "likelihood", [Bernoulli(255.0), DiscretizedLogistic(255.0), DiscretizedLogisticMixture(255.0)]
)
def test_a_probability_has_a_largest_logarithm_of_zero(likelihood):
    assert likelihood.max_log_px == 0


@pytest.mark.parametrize(
    "likelihood, expected",
    [
        (Bernoulli(255.0), [1, 2, 3, 4]),
        (gaussian(), [1, 2, 3, 4]),
        (DiscretizedLogistic(255.0), [2, 4, 6, 8]),
        (DiscretizedLogisticMixture(255.0), [30, 60, 100, 150]),
    ],
    ids=["bernoulli", "gaussian", "discretized_logistic", "mixture"],
)
def test_a_likelihood_knows_how_many_parameters_a_pixel_of_1_to_4_channels_has(
    likelihood, expected
):
    assert [likelihood.n_parameters(n_channels) for n_channels in (1, 2, 3, 4)] == expected


def test_the_density_is_largest_at_the_standard_deviation_of_the_errors():
    likelihood, x = gaussian(), random(50, 3, scale=2.0)
    std = x.square().mean(0).sqrt()  # maximum likelihood
    likelihood.raw_log_std.data = std.log() / likelihood.log_std_speed
    torch.testing.assert_close(likelihood.std().detach(), std)
    likelihood.log_prob(x, torch.zeros_like(x)).mean().backward()
    torch.testing.assert_close(likelihood.raw_log_std.grad, torch.zeros(3).double())


def test_the_standard_deviation_of_the_gaussian_has_a_floor():
    likelihood = gaussian()
    likelihood.raw_log_std.data.fill_(-1e3)
    assert likelihood.std().tolist() == [0.1] * 3


@pytest.mark.parametrize("value", [1e6, 1e30, -1e38])
def test_the_gaussian_is_finite_for_values_far_out(value):
    likelihood = Gaussian(torch.zeros(2), torch.full((2,), 1e-3), 2)
    observed = likelihood.observe(torch.full((1, 2), value), NOISE)
    assert likelihood.log_prob(observed, torch.zeros(1, 2)).isfinite().all()


@pytest.mark.parametrize(
    "likelihood, parameters",
    [
        (Bernoulli(255.0), random(3, scale=2.0)),
        (gaussian(), random(3)),
        (DiscretizedLogistic(1.0), torch.tensor([-0.2, 0.0, 0.3, -1.0, 0.0, -2.0])),
    ],
    ids=["bernoulli", "gaussian", "discretized_logistic"],
)
def test_the_mean_of_many_draws_is_the_mean(likelihood, parameters):
    parameters = parameters.float().expand(20_000, -1)
    draws = likelihood.sample(parameters, Noise(0)).detach()
    mean = likelihood.mean(parameters)[0].detach()
    error = draws.std(0) / math.sqrt(20_000)
    assert draws.shape == (20_000, 3)
    assert ((draws.mean(0) - mean).abs() < 5 * error + 1e-6).all()


@pytest.mark.parametrize(
    "likelihood",
    [
        Bernoulli(255.0),
        Gaussian(torch.ones(3, 1, 1).double(), torch.full((3, 1, 1), 20.0).double(), 36).double(),
        DiscretizedLogistic(255.0),
        DiscretizedLogisticMixture(255.0),
    ],
    ids=["bernoulli", "gaussian", "discretized_logistic", "mixture"],
)
def test_a_likelihood_says_its_terms_pixel_by_pixel(likelihood):
    x = 255 * random(2, 3, 3, 4).sigmoid()
    observed = likelihood.observe(x, NOISE).double()
    parameters = random(2, likelihood.n_parameters(3), 3, 4)
    terms = likelihood.log_prob_of_values(observed, parameters)
    assert terms.shape in {(2, 3, 3, 4), (2, 1, 3, 4)}
    torch.testing.assert_close(terms.sum((1, 2, 3)), likelihood.log_prob(observed, parameters))
    observed[:, :, 1, 2] = observed[:, :, 0, 0]
    changed = (likelihood.log_prob_of_values(observed, parameters) != terms).any(1)
    assert changed.nonzero()[:, 1:].unique(dim=0).tolist() == [[1, 2]]


def test_draws_are_on_the_scale_of_the_data():
    white = torch.full((4, 2, 3, 3), 100.0)
    assert Bernoulli(255.0).sample(white, NOISE).unique().tolist() == [255.0]
    levels = DiscretizedLogistic(255.0).sample(random(50, 2, 3, 3).float(), NOISE)
    assert torch.equal(levels, levels.round())
    assert levels.min() >= 0 and levels.max() <= 255


def test_the_encoder_sees_about_zero_mean_and_unit_scale():
    x = random(1000, 1, 4, 4).sigmoid() * 255
    for kind in (Bernoulli, DiscretizedLogistic, DiscretizedLogisticMixture):
        likelihood = kind(255.0)
        encoded = likelihood.encode(likelihood.observe(x, NOISE))
        assert abs(encoded.mean()) < 0.1 and 0.8 < encoded.std() < 1.3


def test_adam_finds_a_standard_deviation_of_a_third_in_two_hundred_steps():
    """Of 1e-3 each, its usual size; for the logarithm itself it would take six times as many."""
    likelihood = Gaussian(torch.zeros(1), torch.ones(1), 1).double()
    observed = random(500, 1, scale=1 / 3)
    optimizer, stds = torch.optim.Adam(likelihood.parameters(), lr=1e-3), []
    for _ in range(200):
        optimizer.zero_grad()
        likelihood.log_prob(observed, torch.zeros_like(observed)).mean().neg().backward()
        optimizer.step()
        stds.append(likelihood.std().item())
    expected = observed.square().mean().sqrt().item()
    assert stds[-1] == pytest.approx(expected, rel=0.02)
    assert stds[50] > 0.5  # a hundredth in size each, not a jump
