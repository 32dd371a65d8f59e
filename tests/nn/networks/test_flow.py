"""The density of a flow integrates to one, is that of its samples, and is that of `normflows`."""

import math

import normflows
import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from skood.core.modes import explicit_construction
from skood.core.noise import Noise
from skood.nn.bijections.base import Chain
from skood.nn.bijections.couplings import LARGEST_LOG_SCALE, AlternatingCoupling, ChannelCoupling
from skood.nn.bijections.elementwise import ActNorm
from skood.nn.bijections.linear import InvertibleConvolution
from skood.nn.bijections.multi_scale import MultiScale
from skood.nn.bijections.reshaping import Flatten
from skood.nn.dequantization import DequantizedPixels, StandardizedReals
from skood.nn.networks.flow import ActNormFlowNetwork, FlowNetwork

LOC, SCALE = np.array([3.0, -20.0]), np.array([0.5, 4.0])
BASES = pytest.mark.parametrize("base", ["normal", "logistic"])
TRUTH = {"normal": stats.norm, "logistic": stats.logistic}


class DoubleNoise(Noise):
    """Random numbers for a network of double precision."""

    def normal(self, name, shape):
        return super().normal(name, shape).double()

    def uniform(self, name, shape):
        return super().uniform(name, shape).double()


def perturbed(module, std=0.3):
    with explicit_construction(0), torch.no_grad():
        for p in module.parameters():
            p.add_(std * torch.randn_like(p))
    return module.eval().requires_grad_(False)


def flat_chain(n_values, n_steps=3):
    steps = []
    for i in range(n_steps):
        coupling = AlternatingCoupling(n_values, i % 2, 8, 2)
        steps += [ActNorm(n_values), InvertibleConvolution(n_values), coupling]
    return Chain([*steps, Flatten((n_values,))])


def reals(loc=0.0, scale=1.0):
    return StandardizedReals(torch.tensor(loc).double(), torch.tensor(scale).double())


@pytest.fixture
def flow():
    """``flow(base)``: a random flow of two real features."""

    def make(base, dtype=torch.float64):
        with explicit_construction(1):
            network = ActNormFlowNetwork((2,), reals(LOC, SCALE), flat_chain(2), base)
        return perturbed(network.to(dtype))

    return make


@pytest.fixture
def grid():
    """``grid(network, n)``: points (n * n, 2) around all of the mass, p(x) there, a cell's area."""

    def evaluate(network, n=600):
        far = 6 if network.base == "normal" else 15
        x = network.sample(2000, DoubleNoise(0))
        middle, reach = x.mean(0), far * x.std(0)
        axes = [
            torch.linspace(-1, 1, n, dtype=x.dtype) * r + m
            for m, r in zip(middle, reach, strict=True)
        ]
        points = torch.cartesian_prod(*axes)
        area = (4 * reach.prod() / (n - 1) ** 2).item()
        return points, network.terms(points, Noise(0)).log_px.exp(), area

    return evaluate


@BASES
def test_the_density_of_two_features_integrates_to_one(base, flow, grid):
    _, density, area = grid(flow(base))
    assert density.sum().item() * area == pytest.approx(1, abs=1e-3)


@BASES
def test_the_mean_surprise_of_samples_is_the_entropy_of_the_density(base, flow, grid):
    network = flow(base)
    _, density, area = grid(network)
    entropy = -torch.special.xlogy(density, density).sum().item() * area
    surprise = -network.terms(network.sample(20_000, DoubleNoise(1)), Noise(0)).log_px
    assert surprise.mean().item() == pytest.approx(entropy, abs=4 * surprise.std().item() / 141)


@BASES
def test_samples_have_the_moments_of_the_density(base, flow, grid):
    network = flow(base)
    points, density, area = grid(network)
    x = network.sample(20_000, DoubleNoise(1))
    for features in (
        lambda x: x,
        lambda x: (x - x.new_tensor(LOC)).square(),
        lambda x: x[:, :1] > 3,
    ):
        expected = (features(points) * density[:, None]).sum(0) * area
        drawn = features(x).double()
        error = 5 * drawn.std(0) / math.sqrt(len(x))
        assert ((drawn.mean(0) - expected).abs() <= error).all()


