"""Gradients of single rows from one backward pass, against a backward pass of each row alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import register_parametrization

from skood import HVAE, PixelCNN
from skood.core.modes import explicit_construction
from skood.core.noise import Noise
from skood.gradients import norms as engine
from skood.gradients.norms import (
    plan_gradients,
    second_moments,
    squared_norms,
)
from skood.models._glow import Glow
from skood.models._maf import MAF
from skood.nn.bijections.autoregressive import MaskedLinear
from skood.nn.layers import Linear, WeightNorm
from skood.testing import easy_images, spec_of, tensor_of

N = 6
IMAGES = easy_images(N)
TABLE = np.random.default_rng(0).normal(size=(N, 5))
MODELS = {
    "Glow of maps": (Glow("conv", n_steps=2, width=5), IMAGES),
    "Glow of flat images": (Glow("flat", n_steps=2, width=5), IMAGES),
    "Glow of a table": (Glow(n_steps=2, width=5), TABLE),
    "MAF of a table": (MAF(n_transforms=2, width=6), TABLE),
    "MAF of images": (MAF("spline", n_transforms=1, width=6), IMAGES),
    "PixelCNN": (PixelCNN(4, n_hidden_layers=3), IMAGES),
    "PixelCNN of a table": (PixelCNN(4, n_hidden_layers=2), TABLE),
    "HVAE of patches": (HVAE((3, 2, 2), width=8), IMAGES),
    "HVAE of a table": (HVAE((3, 2), width=8), TABLE),
    "HVAE with weight norm": (HVAE((3, 2), network="resnet", width=8), IMAGES),
}


def log_weight(network, x):
    return network.terms(x, Noise(0, shared=True).fork(0)).log_weight


def case(network, x, target):
    """A network, rows for it, the plan, and each row's gradients from a loop, (n, *shape)."""
    with explicit_construction(0), torch.no_grad():
        for p in network.double().eval().parameters():
            p.add_(0.02 * torch.randn_like(p))
    rows = []
    for row in x.split(1):
        network.zero_grad()
        target(network, row).sum().backward()
        rows.append({f"network.{k}": grad(p) for k, p in network.named_parameters()})
    loop = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    plan = plan_gradients(network, target, x[:3])
    return SimpleNamespace(network=network, x=x, target=target, plan=plan, loop=loop)


def grad(p):
    return torch.zeros_like(p) if p.grad is None else p.grad.clone()


def squares(gradients):
    return gradients.square().flatten(1).sum(1)


def norms(case, **options):
    return squared_norms(case.network, case.target, case.x, case.plan, **options)


def expected_norms(case):
    return torch.stack([squares(case.loop[name]) for name in case.plan])


def assert_same(found, expected, tolerance=1e-8):
    """Relatively to the largest number of the tensor, below which there is rounding."""
    assert found.dtype == torch.float64 and found.shape == expected.shape
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=1e-12 * b.max().item())


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    estimator, X = MODELS[request.param]
    with explicit_construction(0):
        network = estimator._build_network(spec_of(X))
    return case(network, tensor_of(X).double(), log_weight)


def test_the_norms_are_those_of_each_row_alone(model):
    assert_same(norms(model), expected_norms(model))


def test_only_tensors_without_effect_are_left_out(model):
    largest = {name: squares(g).max().item() for name, g in model.loop.items()}
    smallest = 1e-24 * max(largest.values())
    assert list(model.plan) == [name for name in model.loop if largest[name] > smallest]


@pytest.mark.parametrize("group_size", [2, 3])
def test_the_norms_of_a_group_are_those_of_the_sum_over_its_rows(model, group_size):
    in_groups = [model.loop[name].unflatten(0, (-1, group_size)).sum(1) for name in model.plan]
    expected = torch.stack([squares(gradients) for gradients in in_groups])
    assert_same(norms(model, group_size=group_size), expected)


def test_weights_multiply_the_squared_partial_derivatives(model):
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.rand(p[0].shape, generator=generator, dtype=torch.float64).reciprocal()
        for name, p in model.loop.items()
    }
    weighted = [
        (model.loop[name].square() * weights[name]).flatten(1).sum(1) for name in model.plan
    ]
    assert_same(norms(model, weights=weights), torch.stack(weighted))


