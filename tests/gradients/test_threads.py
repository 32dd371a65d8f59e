"""Gradient norms do not depend on what other threads do, or on the caller's gradient mode."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from skood import HVAE, Glow
from skood.core.modes import explicit_construction
from skood.core.noise import Noise
from skood.gradients.norms import (
    plan_gradients,
    second_moments,
    squared_norms,
)
from skood.gradients.private import private_copy
from skood.testing import spec_of, tensor_of

N_THREADS = 8
IMAGES = np.random.default_rng(3).integers(0, 256, (2 * N_THREADS, 8, 8), dtype=np.uint8)
MODELS = {
    "HVAE": HVAE((3, 2), width=8),
    "HVAE with weight norm": HVAE((3, 2), network="resnet", width=8),
    "Glow of maps": Glow("conv", n_steps=2, width=5),
    "Glow of vectors": Glow("flat", n_steps=2, width=5),
}


def log_weight(network, x):
    return network.terms(x, Noise(0, shared=True).fork(0)).log_weight


@pytest.fixture(params=MODELS)
def network(request):
    with explicit_construction(0):
        built = MODELS[request.param]._build_network(spec_of(IMAGES))
        with torch.no_grad():
            for p in built.parameters():
                p.add_(0.02 * torch.randn_like(p))
    return built.eval()


@pytest.fixture
def switching():
    """Threads take turns a thousand times more often than usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switching")
def test_threads_that_share_a_network_get_the_results_of_one(network):
    x = tensor_of(IMAGES)
    plan = plan_gradients(network, log_weight, x[:4])

    def evaluate(pair):
        moments = second_moments(network, log_weight, pair, plan)
        return squared_norms(network, log_weight, pair, plan), *moments.values()

    pairs = x.split(2)
    alone = [evaluate(pair) for pair in pairs]
    with ThreadPoolExecutor(N_THREADS) as pool:
        together = list(pool.map(evaluate, 3 * pairs))
    for found, expected in zip(together, 3 * alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.usefixtures("switching")
def test_threads_that_plan_with_one_network_get_the_plan_of_one(network):
    x = tensor_of(IMAGES)[:3]
    expected = plan_gradients(network, log_weight, x)
    with ThreadPoolExecutor(N_THREADS) as pool:
        plans = pool.map(lambda x: plan_gradients(network, log_weight, x), N_THREADS * [x])
    assert all(plan == expected for plan in plans)


def everything(network, x):
    """What all functions of the package give for rows x."""
    plan = plan_gradients(network, log_weight, x[:4])
    moments = second_moments(network, log_weight, x, plan)
    return [squared_norms(network, log_weight, x, plan), *moments.values()]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_gradient_mode_of_the_caller_changes_nothing(network, mode):
    expected = everything(network, tensor_of(IMAGES))
    with mode():
        found = everything(network, tensor_of(IMAGES) + 0)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


# ----------------------------------------------------------------------------------- private copies


class Entangled(nn.Module):
    """One module in two places, and in a list and a method that are no submodules."""

    def __init__(self):
        super().__init__()
        self.first = self.second = nn.BatchNorm1d(3)
        self.path = [self.first, nn.functional.relu, self.second]
        self.last = self.second.forward

    def forward(self, x):
        for step in self.path:
            x = step(x)
        return self.last(x)


def test_a_private_copy_has_other_modules_and_the_same_tensors(network):
    copied = private_copy(network)
    assert not set(copied.modules()) & set(network.modules())
    ours, theirs = (dict(n.named_parameters()) | dict(n.named_buffers()) for n in (copied, network))
    assert list(ours) == list(theirs) and all(ours[name] is theirs[name] for name in ours)


def test_a_private_copy_refers_to_no_module_of_the_original():
    original = Entangled().eval()
    copied, seen = private_copy(original), []
    assert copied.first is copied.second is copied.path[0] is copied.last.__self__
    copied.first.register_forward_hook(lambda *_: seen.append("copy"))
    original(torch.ones(2, 3))
    assert not seen and not original.first._forward_hooks
    torch.testing.assert_close(copied(torch.ones(2, 3)), original(torch.ones(2, 3)))
    assert seen == ["copy", "copy"]
