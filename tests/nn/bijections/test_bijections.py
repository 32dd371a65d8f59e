"""All bijections: the inverse undoes them, and the log-determinant is that of the Jacobian."""

import importlib
import inspect
import math
import pkgutil
from contextlib import contextmanager

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.nn import functional as F
from torch.utils import _pytree as pytree

import skood.nn
from skood.core.modes import explicit_construction
from skood.core.noise import Noise
from skood.nn.bijections.autoregressive import Autoregressive, alternating_order
from skood.nn.bijections.base import Bijection, Chain
from skood.nn.bijections.couplings import LARGEST_LOG_SCALE, AlternatingCoupling, ChannelCoupling
from skood.nn.bijections.elementwise import ActNorm, ElementwiseAffine
from skood.nn.bijections.linear import InvertibleConvolution
from skood.nn.bijections.multi_scale import MultiScale
from skood.nn.bijections.principal_axes import PrincipalAxes
from skood.nn.bijections.rank_one import RankOneStandardization
from skood.nn.bijections.reshaping import Flatten, Squeeze
from skood.nn.dequantization import DequantizedPixels, StandardizedReals
from skood.nn.networks.conditional_flow import ResidualConditioner
from skood.nn.networks.flow import ActNormFlowNetwork
from skood.nn.networks.self_reflective import affine_bijection, spline_bijection

N = 4


def step(n_channels):
    coupling = ChannelCoupling(n_channels, 4, 2)
    return [ActNorm(n_channels), InvertibleConvolution(n_channels), coupling]


def flat(n_values, n_steps=2):
    steps = []
    for i in range(n_steps):
        coupling = AlternatingCoupling(n_values, i % 2, 6, 2)
        steps += [ActNorm(n_values), InvertibleConvolution(n_values), coupling]
    return Chain([*steps, Flatten((n_values,))])


def two_scales():
    levels = [Chain([Squeeze(2), *step(4)]), Chain([Squeeze(2), *step(8)])]
    return MultiScale(levels, [(4, 2, 2), (8, 1, 1)])


def odd_scales():
    """Three levels of which the first two have odd numbers of channels."""
    levels = [ActNorm(7), ChannelCoupling(3, 4, 1), ActNorm(1)]
    return MultiScale(levels, [(7, 1, 2), (3, 1, 2), (1, 1, 2)])


