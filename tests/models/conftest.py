"""Small models of every kind, their untrained networks, and networks that are exact."""

import inspect
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.distributions import Normal

from skood import SeReMAF, SeReVAE, Trainer
from skood.core.modes import explicit_construction
from skood.core.noise import Noise
from skood.models._biva import BidirectionalNetwork
from skood.models._hvae import BottomUpNetwork
from skood.models._ladder_vae import LadderNetwork
from skood.models._sere_vae import SelfReflectiveNetwork
from skood.nn.bijections.rank_one import RankOneAffine, RankOneParameters
from skood.nn.likelihoods import Gaussian
from skood.nn.plans import plan_network
from skood.testing import spec_of, tensor_of


def _make(model_class, latent_dims=(3, 2, 2), **options):
    if "latent_dims" in inspect.signature(model_class).parameters:
        options["latent_dims"] = latent_dims
    else:
        options["latent_dim"] = latent_dims[0]
    defaults = {"width": 4, "max_epochs": 1, "trainer": Trainer(patience=None), "random_state": 0}
    return model_class(**(defaults | options))


def _build(model_class, X, latent_dims=(3, 2, 2), **options):
    # The encoders of "resnet" have a sixteenth as many channels in these two.
    width = 64 if model_class in (SeReVAE, SeReMAF) and options.get("network") == "resnet" else 8
    model = _make(model_class, latent_dims, **({"width": width} | options))
    with explicit_construction(0):
        net = model._build_network(spec_of(X)).double()
    x = tensor_of(X).double()
    if hasattr(net, "initialise_from_data"):
        with torch.no_grad():
            net.initialise_from_data(x, Noise(1))
    return net, x


@pytest.fixture(scope="session")
def make():
    """``make(model_class, latent_dims, **options)``: a small model, of one layer if it has one."""
    return _make


@pytest.fixture(scope="session")
def build():
    """``build(model_class, X, latent_dims, **options)``: an untrained network and rows for it."""
    return _build


# -------------------------------------------------------- the real networks, made exact and linear

STD_X = np.array([0.8, 0.5, 1.1, 0.7])
NAMES_X = ["xa", "xb", "xc", "xd"]


class World:
    """Linear-Gaussian variables, each given those before it, and what follows from Bayes."""

    def __init__(self):
        self.rows, self.parents = {}, {}

    def add(self, name, std, **weights):
        """``name = sum of weights * variables + std * noise``."""
        row = np.zeros(20)
        row[len(self.rows)] = std
        self.rows[name] = row + sum(w * self.rows[parent] for parent, w in weights.items())
        self.parents[name] = weights

    def add_x(self, *weights):
        for name, std, given in zip(NAMES_X, STD_X, weights, strict=True):
            self.add(name, std, **given)

    def covariance(self, first, second):
        return np.stack([self.rows[a] for a in first]) @ np.stack([self.rows[b] for b in second]).T

    def given(self, names, target):
        """Weights of the mean, and standard deviation, of one variable given others."""
        cross = self.covariance(names, [target])[:, 0]
        weights = np.linalg.solve(self.covariance(names, names), cross)
        return weights, np.sqrt(self.covariance([target], [target])[0, 0] - weights @ cross)

    def head(self, targets, names, kind=None):
        weights, stds = zip(*[self.given(names, target) for target in targets], strict=True)
        return (kind or Head)(weights, stds)

    def mean_of_x(self, given):
        weights = [[self.parents[x].get(name, 0.0) for name in given] for x in NAMES_X]
        return Linear(weights)

    def posterior(self, targets, X):
        """Mean (n, targets) and covariance of some variables given x, jointly."""
        cross = self.covariance(targets, NAMES_X)
        weights = cross @ np.linalg.inv(self.covariance(NAMES_X, NAMES_X))
        return X @ weights.T, self.covariance(targets, targets) - weights @ cross.T

    def log_px(self, X):
        covariance = self.covariance(NAMES_X, NAMES_X)
        return stats.multivariate_normal(np.zeros(4), covariance).logpdf(X)


class Keep(nn.Module):
    """Features that are all that is known so far."""

    def forward(self, *inputs):
        return torch.cat([x for x in inputs if x is not None], dim=1)