@BASES
def test_the_base_variables_of_samples_are_those_that_were_drawn(base, flow):
    network = flow(base)
    epsilon = network.transform(network.sample(2000, DoubleNoise(7)), Noise(0))
    for column in epsilon.T:
        assert stats.kstest(column.numpy(), TRUTH[base].cdf).pvalue > 0.001
    if base == "normal":
        drawn = Noise(7).normal("base", (2000, 2)).double()
        torch.testing.assert_close(epsilon, drawn, rtol=1e-8, atol=1e-8)


@BASES
def test_the_inverse_gives_back_the_rows_from_their_base_variables(base, flow):
    network = flow(base)
    x = network.sample(50, DoubleNoise(0))
    torch.testing.assert_close(network.inverse(network.transform(x, Noise(0))), x)


@BASES
def test_the_log_likelihood_is_that_of_the_base_plus_the_log_determinants(base, flow):
    network = flow(base)
    x = network.sample(20, DoubleNoise(0))
    y = (x.numpy() - LOC) / SCALE
    epsilon, log_det = network.bijection(torch.tensor(y))
    expected = TRUTH[base].logpdf(epsilon.numpy()).sum(1) + log_det.numpy() - np.log(SCALE).sum()
    np.testing.assert_allclose(network.terms(x, Noise(0)).log_px, expected, rtol=1e-10)


def test_a_flow_has_no_latent_layers_and_its_log_weight_is_its_log_likelihood(flow):
    network = flow("normal")
    x = network.sample(5, DoubleNoise(0))
    terms = network.terms(x, Noise(0))
    assert terms.layers == ()
    assert torch.equal(terms.log_weight, network.terms(x, Noise(0)).log_px)


def test_the_largest_log_likelihood_is_that_of_the_data(flow):
    scale = torch.ones(1, 1, 1).double()
    network = FlowNetwork(
        (1, 2, 2), DequantizedPixels(scale, scale, 255), Chain([ActNorm(1)]), "normal"
    )
    assert network.max_log_px == 0 and flow("normal").max_log_px == math.inf


def test_doubles_keep_their_digits_in_a_network_of_single_precision():
    """Seconds since 1970 lie 128 apart in float32."""
    coordinates = reals([1.7e9], [10.0])
    network = perturbed(
        FlowNetwork((1,), coordinates, Chain([ActNorm(1), Flatten((1,))]), "normal")
    )
    x = 1.7e9 + torch.linspace(-20, 20, 9).double()[:, None]
    terms, epsilon = network.terms(x, Noise(0)), network.transform(x, Noise(0))
    assert terms.log_px.dtype == epsilon.dtype == torch.float32
    assert len(terms.log_px.unique()) == 9
    torch.testing.assert_close(network.inverse(epsilon), x, rtol=0, atol=1e-4)