def draw(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def autoregressive(univariate, n_context=0, index=0):
    options = {"width": 8, "n_hidden_layers": 2, "n_context": n_context}
    return Autoregressive(alternating_order(3, index), univariate, **options)


def standardization():
    return RankOneStandardization(ResidualConditioner(3, (2, 4), width=5))


def pixels():
    return DequantizedPixels(torch.full((1, 1, 1), 90.0), torch.full((1, 1, 1), 50.0), 255)


def reals():
    return StandardizedReals(torch.tensor([3.0, 0.0, -50.0]), torch.tensor([0.5, 1.0, 20.0]))


def principal_axes():
    axes = PrincipalAxes(5).double()
    x = draw(50, 5) @ draw(5, 5, seed=1)
    axes.set_moments(x.mean(0), x.T.cov(), 0.1)
    return axes


BIJECTIONS = {
    "actnorm of vectors": (lambda: ActNorm(3), (3,)),
    "actnorm of maps": (lambda: ActNorm(3), (3, 2, 2)),
    "convolution of vectors": (lambda: InvertibleConvolution(4), (4,)),
    "convolution of maps": (lambda: InvertibleConvolution(3), (3, 2, 2)),
    "convolution of one channel": (lambda: InvertibleConvolution(1), (1, 2, 2)),
    "channels": (lambda: ChannelCoupling(4, 6, 2), (4, 2, 3)),
    "odd channels": (lambda: ChannelCoupling(3, 6, 1), (3, 2, 2)),
    "two values, even stay": (lambda: AlternatingCoupling(2, 0, 6, 2), (2,)),
    "two values, odd stay": (lambda: AlternatingCoupling(2, 1, 6, 2), (2,)),
    "six values, even stay": (lambda: AlternatingCoupling(6, 0, 6, 1), (6,)),
    "six values, odd stay": (lambda: AlternatingCoupling(6, 1, 6, 3), (6,)),
    "five values, even stay": (lambda: AlternatingCoupling(5, 0, 6, 2), (5,)),
    "five values, odd stay": (lambda: AlternatingCoupling(5, 1, 6, 2), (5,)),
    "map, even stay": (lambda: AlternatingCoupling(9, 0, 6, 2), (1, 3, 3)),
    "map, odd stay": (lambda: AlternatingCoupling(12, 1, 6, 2), (2, 2, 3)),
    "squeeze by 2": (lambda: Squeeze(2), (2, 2, 4)),
    "squeeze by 3": (lambda: Squeeze(3), (1, 3, 6)),
    "flatten": (lambda: Flatten((2, 1, 3)), (2, 1, 3)),
    "flat chain": (lambda: flat(5), (5,)),
    "chain of maps": (lambda: Chain([Squeeze(2), *step(4), *step(4)]), (1, 4, 2)),
    "one scale": (lambda: MultiScale([Chain(step(3))], [(3, 2, 2)]), (3, 2, 2)),
    "two scales": (two_scales, (1, 4, 4)),
    "odd scales": (odd_scales, (7, 1, 2)),
    "affine map of maps": (lambda: ElementwiseAffine(3), (3, 2, 2)),
    "autoregressive, affine": (lambda: autoregressive("affine"), (3,)),
    "autoregressive, spline": (lambda: autoregressive("spline", index=1), (3,)),
    "autoregressive, given a context": (lambda: autoregressive("spline", 2), (3,)),
    "affine map of a latent": (lambda: affine_bijection(2, 5), (5,)),
    "splines of a latent": (lambda: spline_bijection(2, 5), (5,)),
    "standardisation of base variables": (standardization, (3,)),
    "principal axes": (principal_axes, (5,)),
    "dequantised pixels": (pixels, (1, 2, 3)),
    "standardised reals": (reals, (3,)),
}
CONTEXTS = {
    "autoregressive, given a context": draw(N, 2, seed=2),
    "affine map of a latent": draw(N, 2, seed=2),
    "splines of a latent": draw(N, 2, seed=2),
    "standardisation of base variables": (draw(N, 2, seed=2), draw(N, 4, seed=3)),
    "dequantised pixels": Noise(0, shared=True),
    "standardised reals": Noise(0, shared=True),
}
COUPLINGS = [name for name in BIJECTIONS if "stay" in name or name.endswith("channels")]
EACH = pytest.mark.parametrize("name", BIJECTIONS)


def make(name, dtype=torch.float64, std=0.3):
    """The bijection with its parameters moved at random, since couplings start as the identity."""
    create, shape = BIJECTIONS[name]
    with explicit_construction(0), torch.no_grad():
        bijection = create().to(dtype).eval()
        for p in bijection.parameters():
            p.add_(std * torch.randn_like(p))
    x = draw(N, *shape, dtype=dtype)
    if name == "dequantised pixels":
        x = (50 * x + 90).round().clamp(0, 255)
    return bijection.requires_grad_(False), x


def context_of(name, rows=slice(None), dtype=torch.float64):
    """What a conditional bijection is given for some of the rows."""
    context = CONTEXTS.get(name)
    if context is None or isinstance(context, Noise):
        return context
    return pytree.tree_map(lambda tensor: tensor[rows].to(dtype), context)


def public_bijections():
    for module in pkgutil.walk_packages(skood.nn.__path__, "skood.nn."):
        for name, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            is_base = name.startswith("_") or getattr(cls, "forward", None) is Bijection.forward
            if issubclass(cls, Bijection) and not is_base:
                yield cls


def test_every_bijection_is_among_them():
    assert {type(create()) for create, _ in BIJECTIONS.values()} == set(public_bijections())


@EACH
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_the_inverse_undoes_the_map(name, dtype, tolerance):
    bijection, x = make(name, dtype, std=0.1)
    context = context_of(name, dtype=dtype)
    y, _ = bijection(x, context)
    options = {"rtol": tolerance, "atol": tolerance}
    torch.testing.assert_close(bijection.inverse(y, context), x, **options)


@pytest.mark.parametrize("name", [name for name in BIJECTIONS if name != "dequantised pixels"])
def test_the_map_undoes_the_inverse(name):
    """Pixels are left out: the way back from them rounds."""
    bijection, x = make(name)
    context = context_of(name)
    y = draw(*bijection(x, context)[0].shape, seed=1)
    again, _ = bijection(bijection.inverse(y, context), context)
    torch.testing.assert_close(again, y, rtol=1e-10, atol=1e-10)


@EACH
def test_the_log_determinant_is_that_of_the_jacobian_of_each_row(name):
    bijection, x = make(name)
    _, log_det = bijection(x, context_of(name))
    assert log_det.shape == (N,)
    for i, value in enumerate(log_det):
        context = context_of(name, slice(i, i + 1))
        row = x[i : i + 1]
        matrix = jacobian(lambda x, c=context: bijection(x, c)[0].flatten(), row)
        expected = torch.linalg.slogdet(matrix.reshape(2 * [row.numel()])).logabsdet
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)


