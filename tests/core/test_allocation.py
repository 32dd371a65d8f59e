"""A limit stops what would be too large before it is made, and nothing else."""

import pytest
import torch
from torch import nn

from skood.core.allocation import limited_allocation
from skood.core.modes import explicit_construction

HUGE = 2**45  # no machine has so much memory


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(HUGE),
        lambda: torch.zeros((HUGE, 2)),
        lambda: torch.ones(size=(HUGE,)),
        lambda: torch.eye(2**23),
        lambda: torch.arange(HUGE),
        lambda: torch.linspace(0, 1, HUGE),
        lambda: torch.arange(2, HUGE, 2),
        lambda: torch.full((2, HUGE), 1.0),
        lambda: torch.randint(0, 2, (HUGE,)),
        lambda: torch.ones(2).new_zeros(HUGE),
        lambda: torch.ones(2**14)[:, None] >= torch.ones(2**14),
        lambda: nn.Linear(HUGE, 1),
        lambda: nn.Conv2d(2**20, 2**20, 3),
        lambda: [nn.Linear(300, 300) for _ in range(2)],
    ],
)
def test_what_is_too_large_is_not_made(make):
    with pytest.raises(MemoryError, match="1000000 bytes"):
        with explicit_construction(0), limited_allocation(1_000_000):
            make()


def test_what_fits_is_what_it_is_without_a_limit():
    with explicit_construction(0):
        expected = nn.Sequential(nn.Linear(30, 40), nn.ReLU(), nn.Conv2d(3, 4, 5)).state_dict()
    with explicit_construction(0), limited_allocation(1_000_000):
        found = nn.Sequential(nn.Linear(30, 40), nn.ReLU(), nn.Conv2d(3, 4, 5)).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_values_are_not_taken_for_sizes():
    with limited_allocation(1_000):
        torch.tensor(list(range(1, 100)))
        torch.full((2, 3), HUGE)
        torch.randint(0, HUGE, (5,))
        torch.ones(2, 3) * HUGE


def test_after_the_block_there_is_no_limit():
    with limited_allocation(10):
        pass
    assert len(torch.empty(1000)) == 1000
