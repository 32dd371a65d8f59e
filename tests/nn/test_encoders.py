"""Encoders that turn all of x into one vector for each layer, and decoders that turn it back."""

import math

import pytest
import torch
from torch import nn

from skood.nn.encoders import ImageDecoder, ImageEncoders, VectorDecoder, VectorEncoders, mlp

TABLE, GREY, COLOUR = (7,), (1, 8, 12), (3, 8, 4)
N_OUT, N_LAYERS, WIDTH = 5, 3, 32
ENCODERS = pytest.mark.parametrize(
    "kind, shape",
    [
        (VectorEncoders, TABLE),
        (VectorEncoders, GREY),
        (ImageEncoders, GREY),
        (ImageEncoders, COLOUR),
    ],
)
DECODERS = pytest.mark.parametrize(
    "kind, shape",
    [(VectorDecoder, TABLE), (VectorDecoder, GREY), (ImageDecoder, GREY), (ImageDecoder, COLOUR)],
)


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def rows(shape, n=4):
    return torch.randn(n, *shape, dtype=torch.float64)


def encoders(kind, shape, **options):
    return kind(shape, N_OUT, options.pop("n_layers", N_LAYERS), WIDTH).double()


def single_mlp(together, layer, n_in):
    """The perceptron of one layer alone, made of slices of the joint weights."""
    single, units = mlp(n_in, WIDTH, N_OUT).double(), slice(layer * WIDTH, (layer + 1) * WIDTH)
    weights = {
        "0.weight": together.first.weight[units],
        "0.bias": together.first.bias[units],
        "2.weight": together.second_weight[layer].T,
        "2.bias": together.second_bias[layer, 0],
        "4.weight": together.third_weight[layer].T,
        "4.bias": together.third_bias[layer, 0],
    }
    single.load_state_dict(weights)
    return single


@pytest.mark.parametrize("shape", [TABLE, GREY])
def test_vector_encoders_equal_one_perceptron_for_each_layer(shape):
    together, x = encoders(VectorEncoders, shape), rows(shape)
    for layer, encoded in enumerate(together(x)):
        expected = single_mlp(together, layer, math.prod(shape))(x.flatten(1))
        torch.testing.assert_close(encoded, expected, rtol=1e-12, atol=1e-12)


def test_each_layer_of_the_vector_encoders_starts_as_a_perceptron_of_its_own():
    """Glorot's variance for the sizes of one layer, not of all stacked."""
    together = VectorEncoders((50,), 40, 8, 100)
    sizes = {"first.weight": 150, "second_weight": 200, "third_weight": 140}
    for name, parameter in together.named_parameters():
        expected = (2 / sizes[name]) ** 0.5 if name in sizes else 0.0
        assert float(parameter.detach().std()) == pytest.approx(expected, rel=0.05)


@ENCODERS
@pytest.mark.parametrize("n_layers", [1, 3])
def test_encoders_give_one_vector_for_each_layer(kind, shape, n_layers):
    encoded = encoders(kind, shape, n_layers=n_layers)(rows(shape))
    assert [vector.shape for vector in encoded] == [(4, N_OUT)] * n_layers


@ENCODERS
def test_every_value_of_x_reaches_every_layer(kind, shape):
    network = encoders(kind, shape)
    for layer in range(N_LAYERS):
        x = rows(shape).requires_grad_()
        network(x)[layer].square().sum().backward()
        assert (x.grad.abs().sum(0) > 0).all()


@ENCODERS
def test_the_encoders_of_different_layers_differ_from_the_start(kind, shape):
    first, second, third = encoders(kind, shape)(rows(shape))
    for one, other in ((first, second), (first, third), (second, third)):
        assert (one - other).abs().max() > 0.01


def test_every_weight_of_the_vector_encoders_is_drawn_for_its_own_layer():
    network = encoders(VectorEncoders, TABLE)
    first = network.first.weight.unflatten(0, (N_LAYERS, WIDTH))
    for weights in (first, network.second_weight, network.third_weight):
        for one, other in ((0, 1), (0, 2), (1, 2)):
            assert (weights[one] - weights[other]).abs().median() > 0.01


@ENCODERS
def test_a_layer_trains_no_weight_of_the_others(kind, shape):
    """The gradients of the layers add up to that of their sum, and have no weight in common."""
    network, x = encoders(kind, shape), rows(shape)
    used = [
        torch.cat([g.flatten() != 0 for g in gradients(network, network(x)[layer].square().sum())])
        for layer in range(N_LAYERS)
    ]
    assert all(mask.any() for mask in used)
    assert torch.stack(used).sum(0).max() == 1


def gradients(network, loss):
    """Of all parameters, zero where there is none."""
    network.zero_grad(set_to_none=True)
    loss.backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]


@ENCODERS
def test_gradients_reach_all_parameters_of_the_encoders(kind, shape):
    network = encoders(kind, shape)
    loss = sum(vector.square().sum() for vector in network(rows(shape, n=20)))
    assert all(gradient.abs().sum() > 0 for gradient in gradients(network, loss))


@DECODERS
def test_decoders_lead_from_a_vector_to_the_parameters_of_x(kind, shape):
    assert kind(N_OUT, shape, WIDTH)(torch.randn(4, N_OUT)).shape == (4, *shape)


@DECODERS
def test_gradients_reach_all_parameters_of_the_decoder_and_every_unit_of_its_input(kind, shape):
    network = kind(N_OUT, shape, WIDTH).double()
    z = rows((N_OUT,), n=20).requires_grad_()
    loss = network(z).square().sum()
    assert all(gradient.abs().sum() > 0 for gradient in gradients(network, loss))
    assert (z.grad.abs().sum(0) > 0).all()


@pytest.mark.parametrize("width, n_channels", [(1, [1, 1]), (64, [4, 8])])
def test_image_encoders_have_a_sixteenth_and_an_eighth_as_many_channels(width, n_channels):
    layers = [m for m in ImageEncoders(GREY, N_OUT, 1, width).modules() if type(m) is nn.Conv2d]
    assert sorted({layer.out_channels for layer in layers}) == sorted(set(n_channels))
    assert ImageEncoders(GREY, N_OUT, 1, width)(torch.zeros(2, *GREY))[0].shape == (2, N_OUT)
