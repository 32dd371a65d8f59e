"""A training state comes back from its file as it was, also where JSON knows less."""

import math

import numpy as np
import pytest
import torch

from skood.training.state import TrainingState
from skood.training.state_file import read_state, write_state

CHANNELS_LAST = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
GENERATOR = np.random.default_rng(0).bit_generator.state


@pytest.fixture
def round_trip(tmp_path):
    def go(state):
        write_state(tmp_path / "state", {"name": [1, 2]}, state)
        identity, found = read_state(tmp_path / "state")
        assert identity == {"name": [1, 2]}
        return found

    return go


def test_numbers_keep_their_digits_and_types(round_trip):
    state = TrainingState(epoch=3, best_loss=math.inf, initial_bound=0.1 + 0.2, order=GENERATOR)
    found = round_trip(state)
    assert vars(found) == vars(state)
    assert type(found.epoch) is int and type(found.interrupted) is bool


def test_tuples_and_keys_that_are_numbers_stay_what_they_are(round_trip):
    optimizer = {"state": {0: {}, 10: {}}, "param_groups": [{"betas": (0.9, 0.999), "lr": None}]}
    assert round_trip(TrainingState(optimizer=optimizer)).optimizer == optimizer


@pytest.mark.parametrize("tensor", [
    torch.tensor(1.5),
    torch.tensor([True, False]),
    torch.arange(5, dtype=torch.uint8),
    torch.randn(3, 2, dtype=torch.float64).T,
    torch.empty(0, 3),
    CHANNELS_LAST,
])  # fmt: skip
def test_tensors_keep_their_bits_types_and_order_in_memory(tensor, round_trip):
    found = round_trip(TrainingState(weights={"a": tensor, "b": tensor.clone()}))
    for copy in found.weights.values():
        assert torch.equal(copy, tensor) and copy.dtype == tensor.dtype
        assert copy.stride() == tensor.stride()


def test_what_is_read_does_not_change_with_the_file(round_trip):
    found = round_trip(TrainingState(noise=torch.ones(3)))
    round_trip(TrainingState(noise=torch.zeros(3)))
    assert torch.equal(found.noise, torch.ones(3))