@pytest.mark.parametrize("group_size", [1, 3])
def test_the_second_moments_are_the_sums_of_squares(model, group_size):
    options = {"group_size": group_size}
    found = second_moments(model.network, model.target, model.x, model.plan, **options)
    assert list(found) == list(model.plan)
    for name, moment in found.items():
        groups = model.loop[name].unflatten(0, (-1, group_size)).sum(1)
        expected = groups.square().sum(0)
        torch.testing.assert_close(moment, expected, rtol=1e-8, atol=1e-12 * expected.max().item())


@pytest.mark.parametrize("largest", [1, 3000])
@pytest.mark.parametrize("group_size", [1, 2])
def test_little_memory_gives_the_same_norms(model, largest, group_size, monkeypatch):
    expected = norms(model, group_size=group_size)
    monkeypatch.setattr(engine, "_LARGEST_PIECE", largest)
    assert_same(norms(model, group_size=group_size), expected, tolerance=1e-10)


def test_little_memory_gives_the_same_second_moments(model, monkeypatch):
    arguments = (model.network, model.target, model.x, model.plan)
    expected = second_moments(*arguments)
    monkeypatch.setattr(engine, "_LARGEST_PIECE", 1)
    for name, moment in second_moments(*arguments).items():
        torch.testing.assert_close(moment, expected[name], rtol=1e-10, atol=1e-20)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_norms_of_a_row_do_not_depend_on_how_many_rows_there_are(model, n):
    few = squared_norms(model.network, model.target, model.x[:n], model.plan)
    assert_same(few, norms(model)[:, :n])


def test_the_norms_of_a_row_are_bitwise_equal_whatever_rows_are_beside_it(model):
    others = model.x.flip(0)
    others[2] = model.x[2]
    beside_others = squared_norms(model.network, model.target, others, model.plan)
    assert torch.equal(beside_others[:, 2], norms(model)[:, 2])


def test_the_network_and_its_gradients_stay_as_they_are(model):
    before = {
        name: p.grad.clone() for name, p in model.network.named_parameters() if p.grad is not None
    }
    with torch.inference_mode(False):
        result = norms(model)
    assert not result.requires_grad and not model.network.training
    for name, p in model.network.named_parameters():
        assert p.requires_grad and (name not in before or torch.equal(p.grad, before[name]))
    assert not any(module._forward_hooks for module in model.network.modules())


# --------------------------------------------------------------------- layers, one or two at a time


def sum_of_squares(network, x):
    """Not linear, so that the gradients of two calls differ."""
    return torch.sin(network(x)).flatten(1).sum(1)


def small(network, *shape):
    x = torch.randn(N, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with explicit_construction(0):
        return case(network(), x, sum_of_squares)


MASK = torch.ones(3, 4).tril().bool()
LAYERS = {
    "linear": (lambda: nn.Linear(4, 3), (4,)),
    "linear without bias": (lambda: nn.Linear(4, 3, bias=False), (4,)),
    "our linear": (lambda: Linear(4, 3), (4,)),
    "masked linear": (lambda: MaskedLinear(MASK), (4,)),
    "masked linear on positions": (lambda: MaskedLinear(MASK), (2, 5, 4)),
    "linear on positions": (lambda: nn.Linear(4, 3), (2, 5, 4)),
    "wide linear on positions": (lambda: nn.Linear(40, 30), (2, 40)),
    "1x1": (lambda: nn.Conv2d(3, 4, 1), (3, 4, 4)),
    "1x1, strided": (lambda: nn.Conv2d(3, 4, 1, stride=2), (3, 5, 4)),
    "1x1, padded": (lambda: nn.Conv2d(3, 4, 1, padding=1), (3, 2, 3)),
    "1x1, transposed": (lambda: nn.ConvTranspose2d(3, 4, 1), (3, 2, 3)),
    "3x3": (lambda: nn.Conv2d(3, 4, 3), (3, 5, 4)),
    "without bias": (lambda: nn.Conv2d(3, 4, 3, bias=False), (3, 5, 4)),
    "many channels": (lambda: nn.Conv2d(30, 40, 3), (30, 3, 4)),
    "fewer channels": (lambda: nn.Conv2d(5, 2, 3), (5, 4, 6)),
    "fewer channels, padded": (lambda: nn.Conv2d(5, 2, (3, 4), padding=(1, 2)), (5, 4, 3)),
    "fewer channels, padded by far": (lambda: nn.Conv2d(5, 2, (3, 1), padding=3), (5, 2, 3)),
    "fewer channels, strided": (lambda: nn.Conv2d(5, 2, 3, stride=2, bias=False), (5, 6, 5)),
    "strided": (lambda: nn.Conv2d(3, 4, (3, 2), stride=(2, 3)), (3, 6, 8)),
    "padded": (lambda: nn.Conv2d(3, 4, (3, 5), padding=(1, 3)), (3, 4, 5)),
    "dilated": (lambda: nn.Conv2d(3, 4, 2, dilation=(2, 3)), (3, 5, 6)),
    "all of it": (lambda: nn.Conv2d(2, 3, 3, stride=2, padding=2, dilation=2), (2, 7, 6)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 4, 2, stride=2), (3, 3, 2)),
    "transposed, padded": (lambda: nn.ConvTranspose2d(3, 4, 3, padding=(1, 0)), (3, 4, 3)),
    "transposed, dilated": (lambda: nn.ConvTranspose2d(3, 2, 3, dilation=2), (3, 3, 2)),
    "transposed, more output": (
        lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1),
        (2, 3, 4),
    ),
}
OTHERS = {
    "grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2), (4, 5, 4)),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), (4, 5, 4)),
    "circular": (lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (3, 4, 4)),
    "padded by name": (lambda: nn.Conv2d(3, 4, 3, padding="same"), (3, 4, 5)),
    "transposed and grouped": (lambda: nn.ConvTranspose2d(4, 6, 2, groups=2), (4, 3, 2)),
    "one-dimensional": (lambda: nn.Conv1d(3, 4, 2), (3, 6)),
    "layer norm": (lambda: nn.LayerNorm(4), (4,)),
    "weight norm": (lambda: WeightNorm(nn.Conv2d(3, 4, 3)), (3, 4, 4)),
    "parametrised": (lambda: register_parametrization(nn.Linear(4, 3), "weight", nn.Tanh()), (4,)),
}