def test_extreme_uniform_numbers_give_finite_samples(flow):
    class Extreme(Noise):
        """As many zeros as numbers just below one."""

        def uniform(self, name, shape):
            return torch.tensor([0.0, 1 - 2**-24]).repeat(math.prod(shape) // 2).reshape(shape)

    assert flow("logistic", torch.float32).sample(10, Extreme(0)).isfinite().all()


def test_the_first_batch_is_standardised_on_its_way(flow):
    network = flow("normal")
    x = torch.tensor(np.random.default_rng(0).normal(LOC, SCALE, (500, 2)))
    network.initialise_from_data(x, Noise(0))
    layers = [m for m in network.modules() if isinstance(m, ActNorm)]
    assert len(layers) == 3 and not any(layer.initialising for layer in layers)
    y, _ = layers[0]((x - x.new_tensor(LOC)) / x.new_tensor(SCALE))
    torch.testing.assert_close(y.std(0, correction=0), torch.ones(2).double())


# --------------------------------------------------------------------------- against normflows


class ShiftAndLogScale(nn.Module):
    """What a coupling of normflows asks for, from the network of one of ours.

    Theirs leads from base variables to data, with shifts and logarithms by turns.
    """

    def __init__(self, network, bound):
        super().__init__()
        self.network, self.bound = network, bound

    def forward(self, condition):
        shift, raw = self.network(condition).chunk(2, dim=1)
        return torch.stack([-shift, -self.bound * torch.tanh(raw / self.bound)], 2).flatten(1, 2)


class Masked(nn.Module):
    """Shift or logarithm (``part`` 0 or 1) of every value, from one of our couplings."""

    def __init__(self, coupling, part):
        super().__init__()
        self.coupling, self.part, self.parity = coupling, part, coupling.parity
        self.parameters_for = ShiftAndLogScale(coupling.network, LARGEST_LOG_SCALE)

    def forward(self, masked):
        result = torch.zeros_like(masked)
        both = self.parameters_for(masked[:, self.parity :: 2])
        result[:, 1 - self.parity :: 2] = both[:, self.part :: 2]
        return result


def actnorm_of_normflows(ours, shape):
    theirs = normflows.flows.ActNorm(shape).double()
    theirs.s.copy_(-ours.log_scale.view(theirs.s.shape))
    theirs.t.copy_(-ours.shift.view(theirs.t.shape))
    theirs.data_dep_init_done.fill_(1)
    return theirs


def convolution_of_normflows(ours):
    """From the product of the factors: its own factorisation calls what torch deprecates."""
    theirs = normflows.flows.Invertible1x1Conv(len(ours.sign)).double()
    lower = ours.lower.tril(-1) + torch.eye(len(ours.sign))
    upper = ours.upper.triu(1) + torch.diag(ours.sign * ours.log_diagonal.exp())
    theirs.W.copy_(ours.permutation @ lower @ upper)
    return theirs


def coupling_of_normflows(ours):
    parameters = ShiftAndLogScale(ours.network, LARGEST_LOG_SCALE)
    return normflows.flows.AffineCouplingBlock(parameters)


def masked_of_normflows(ours, n_values):
    mask = torch.tensor([i % 2 == ours.parity for i in range(n_values)]).double()
    return normflows.flows.MaskedAffineFlow(mask, Masked(ours, 0), Masked(ours, 1))


def pairs():
    """Our layer, theirs, and the shape of a row."""
    with explicit_construction(0):
        actnorm, of_maps = ActNorm(4), ActNorm(4)
        convolution, coupling = InvertibleConvolution(4), ChannelCoupling(4, 6, 2)
        masked = [AlternatingCoupling(5, parity, 6, 2) for parity in (0, 1)]
    ours = [actnorm, of_maps, convolution, coupling, *masked]
    for layer in ours:
        perturbed(layer.double())
    theirs = [
        actnorm_of_normflows(actnorm, (4,)),
        actnorm_of_normflows(of_maps, (4, 1, 1)),
        convolution_of_normflows(convolution),
        coupling_of_normflows(coupling),
        *(masked_of_normflows(layer, 5) for layer in masked),
    ]
    shapes = [(4,), (4, 3, 2), (4, 3, 2), (4, 3, 2), (5,), (5,)]
    return list(zip(ours, theirs, shapes, strict=True))


NAMES = ["actnorm", "actnorm of maps", "convolution", "channel coupling", "even", "odd"]


@pytest.mark.parametrize("i", range(len(NAMES)), ids=NAMES)
@torch.no_grad()
def test_a_layer_and_its_log_determinant_are_those_of_normflows(i):
    ours, theirs, shape = pairs()[i]
    x = torch.randn(6, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, log_det = ours(x)
    expected, expected_log_det = theirs.inverse(x)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_det, expected_log_det.expand(6), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.inverse(x), theirs.forward(x)[0], rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_the_log_likelihood_of_a_glow_is_that_of_normflows():
    """One level; the learned means and scales of its base variables start at 0 and 1."""
    with explicit_construction(0):
        steps = [(ActNorm(4), InvertibleConvolution(4), ChannelCoupling(4, 6, 2)) for _ in range(3)]
    layers = perturbed(Chain([layer for step in steps for layer in step]).double())
    coordinates = reals([[[0.0]]])
    network = FlowNetwork((4, 3, 2), coordinates, MultiScale([layers], [(4, 3, 2)]), "normal")
    theirs = []
    for actnorm, convolution, coupling in steps:
        theirs += [actnorm_of_normflows(actnorm, (4, 1, 1)), convolution_of_normflows(convolution)]
        theirs += [coupling_of_normflows(coupling)]
    base = normflows.distributions.DiagGaussian((4, 3, 2), trainable=False)
    model = normflows.NormalizingFlow(base, theirs[::-1]).double()
    x = torch.randn(6, 4, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_px = network.double().eval().terms(x, Noise(0)).log_px
    torch.testing.assert_close(log_px, model.log_prob(x), rtol=1e-5, atol=1e-5)