@EACH
def test_a_row_does_not_depend_on_the_rows_beside_it(name):
    bijection, x = make(name)
    together, alone = (
        bijection(x[rows], context_of(name, rows)) for rows in (slice(None), slice(2, 3))
    )
    for whole, row in zip(together, alone, strict=True):
        torch.testing.assert_close(whole[2:3], row, rtol=1e-12, atol=1e-12)


@pytest.fixture
def double_by_default():
    """``with double_by_default():`` torch makes tensors of double precision unless told."""

    @contextmanager
    def switch():
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)

    return switch


@EACH
def test_the_default_precision_of_torch_changes_nothing(name, double_by_default):
    bijection, x = make(name, torch.float32)
    context = context_of(name, dtype=torch.float32)
    y, log_det = bijection(x, context)
    expected = y, log_det, bijection.inverse(y, context)
    with double_by_default():
        found = *bijection(x, context), bijection.inverse(y, context)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)


@pytest.mark.parametrize("n_channels", [2, 5, 48])
@pytest.mark.parametrize("sides", [(), (4, 4)])
def test_the_convolution_of_a_row_is_bitwise_equal_at_any_place_of_a_batch(n_channels, sides):
    with explicit_construction(0), torch.no_grad():
        x = torch.randn(128, n_channels, *sides)
        layer = InvertibleConvolution(n_channels)
        rolled = layer(x.roll(37, 0))[0].roll(-37, 0)
        assert torch.equal(layer(x)[0], rolled)


@pytest.mark.parametrize("name", COUPLINGS)
def test_a_coupling_starts_as_the_identity(name):
    bijection, x = make(name, std=0)
    y, log_det = bijection(x)
    torch.testing.assert_close(y, x)
    assert (log_det == 0).all()


@pytest.mark.parametrize("n_values", [2, 5, 6])
@pytest.mark.parametrize("parity", [0, 1])
def test_an_alternating_coupling_leaves_every_second_value_as_it_is(n_values, parity):
    with explicit_construction(0):
        coupling = AlternatingCoupling(n_values, parity, 6, 2).double()
    torch.nn.init.normal_(coupling.network[-1].weight)
    x = draw(N, n_values)
    changed = (coupling(x)[0] != x).any(0)
    assert changed.tolist() == [i % 2 != parity for i in range(n_values)]


def test_a_channel_coupling_leaves_the_first_half_of_the_channels_as_it_is():
    coupling, x = make("odd channels")
    changed = (coupling(x)[0] != x).flatten(2).any(2).any(0)
    assert changed.tolist() == [False, True, True]


@pytest.mark.parametrize("name", COUPLINGS)
def test_a_coupling_scales_no_value_by_more_than_its_bound(name):
    coupling, x = make(name, std=100)
    n_changed = x[0].numel() - coupling._split(x)[0][0].numel()
    _, log_det = coupling(x)
    assert log_det.abs().max() <= n_changed * LARGEST_LOG_SCALE + 1e-9