@pytest.mark.parametrize("name", [*LAYERS, *OTHERS])
def test_a_layer_between_others_has_the_gradients_of_the_loop(name):
    layer, shape = (LAYERS | OTHERS)[name]
    alone = small(lambda: nn.Sequential(nn.Tanh(), layer(), nn.Tanh()), *shape)
    assert len(alone.plan) == len(alone.loop)
    assert_same(norms(alone), expected_norms(alone))
    moments = second_moments(alone.network, alone.target, alone.x, alone.plan)
    for parameter, moment in moments.items():
        torch.testing.assert_close(moment, alone.loop[parameter].square().sum(0))


@pytest.mark.parametrize("name", [*LAYERS, *OTHERS])
@pytest.mark.parametrize("group_size", [1, 3])
def test_a_layer_has_the_weighted_gradients_of_the_loop(name, group_size):
    layer, shape = (LAYERS | OTHERS)[name]
    alone, expected = small(layer, *shape), []
    weights = {
        name: torch.linspace(1, 9, p[0].numel()).double().view_as(p[0])
        for name, p in alone.loop.items()
    }
    for parameter in alone.plan:
        groups = alone.loop[parameter].unflatten(0, (-1, group_size)).sum(1)
        expected.append((groups.square() * weights[parameter]).flatten(1).sum(1))
    assert_same(norms(alone, group_size=group_size, weights=weights), torch.stack(expected))


@pytest.mark.parametrize("name", LAYERS)
def test_the_layers_that_are_known_have_a_closed_form(name):
    layer, shape = LAYERS[name]
    assert {how for _, how in small(layer, *shape).plan.values()} == {"closed form"}


@pytest.mark.parametrize("name", OTHERS)
def test_the_layers_that_are_not_known_go_by_torch_func(name):
    layer, shape = OTHERS[name]
    assert {how for _, how in small(layer, *shape).plan.values()} == {"func"}


def assert_right(network, *shape):
    made_up = small(network, *shape)
    assert_same(norms(made_up), expected_norms(made_up))
    groups = [made_up.loop[name].unflatten(0, (-1, 3)).sum(1) for name in made_up.plan]
    assert_same(norms(made_up, group_size=3), torch.stack([squares(g) for g in groups]))
    return made_up


