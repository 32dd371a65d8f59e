"""The optimisers are torch's, without the import of its compiler."""

import pytest
import torch

from skood.training.optimizers import OPTIMIZERS

OF_TORCH = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
}


def descended(make, n_steps, state=None):
    """A weight and the state of its optimiser after some steps on a quadratic loss."""
    weight = torch.nn.Parameter(torch.tensor([3.0, -2.0, 0.5]) if state is None else state[0])
    optimizer = make([weight], lr=0.1)
    if state is not None:
        optimizer.load_state_dict(state[1])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    for _ in range(n_steps):
        optimizer.zero_grad()
        (weight.square() * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
        optimizer.step()
        schedule.step()
    return weight.detach(), optimizer.state_dict()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_torch(name):
    options = {} if name == "adamax" else {"fused": True}
    expected, _ = descended(lambda *a, **k: OF_TORCH[name](*a, **k, **options), 10)
    found, _ = descended(OPTIMIZERS[name], 10)
    assert torch.equal(found, expected)
    assert not found.equal(torch.tensor([3.0, -2.0, 0.5]))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_leaves_no_graph_behind(name):
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = OPTIMIZERS[name]([weight])
    weight.sum().backward()
    optimizer.step()
    assert weight.is_leaf
    assert not any(value.requires_grad for value in optimizer.state[weight].values())
    optimizer.zero_grad()
    assert weight.grad is None


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_one_is_taken_by_one_of_torch(name):
    state = descended(OPTIMIZERS[name], 3)
    options = {} if name == "adamax" else {"fused": True}
    found, _ = descended(OPTIMIZERS[name], 3, state)
    state = descended(OPTIMIZERS[name], 3)
    expected, _ = descended(lambda *a, **k: OF_TORCH[name](*a, **k, **options), 3, state)
    assert torch.equal(found, expected)