class Linear(nn.Module):
    """Linear in all inputs."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(np.array(weights), dtype=torch.float64))

    def forward(self, *inputs):
        return torch.cat([x for x in inputs if x is not None], dim=1) @ self.weights.T


class Head(Linear):
    """Normal distributions with means linear in all inputs."""

    def __init__(self, weights, stds):
        super().__init__(weights)
        self.stds = torch.tensor(stds, dtype=torch.float64)

    def forward(self, *inputs):
        mean = super().forward(*inputs)
        return Normal(mean, self.stds.expand_as(mean))


class RawHead(Head):
    """Their raw parameters, as `skood.nn.gaussian.gaussian` takes them."""

    def forward(self, *inputs):
        normal = super().forward(*inputs)
        raw = torch.log2(torch.exp2(normal.stddev) - 1)
        return torch.cat([normal.mean, raw], dim=1)


def gaussian_likelihood():
    likelihood = Gaussian(torch.zeros(4), torch.ones(4), n_values=4).double()
    with torch.no_grad():
        likelihood.raw_log_std.copy_(torch.tensor(np.log(STD_X) / likelihood.log_std_speed))
    return likelihood


def plan():
    return plan_network((4,), latent_dims=(1, 1, 1), n_rows=9)


def all_keep(n):
    return nn.ModuleList(Keep() for _ in range(n))


def make_exact(path, world, layers):
    """The generative path of a hierarchy with these names of latents, layer 1 first."""
    path.stages = all_keep(3)
    above = [list(itertools.chain(*layers[i:])) for i in range(3)]  # a layer and all above it
    path.heads = nn.ModuleList(world.head(layers[i], above[i + 1]) for i in (0, 1))
    path.output = world.mean_of_x(above[0])


def chain(skip):
    """x <- z1 <- z2 <- z3, and with skips x <- z2 and z1 <- z3."""
    world = World()
    world.add("z3", 1)
    world.add("z2", 0.7, z3=1.5)
    world.add("z1", 0.6, z2=-0.9, z3=skip)
    world.add_x(*({"z1": b, "z2": skip * c} for b, c in [(1, 2), (-0.5, 1), (2, -1), (0.3, 0.4)]))
    return world


def bottom_up():
    world, network = chain(skip=0.8), BottomUpNetwork((4,), plan(), gaussian_likelihood())
    given = [NAMES_X, ["z1", *NAMES_X], ["z2", "z1", *NAMES_X]]
    network.inference.stages = all_keep(3)
    network.inference.heads = nn.ModuleList(
        world.head([f"z{layer}"], names) for layer, names in enumerate(given, start=1)
    )
    make_exact(network.generative, world, [["z1"], ["z2"], ["z3"]])
    return world, network


def ladder():
    """Without skips: what x says of a layer must not depend on the layers above it."""
    world, network = chain(skip=0.0), LadderNetwork((4,), plan(), gaussian_likelihood())
    network.up = all_keep(3)
    heads = [likelihood_of(world, "z1"), likelihood_of(world, "z2"), world.head(["z3"], NAMES_X)]
    network.evidence = nn.ModuleList(heads)
    make_exact(network.generative, world, [["z1"], ["z2"], ["z3"]])
    return world, network


def likelihood_of(world, z):
    """p(x | z) as a function of z: the normal distribution N^ that it is proportional to."""
    variance = world.covariance([z], [z])
    slope = world.covariance(NAMES_X, [z]) / variance
    noise = world.covariance(NAMES_X, NAMES_X) - variance * slope @ slope.T
    weights = np.linalg.solve(noise, slope)[:, 0]
    precision = weights @ slope[:, 0]
    return Head([weights / precision], [precision**-0.5])


def bidirectional():
    """One part of x from the halves inferred upward, the other from those inferred downward."""
    world, network = World(), BidirectionalNetwork((4,), plan(), gaussian_likelihood())
    world.add("z3", 1)
    world.add("u2", 0.7, z3=1.5)
    world.add("d2", 0.4, z3=-0.8)
    world.add("u1", 0.6, u2=-0.9, z3=0.5)
    world.add("d1", 0.9, d2=1.2, z3=0.7)
    world.add_x({"u1": 1.0}, {"u1": -0.5, "u2": 0.8}, {"d1": 2.0}, {"d1": 0.3, "d2": -0.6})
    up = [(["u1"], NAMES_X), (["u2"], ["u1", *NAMES_X]), (["z3"], ["u2", "u1", *NAMES_X])]
    network.inference.stages = all_keep(3)
    network.inference.heads = nn.ModuleList(itertools.starmap(world.head, up))
    down = [(["d1"], [*NAMES_X, "u2", "d2", "z3"]), (["d2"], ["u1", *NAMES_X, "z3"])]
    network.downward = nn.ModuleList(itertools.starmap(world.head, down))
    make_exact(network.generative, world, [["u1", "d1"], ["u2", "d2"], ["z3"]])
    return world, network


class Affine(nn.Module):
    """Parameters of z = slope * z_above + (diag(d) + u u') e."""

    def __init__(self, slope, diagonal, direction):
        super().__init__()
        slope, diagonal, direction = map(np.atleast_1d, (slope, diagonal, direction))
        self.shift = Linear(slope[:, None])
        self.diagonal, self.direction = torch.tensor(diagonal), torch.tensor(direction)
        self.matrix = np.diag(diagonal) + np.outer(direction, direction)

    def forward(self, above):
        shift = self.shift(above)
        matrix = self.diagonal.expand_as(shift), self.direction.expand_as(shift)
        return RankOneParameters(shift, *matrix)

    def add_to(self, world, names, bases, above):
        for i, name in enumerate(names):
            weights = dict(zip(bases, self.matrix[i], strict=True))
            world.add(name, 0, **weights, **{above: self.shift.weights[i, 0].item()})


class Evidence(nn.Module):
    """x itself, for every layer."""

    def forward(self, x):
        return [x, x, x]


def self_reflective():
    """One part of x from each layer, so that a posterior needs no more than the layer above it.

    Layer 1 has two units, whose part of x undoes the rank-one matrix: their posterior is diagonal.
    """
    options = {"network": "mlp", "width": 4, "self_reflective": True}
    likelihood = gaussian_likelihood()
    network = SelfReflectiveNetwork((4,), (2, 1, 1), likelihood, **options)
    first, second = Affine([0.9, -0.4], [0.5, 1.2], [0.7, -0.8]), Affine(1.1, 0.6, 0.5)
    world = World()
    world.add("e3", 1)
    world.add("e2", 0.7, e3=-0.5)
    second.add_to(world, ["z2"], ["e2"], "e3")
    world.add("e1a", 0.8, z2=0.3)
    world.add("e1b", 1.3, z2=-0.6)
    first.add_to(world, ["z1a", "z1b"], ["e1a", "e1b"], "z2")
    undo = np.linalg.inv(first.matrix)
    parts = [{"z1a": undo[i, 0], "z1b": undo[i, 1]} for i in (0, 1)]
    world.add_x(*parts, {"z2": 1.5}, {"e3": -0.8})
    bases = [["e1a", "e1b"], ["e2"], ["e3"]]
    given = [[*NAMES_X, "z2"], [*NAMES_X, "e3"], NAMES_X]
    network.evidence = Evidence()
    network.posteriors = nn.ModuleList(map(world.head, bases, given))
    network.bijections = nn.ModuleList([RankOneAffine(first), RankOneAffine(second)])
    network.priors = nn.ModuleList(
        world.head(base, [above], RawHead) for base, above in zip(bases, ["z2", "e3"], strict=False)
    )
    network.decoder = world.mean_of_x(["z1a", "z1b", "z2", "e3"])
    return world, network


@pytest.fixture(params=[bottom_up, ladder, bidirectional, self_reflective])
def exact(request):
    """A network whose posterior is exact, rows for it, and their log p(x)."""
    world, network = request.param()
    # Eighths are the same numbers in float32.
    X = np.random.default_rng(0).integers(-12, 12, (6, 4)) / 8
    network.requires_grad_(False)
    return SimpleNamespace(network=network, X=X, log_px=world.log_px(X), world=world)
