"""Layers between features of any shape, live and well scaled from the start."""

import itertools
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from skood.core.noise import Noise
from skood.nn.layers import InitialisedFromData, Join, ResidualBlock, Stage, WeightNorm, adapter

VECTOR, SMALL, LARGE, OBLONG = (6,), (3, 2, 3), (4, 4, 6), (2, 4, 3)
SHAPES = [VECTOR, (7,), SMALL, (5, 2, 3), LARGE]
NORMALISE = pytest.mark.parametrize("normalise", [False, True])
LAYERS = {
    "linear": (lambda: nn.Linear(4, 6), (4,)),
    "convolution": (lambda: nn.Conv2d(3, 5, 3, padding=1), (3, 6, 6)),
    "strided": (lambda: nn.Conv2d(3, 5, 2, stride=2), (3, 6, 6)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 5, 2, stride=2), (3, 6, 6)),
}


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class Single(InitialisedFromData):
    """A network of one weight-normalised layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer = WeightNorm(layer)

    def terms(self, x, noise):
        return self.layer(x)


@NORMALISE
@pytest.mark.parametrize("shape_in, shape_out", list(itertools.product(SHAPES, SHAPES)))
def test_an_adapter_leads_from_any_shape_to_any_other(shape_in, shape_out, normalise):
    x = torch.randn(2, *shape_in)
    y = adapter(shape_in, shape_out, normalise)(x)
    assert y.shape == (2, *shape_out)
    assert y.std() > 0


@pytest.mark.parametrize("shape_out", [VECTOR, SMALL, LARGE])
def test_every_input_value_reaches_the_output_of_an_adapter(shape_out):
    x = torch.randn(1, *LARGE, requires_grad=True)
    adapter(LARGE, shape_out)(x).square().sum().backward()
    assert (x.grad != 0).all()


@NORMALISE
def test_a_join_is_the_sum_of_its_adapted_inputs(normalise):
    join = Join([VECTOR, SMALL, LARGE], OBLONG[:1] + SMALL[1:], normalise).double()
    inputs = [torch.randn(2, *shape, dtype=torch.float64) for shape in (VECTOR, SMALL, LARGE)]
    expected = sum(layer(x) for layer, x in zip(join.adapters, inputs, strict=True))
    torch.testing.assert_close(join(*inputs), expected)


def test_a_join_refuses_a_missing_input():
    with pytest.raises(ValueError, match="shorter"):
        Join([VECTOR, VECTOR], VECTOR)(torch.zeros(1, 6))


@NORMALISE
@pytest.mark.parametrize(
    "shape_in, shape_out",
    [(VECTOR, VECTOR), (SMALL, SMALL), ((3, 4, 6), SMALL), (SMALL, (3, 4, 6)), (SMALL, (3, 5, 7))],
)
def test_a_residual_block_resamples_maps(shape_in, shape_out, normalise):
    block = ResidualBlock(shape_in, shape_out, kernel=3, normalise=normalise)
    assert block(torch.randn(2, *shape_in)).shape == (2, *shape_out)


def test_a_residual_block_of_zero_weights_is_the_identity():
    block = ResidualBlock(SMALL, SMALL, kernel=3)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, *SMALL)
    assert torch.equal(block(x), x)


def test_a_residual_block_is_two_layers_after_rectifiers_plus_its_input():
    block, x = ResidualBlock(VECTOR, VECTOR, kernel=1).double(), torch.randn(2, 6).double()
    torch.testing.assert_close(block(x), block.second(block.first(x.relu()).relu()) + x)


@NORMALISE
@pytest.mark.parametrize("n_blocks", [0, 1, 2])
@pytest.mark.parametrize("shape_in, shape_out", list(itertools.product(SHAPES, SHAPES)))
def test_a_stage_leads_from_any_shape_to_any_other(shape_in, shape_out, n_blocks, normalise):
    stage = Stage([VECTOR, LARGE], shape_in, shape_out, n_blocks=n_blocks, normalise=normalise)
    y = stage(torch.randn(2, 6), torch.randn(2, *LARGE))
    assert y.shape == (2, *shape_out)


def test_every_input_of_a_stage_has_an_effect():
    stage = Stage([VECTOR, LARGE], SMALL, VECTOR, n_blocks=1)
    inputs = [torch.randn(2, *s, requires_grad=True) for s in (VECTOR, LARGE)]
    stage(*inputs).square().sum().backward()
    assert all(x.grad.abs().sum() > 0 for x in inputs)


@pytest.mark.parametrize("kind", LAYERS)
def test_after_initialisation_every_channel_has_zero_mean_and_unit_variance(kind):
    make, shape = LAYERS[kind]
    network, x = Single(make()).double(), 3 + 5 * torch.randn(40, *shape, dtype=torch.float64)
    with torch.no_grad():
        network.initialise_from_data(x, Noise(0))
        channels = network.layer(x).transpose(0, 1).flatten(1)
    torch.testing.assert_close(channels.mean(1), torch.zeros(len(channels)).double())
    torch.testing.assert_close(channels.var(1, correction=0), torch.ones(len(channels)).double())


def test_initialisation_of_a_single_row_or_a_constant_stays_finite():
    network = Single(nn.Linear(4, 6))
    with torch.no_grad():
        network.initialise_from_data(torch.ones(1, 4), Noise(0))
    assert all(p.isfinite().all() for p in network.parameters())
    assert torch.allclose(network.layer(torch.ones(1, 4)), torch.zeros(1, 6), atol=1e-5)


@pytest.mark.parametrize("kind", LAYERS)
def test_weight_normalisation_equals_that_of_torch(kind):
    make, shape = LAYERS[kind]
    ours, theirs = WeightNorm(make()).double(), make().double()
    axis = 1 if kind == "transposed" else 0
    with torch.no_grad():
        ours.gain.copy_(torch.rand_like(ours.gain) + 0.5)
        ours.bias.copy_(torch.randn_like(ours.bias))
        theirs.bias.copy_(ours.bias)
        theirs = weight_norm(theirs, dim=axis)
        original = theirs.parametrizations.weight
        original.original0.copy_(ours.gain.reshape(original.original0.shape))
        original.original1.copy_(ours.layer.weight)
    x = torch.randn(3, *shape, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("kind", LAYERS)
def test_the_length_of_the_weights_has_no_effect(kind):
    make, shape = LAYERS[kind]
    layer, x = WeightNorm(make()).double(), torch.randn(3, *shape, dtype=torch.float64)
    before = layer(x)
    with torch.no_grad():
        layer.layer.weight.mul_(7)
    torch.testing.assert_close(layer(x), before)


def test_a_weight_normalised_layer_can_be_pickled():
    layer, x = WeightNorm(nn.Conv2d(3, 5, 3)), torch.randn(2, 3, 6, 6)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), layer(x))