def test_a_convolution_starts_as_a_rotation():
    with explicit_construction(0):
        layer = InvertibleConvolution(6).double().requires_grad_(False)
    columns, log_det = layer(torch.eye(6, dtype=torch.float64))
    identity = torch.eye(6, dtype=torch.float64)
    torch.testing.assert_close(columns @ columns.mT, identity, rtol=0, atol=1e-5)
    torch.testing.assert_close(log_det, torch.zeros_like(log_det), rtol=0, atol=1e-5)


def test_a_convolution_multiplies_every_pixel_by_one_matrix():
    layer, x = make("convolution of maps")
    columns, _ = layer(torch.eye(3, dtype=torch.float64))
    expected = F.conv2d(x, columns.mT[:, :, None, None])
    torch.testing.assert_close(layer(x)[0], expected, rtol=1e-12, atol=1e-12)


def test_a_squeeze_turns_each_patch_into_the_channels_of_one_pixel():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    y, _ = Squeeze(2)(x)
    assert y.shape == (1, 4, 2, 2)
    assert y[0, :, 0, 1].tolist() == [2, 3, 6, 7]


def test_what_leaves_a_multi_scale_flow_is_gaussian_given_what_stays():
    """With the prior's bias as its mean and log of its standard deviation, all else zero."""
    flow, x = make("odd scales", std=0)
    flow.priors[0].bias[:4], flow.priors[0].bias[4:] = 0.5, 0.25
    std = math.exp(LARGEST_LOG_SCALE * math.tanh(0.25 / LARGEST_LOG_SCALE))
    y, _ = flow(x)
    left, kept = y[:, :8].reshape(N, 4, 1, 2), y[:, 8:].reshape(N, 3, 1, 2)
    torch.testing.assert_close(left, (x[:, 3:] - 0.5) / std)
    torch.testing.assert_close(kept.sort(1).values, x[:, :3].sort(1).values)


def initialised(bijection, x):
    loc, scale = torch.zeros(1).double(), torch.ones(1).double()
    coordinates = StandardizedReals(loc, scale)
    network = ActNormFlowNetwork(x.shape[1:], coordinates, bijection, "normal").double().eval()
    with torch.no_grad():
        network.initialise_from_data(x, Noise(0))
    return network.requires_grad_(False)


@pytest.mark.parametrize("name", ["flat chain", "chain of maps", "two scales"])
def test_every_actnorm_standardises_the_first_batch(name):
    bijection, _ = make(name)
    x = 3 + 2 * draw(200, *BIJECTIONS[name][1])
    network, outputs = initialised(bijection, x), []
    for module in network.modules():
        if isinstance(module, ActNorm):
            module.register_forward_hook(lambda _, x, result: outputs.append(result[0]))
    network.terms(x, Noise(0))
    for y in outputs:
        std, mean = torch.std_mean(y.transpose(0, 1).flatten(1), dim=1, correction=0)
        torch.testing.assert_close(std, torch.ones_like(std))
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-9)
    assert len(outputs) == 2


def test_only_the_first_batch_sets_an_actnorm():
    network = initialised(Chain([ActNorm(3)]), 3 + draw(50, 3))
    before = [p.clone() for p in network.parameters()]
    network.terms(10 * draw(50, 3, seed=1), Noise(0))
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))


@pytest.mark.parametrize("constant", [0.0, 0.1, 7777.7])
def test_a_constant_channel_does_not_break_an_actnorm(constant):
    x = draw(50, 3, 2, 2)
    x[:, 1] = constant
    layer = ActNorm(3)
    initialised(Chain([layer, Flatten((3, 2, 2))]), x)
    y, log_det = layer(x)
    torch.testing.assert_close(y[:, 1], torch.zeros_like(y[:, 1]), rtol=0, atol=1e-9)
    torch.testing.assert_close(layer.log_scale[1].item(), 0.0)
    assert log_det.isfinite().all()