class Twice(nn.Module):
    """The same layer on x and on what comes of it."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(torch.tanh(self.layer(x)))


@pytest.mark.parametrize(
    "layer, shape",
    [
        (lambda: nn.Linear(4, 4), (4,)),
        (lambda: nn.Conv2d(2, 2, 3), (2, 7, 6)),
        (lambda: nn.ConvTranspose2d(2, 2, 2), (2, 3, 2)),
        (lambda: nn.LayerNorm(4), (4,)),
        (lambda: nn.Conv2d(2, 2, 3, groups=2), (2, 7, 6)),
    ],
    ids=["linear", "convolution", "transposed", "layer norm", "grouped"],
)
def test_a_layer_that_is_applied_twice_has_the_sum_of_both_gradients(layer, shape):
    made_up = assert_right(lambda: Twice(layer()), *shape)
    assert {module for module, _ in made_up.plan.values()} == {"network.layer"}


def tied():
    network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    network[2].weight = network[0].weight
    return network


def test_weights_that_two_modules_share_have_the_sum_of_both_gradients():
    made_up = assert_right(tied, 4)
    assert made_up.plan["network.0.weight"] == ("network", "func")
    assert made_up.plan["network.0.bias"] == ("network.0", "closed form")


class Tied(nn.Module):
    """The weights of a layer are used once more outside of it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return F.linear(self.layer(x), self.layer.weight.T)


def test_weights_that_are_used_outside_their_layer_have_all_of_their_gradient():
    made_up = assert_right(Tied, 4)
    assert made_up.plan["network.layer.weight"] == ("network", "func")


@pytest.mark.parametrize("n_in", [30, 1000, 4000])
def test_a_weight_under_weight_norm_also_has_an_effect_through_its_length(n_in):
    """Of many inputs that is a small part of its gradient, but a part."""
    made_up = assert_right(lambda: WeightNorm(nn.Linear(n_in, 3)), n_in)
    assert made_up.plan["network.layer.weight"] == ("network", "func")


class Unusual(nn.Linear):
    """What is not known of a linear layer."""

    def forward(self, x):
        return F.linear(x, self.weight / self.weight.norm(), self.bias)


class Regular(nn.Linear):
    """A subclass is not trusted even if it does the usual thing."""


@pytest.mark.parametrize("layer", [Unusual, Regular])
def test_a_subclass_of_a_layer_is_not_trusted_to_be_one(layer):
    made_up = assert_right(lambda: nn.Sequential(layer(4, 3), nn.Tanh()), 4)
    assert set(made_up.plan.values()) == {("network.0", "func")}


class Bare(nn.Module):
    """Parameters outside of any layer, and a module of several inputs and outputs."""

    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x, *, other):
            return x * self.scale, {"sum": other + self.scale}

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(4))
        self.gate = self.Gate()

    def forward(self, x):
        y, rest = self.gate(x + self.shift, other=torch.cos(x))
        return torch.stack([y, rest["sum"]], dim=1)


def test_bare_parameters_and_modules_with_many_inputs_are_right():
    made_up = assert_right(Bare, 4)
    assert made_up.plan["network.gate.scale"] == ("network.gate", "func")
    assert made_up.plan["network.shift"] == ("network", "func")


class PartlyUsed(nn.Module):
    """One layer is not called, and one is multiplied by nought."""

    def __init__(self):
        super().__init__()
        self.used, self.unused, self.nought = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.used(x) + 0 * self.nought(x)


def test_tensors_without_effect_are_left_out_of_the_plan():
    made_up = assert_right(PartlyUsed, 4)
    assert list(made_up.plan) == ["network.used.weight", "network.used.bias"]


def test_tensors_whose_gradient_is_only_rounding_are_left_out_of_the_plan():
    class Direction(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)
            self.length = nn.Parameter(torch.tensor(3.0))

        def forward(self, x):
            return self.layer(x) * (self.length / self.length)

    assert list(assert_right(Direction, 4).plan) == ["network.layer.weight", "network.layer.bias"]


@pytest.mark.parametrize("size", [1e-30, 1e-10, 1.0, 1e10, 1e30, 0.0])
def test_gradients_of_any_size_have_the_norm_that_double_precision_gives(size):
    layer, x = nn.Linear(30, 20), torch.randn(6, 30)
    sizes = torch.tensor([size, 1, size, 1, 1, size])[:, None]

    def target(layer, x):
        return (layer(x) * sizes[: len(x)]).flatten(1).sum(1)

    plan = {
        "network.weight": ("network", "closed form"),
        "network.bias": ("network", "closed form"),
    }
    found = squared_norms(layer, target, x, plan, group_size=1)
    expected = 20 * (sizes * torch.cat([x, torch.ones(6, 1)], 1)).double().square()
    torch.testing.assert_close(found[0], expected[:, :30].sum(1), rtol=1e-5, atol=0.0)
    torch.testing.assert_close(found[1], expected[:, 30], rtol=1e-5, atol=0.0)


# ---------------------------------------------------------------------------------------- memory
