"""What happens in skood's own blocks does not depend on the process around them, and vice versa."""

import threading

import pytest
import torch
from torch import nn

from skood.core.modes import explicit_construction, own_modes

SURROUNDINGS = {
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "enable_grad": torch.enable_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_gradients_are_recorded_where_they_are_wanted_and_in_float32(surroundings):
    with surroundings(), own_modes(grad=True):
        weight = torch.ones(3, 3, requires_grad=True)
        y = torch.ones(2, 3) @ weight
        y.sum().backward()
    assert y.dtype == torch.float32 and not y.is_inference()
    assert torch.equal(weight.grad, torch.full((3, 3), 2.0))


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_no_gradient_is_recorded_where_none_is_wanted(surroundings):
    weight = torch.ones(3, 3, requires_grad=True)
    with surroundings(), own_modes(grad=False):
        y = torch.ones(2, 3) @ weight
    assert not y.requires_grad and y.dtype == torch.float32


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
@pytest.mark.parametrize("grad", [True, False])
def test_the_modes_of_the_caller_are_as_before_even_after_an_error(surroundings, grad):
    def modes():
        autocast = torch.is_autocast_enabled("cpu")
        return torch.is_inference_mode_enabled(), torch.is_grad_enabled(), autocast

    with surroundings():
        before = modes()
        with pytest.raises(KeyError), own_modes(grad=grad):
            raise KeyError
        assert modes() == before


def build(seed=0):
    """Layers whose first weights torch draws in all the ways that skood's networks use."""
    with explicit_construction(seed):
        return layers()


def layers():
    network = nn.ModuleList([nn.Linear(4, 3), nn.Conv2d(2, 3, 3), nn.BatchNorm1d(4)])
    own = [torch.randn(3), torch.rand(2, 2), torch.zeros(2), torch.full((2,), 0.5)]
    own += [nn.init.orthogonal_(torch.empty(3, 3)), nn.init.normal_(torch.empty(4)), torch.eye(2)]
    own += [torch.tensor(0.5), torch.randperm(5).float(), torch.linspace(0, 1, 3)]
    network.extend([nn.ParameterList(own)])
    return network


def equal(one, other):
    one, other = one.state_dict(), other.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one)


def test_first_weights_are_those_that_torch_draws_after_the_same_seed():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        expected = layers()
    assert equal(build(7), expected) and not equal(build(8), expected)


def test_building_neither_reads_nor_moves_the_global_generator():
    before = torch.get_rng_state()
    first = build()
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        assert equal(build(), first)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_building_neither_reads_nor_moves_the_default_type(dtype):
    expected, before = build(), torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        found = build()
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(before)
    assert equal(found, expected)
    assert {value.dtype for value in found.state_dict().values()} == {torch.float32, torch.int64}


def test_building_does_not_read_the_default_device():
    expected = build()
    with torch.device("meta"):
        found = build()
    assert equal(found, expected)


def test_generators_that_are_named_are_taken():
    with explicit_construction(0):
        found = torch.rand(3, generator=torch.Generator().manual_seed(5))
    assert torch.equal(found, torch.rand(3, generator=torch.Generator().manual_seed(5)))


def test_another_thread_draws_from_the_global_generator_meanwhile():
    inside, drawn, expected = threading.Event(), [], torch.Generator().manual_seed(3)

    def draw():
        inside.wait()
        drawn.append(torch.rand(5))

    with torch.random.fork_rng():
        torch.manual_seed(3)
        other = threading.Thread(target=draw)
        other.start()
        with explicit_construction(0):
            first = torch.rand(5)
            inside.set()
            other.join()
            second = torch.rand(5)
    assert torch.equal(drawn[0], torch.rand(5, generator=expected))
    own = torch.Generator().manual_seed(0)
    assert all(torch.equal(x, torch.rand(5, generator=own)) for x in (first, second))


def test_blocks_in_several_threads_do_not_share_their_numbers():
    expected, results = {seed: build(seed) for seed in range(4)}, {}
    start = threading.Barrier(4)

    def work(seed):
        start.wait()
        results[seed] = build(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(equal(results[seed], expected[seed]) for seed in range(4))
