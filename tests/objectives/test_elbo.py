"""The loss is the negative bound, with floors that cost nothing and a weight that warms up."""

import math

import pytest
import torch
from sklearn.base import clone

from skood import ELBO
from skood.core.noise import Noise
from skood.core.protocols import Progress
from skood.core.terms import LayerTerms, Terms
from skood.objectives.schedules import linear_warmup

DONE, NOISE = Progress(step=100, n_steps=100), Noise(0)


class Fixed:
    """A network with given terms."""

    max_log_px = 0.0

    def __init__(self, terms):
        self.n_layers, self._terms = len(terms.layers), terms

    def terms(self, x, noise):
        return self._terms


def random_terms(*shapes, n=5):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(n, *shape, generator=generator, dtype=torch.float64)

    layers = tuple(LayerTerms(draw(*s).requires_grad_(), draw(*s)) for s in shapes)
    return Terms(draw() - 10, layers)


TERMS = random_terms((2, 3, 3), (4,))


def loss(objective, terms=TERMS, progress=DONE):
    return objective(Fixed(terms), torch.zeros(5, 1), NOISE, progress)


def test_without_free_bits_and_warm_up_the_loss_is_the_negative_bound():
    objective = ELBO(free_bits=0, warmup=0)
    torch.testing.assert_close(loss(objective), -TERMS.log_weight.mean())
    at_start = loss(objective, progress=Progress(0, 100))
    torch.testing.assert_close(at_start, -TERMS.log_weight.mean())


def test_a_model_without_latent_layers_loses_its_negative_log_likelihood():
    terms = Terms(torch.tensor([-1.0, -3.0]))
    assert loss(ELBO(), terms).item() == 2.0
    ELBO().check(0)


@pytest.mark.parametrize("free_bits", [2.0, (0.5, 3.0), (0.0, 1.0), [1.0, 0.0]])
def test_channel_floors_hold_for_each_unit_at_every_position(free_bits):
    floors = free_bits if isinstance(free_bits, (tuple, list)) else [free_bits] * 2
    expected = -TERMS.log_px.mean().item()
    for layer, floor in zip(TERMS.layers, floors, strict=True):
        ratio = layer.log_ratio.detach()
        n, n_channels = ratio.shape[:2]
        for value in ratio.flatten().tolist():
            expected += (max(value, floor / n_channels) if floor else value) / n
    assert loss(ELBO(free_bits=free_bits)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("free_bits", [2.0, (0.5, 30.0), (0.0, 1.0)])
def test_layer_floors_hold_for_the_mean_of_a_whole_layer(free_bits):
    floors = free_bits if isinstance(free_bits, tuple) else [free_bits] * 2
    expected = -TERMS.log_px.mean().item()
    for layer, floor in zip(TERMS.layers, floors, strict=True):
        total = layer.log_ratio.detach().sum().item() / 5
        expected += max(total, floor) if floor else total
    objective = ELBO(free_bits=free_bits, free_bits_over="layer")
    assert loss(objective).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("over", ["channel", "layer"])
def test_the_floor_stops_the_gradient_of_a_collapsed_layer_and_of_no_other(over):
    collapsed = LayerTerms(torch.zeros(5, 4, requires_grad=True), torch.zeros(5, 4))
    active = LayerTerms(torch.full((5, 4), -9.0, requires_grad=True), torch.zeros(5, 4))
    loss(
        ELBO(free_bits=2.0, free_bits_over=over), Terms(torch.zeros(5), (collapsed, active))
    ).backward()
    assert (collapsed.log_prior.grad == 0).all()
    torch.testing.assert_close(active.log_prior.grad, torch.full((5, 4), -1 / 5))


def test_more_free_bits_never_lower_the_loss():
    losses = [loss(ELBO(free_bits=bits)).item() for bits in (1e-9, 0.5, 1.0, 2.0, 8.0)]
    assert losses == sorted(losses)
    assert losses[0] > loss(ELBO(free_bits=0)).item()  # single ratios may be negative


def test_warm_up_weighs_the_divergence_only():
    objective = ELBO(free_bits=0, warmup=1.0)
    progress = Progress(step=50, n_steps=101)
    expected = -TERMS.log_px.mean() + 0.5 * TERMS.log_ratios().sum(0).mean()
    torch.testing.assert_close(loss(objective, progress=progress), expected)


@pytest.mark.parametrize(
    "step, warmup, beta",
    [
        (0, 0.0, 1.0),
        (0, 0.1, 1 / 11),
        (4, 0.1, 5 / 11),
        (10, 0.1, 1.0),
        (99, 0.1, 1.0),
        (49, 1.0, 50 / 101),
    ],
)
def test_the_weight_rises_linearly_to_one_over_the_warm_up(step, warmup, beta):
    assert linear_warmup(Progress(step, 100), warmup) == pytest.approx(beta)


def test_the_weight_is_never_zero_nor_above_one():
    weights = [linear_warmup(Progress(step, 100), 0.3) for step in range(100)]
    assert weights == sorted(weights)
    assert 0 < weights[0] and weights[-1] == 1.0


def test_progress_is_a_fraction_and_stays_one_after_the_end():
    assert Progress(25, 100).fraction == 0.25
    assert Progress(200, 100).fraction == 1.0
    assert Progress(0, 0).fraction == 0.0


def test_a_wrong_number_of_free_bits_is_refused_with_the_number_of_layers():
    with pytest.raises(ValueError, match=r"3 entries, but the model has 2 latent layers. Give one"):
        ELBO(free_bits=(1.0, 2.0, 3.0)).check(2)


@pytest.mark.parametrize("free_bits", [-1.0, (2.0, -1.0), (2.0, "a"), (2.0, math.nan), "two", None])
def test_free_bits_that_are_no_number_of_at_least_0_are_refused(free_bits):
    with pytest.raises(ValueError, match="free_bits"):
        ELBO(free_bits=free_bits).check(2)


@pytest.mark.parametrize(
    "wrong", [{"free_bits_over": "unit"}, {"warmup": -0.1}, {"warmup": 1.1}, {"warmup": None}]
)
def test_an_unknown_option_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ELBO(**wrong).check(2)


def test_an_objective_can_be_cloned_and_set_like_any_estimator():
    objective = clone(ELBO(free_bits=(1.0, 2.0))).set_params(warmup=0.5)
    assert objective.get_params() == {
        "free_bits": (1.0, 2.0),
        "free_bits_over": "channel",
        "warmup": 0.5,
        "schedule": "linear",
    }
