"""The importance-weighted loss: tighter with more samples, exact with the exact posterior."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from torch.distributions import Normal

from skood import ELBO, HVAE, ImportanceWeightedELBO
from skood.core.noise import Noise
from skood.core.protocols import Progress
from skood.core.terms import LayerTerms, Terms

B, S = torch.tensor([1.5, -1.0], dtype=torch.float64), 0.7  # x = B z + noise
PRECISION = 1 + (B @ B).item() / S**2
X = torch.tensor([[0.5, -1.0], [2.0, 1.0], [-1.5, 0.0]], dtype=torch.float64)
ANY = Progress(step=3, n_steps=100)


class LinearGaussian:
    """x <- z, linear and Gaussian; q is the exact posterior, or wider than it by a factor."""

    n_layers, max_log_px = 1, 0.0

    def __init__(self, factor=1.0):
        self.factor = factor

    def terms(self, x, noise):
        q = Normal((x @ B)[:, None] / S**2 / PRECISION, self.factor * PRECISION**-0.5)
        z = q.mean + q.stddev * noise.normal("z1", q.mean.shape)
        log_prior = Normal(torch.zeros_like(z), 1.0).log_prob(z)
        log_px = Normal(z * B, S).log_prob(x).sum(1)
        return Terms(log_px, (LayerTerms(log_prior, q.log_prob(z)),))


class GivenWeights:
    """A network whose log weights are given, one row of them for each pass."""

    n_layers, max_log_px = 0, 0.0

    def __init__(self, log_weights):
        self.passes = iter(log_weights)

    def terms(self, x, noise):
        return Terms(next(self.passes))


class Recorder(GivenWeights):
    """A network that keeps the dithers and latents that it drew."""

    def __init__(self):
        self.dithers, self.latents = [], []

    def terms(self, x, noise):
        self.latents.append(noise.normal("z1", (len(x), 2)))
        self.dithers.append(noise.dither(x.shape))
        return Terms(x.sum(1))


@pytest.fixture
def log_px():
    """x ~ N(0, B B' + S^2)."""
    covariance = np.outer(B, B) + S**2 * np.eye(2)
    return stats.multivariate_normal(np.zeros(2), covariance).logpdf(X)


def loss(network, n_samples, x=X, seed=0):
    return ImportanceWeightedELBO(n_samples=n_samples)(network, x, Noise(seed), ANY)


@pytest.mark.parametrize("seed", range(3))
def test_one_sample_gives_the_loss_of_the_plain_bound_without_free_bits_and_warm_up(seed):
    """Pinned noise draws from the generator of its parent, so both see the same latents."""
    network = LinearGaussian(factor=2.0)
    plain = ELBO(free_bits=0, warmup=0)(network, X, Noise(seed), ANY)
    torch.testing.assert_close(loss(network, 1, seed=seed), plain)


def test_the_loss_is_the_mean_over_rows_of_the_negative_logarithm_of_the_mean_weight():
    """Burda et al. 2016, eq. 8, written as a loop."""
    log_weights = torch.tensor(np.random.default_rng(0).normal(-3, 2, (4, 3)))
    rows = [math.log(sum(math.exp(w) for w in log_weights[:, i]) / 4) for i in range(3)]
    assert loss(GivenWeights(log_weights), 4).item() == pytest.approx(-sum(rows) / 3)


@pytest.mark.parametrize("size", [-1e5, 1e5])
def test_large_weights_neither_overflow_nor_vanish(size):
    log_weights = torch.tensor(np.random.default_rng(0).normal(-3, 2, (4, 3)))
    expected = loss(GivenWeights(log_weights), 4) - size
    torch.testing.assert_close(loss(GivenWeights(log_weights + size), 4), expected)


def test_the_gradient_weighs_samples_by_their_part_in_the_mean():
    """Burda et al. 2016, eq. 14."""
    log_weights = torch.tensor(np.random.default_rng(0).normal(-3, 2, (4, 3)), requires_grad=True)
    loss(GivenWeights(log_weights), 4).backward()
    torch.testing.assert_close(log_weights.grad, -log_weights.detach().softmax(0) / 3)


@pytest.mark.parametrize("n_samples", [1, 2, 5])
def test_with_the_exact_posterior_the_loss_is_the_negative_log_likelihood(log_px, n_samples):
    actual = loss(LinearGaussian(), n_samples).item()
    assert actual == pytest.approx(-log_px.mean(), rel=1e-12)


def test_with_a_wrong_posterior_more_samples_lower_the_loss_towards_the_log_likelihood(log_px):
    x = X.repeat(10_000, 1)
    losses = [loss(LinearGaussian(factor=3.0), s, x).item() for s in (1, 2, 4, 16, 64)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > -log_px.mean() + 1
    assert -log_px.mean() < losses[-1] < -log_px.mean() + 0.03


def test_all_samples_of_a_row_see_one_x_but_latents_of_their_own():
    network = Recorder()
    loss(network, 4)
    assert len(network.dithers) == len(network.latents) == 4
    assert all(torch.equal(network.dithers[0], dither) for dither in network.dithers)
    assert len(network.dithers[0].unique()) == X.numel()  # rows are binarised each by itself
    assert len(torch.stack(network.latents).unique()) == 4 * len(X) * 2


def test_the_next_step_sees_another_x_and_other_latents():
    network, noise = Recorder(), Noise(0)
    for _ in range(2):
        ImportanceWeightedELBO(n_samples=1)(network, X, noise, ANY)
    for first, second in (network.dithers, network.latents):
        assert not torch.isin(first, second).any()


@pytest.mark.parametrize("n_samples", [0, -1, 2.5, "five", None])
def test_a_number_of_samples_that_is_none_is_refused(n_samples):
    with pytest.raises(ValueError, match="n_samples"):
        ImportanceWeightedELBO(n_samples=n_samples).check(2)


def test_a_wrong_number_of_samples_is_refused_when_a_model_is_fitted():
    model = HVAE((2,), objective=ImportanceWeightedELBO(n_samples=0), max_epochs=1)
    with pytest.raises(ValueError, match="n_samples"):
        model.fit(np.random.default_rng(0).normal(size=(20, 3)))


def test_the_objective_can_be_cloned_and_set_like_any_estimator():
    objective = clone(ImportanceWeightedELBO()).set_params(n_samples=7)
    assert objective.get_params() == {"n_samples": 7}
    objective.check(3)
