"""The geometric warm-up: ten levels, each lasting twice as long as the one before.

The linear one is tested with the bound that it belongs to.
"""

from itertools import groupby

import pytest

from skood import ELBO
from skood.core.protocols import Progress
from skood.objectives.schedules import SCHEDULES, geometric_warmup, linear_warmup

N_PHASES = 2**10 - 1  # 1 + 2 + 4 + ... + 512
LEVELS = [0.0, *(10 ** (n / 10 - 1) for n in range(1, 10))]
LENGTHS = pytest.mark.parametrize("steps_per_unit", [1, 2, 3, 7, 10])


def weights(n_steps, warmup):
    return [geometric_warmup(Progress(step, n_steps), warmup) for step in range(n_steps)]


def runs(sequence):
    """Each value with the number of times that it follows itself."""
    return [(value, len(list(equal))) for value, equal in groupby(sequence)]


@LENGTHS
def test_the_levels_are_powers_of_ten_and_each_lasts_twice_as_long_as_the_one_before(
    steps_per_unit,
):
    """The self-reflective VAE, section 5.1, with N = 10."""
    levels, lengths = zip(*runs(weights(N_PHASES * steps_per_unit, 1.0)), strict=True)
    assert levels == pytest.approx(LEVELS)
    assert lengths == tuple(steps_per_unit * 2**n for n in range(10))


@pytest.mark.parametrize("warmup", [0.5, 0.25, 0.1])
def test_after_the_warm_up_the_weight_is_one(warmup):
    n_steps = round(2 * N_PHASES / warmup)
    levels, lengths = zip(*runs(weights(n_steps, warmup)), strict=True)
    assert levels == pytest.approx([*LEVELS, 1.0])
    assert lengths == (*(2 * 2**n for n in range(10)), n_steps - 2 * N_PHASES)


@LENGTHS
def test_the_weight_is_zero_in_the_first_of_1023_parts_of_the_warm_up_only(steps_per_unit):
    n_steps = N_PHASES * steps_per_unit
    zeros = [step for step, weight in enumerate(weights(n_steps, 1.0)) if weight == 0]
    assert zeros == list(range(steps_per_unit))


@pytest.mark.parametrize("step", [0, 1, 50, 99, 100])
def test_without_a_warm_up_the_weight_is_one_from_the_first_step(step):
    assert geometric_warmup(Progress(step, 100), 0.0) == 1.0


@pytest.mark.parametrize("step", [100, 101, 1000])
def test_the_weight_is_one_once_all_planned_steps_are_done(step):
    assert geometric_warmup(Progress(step, 100), 1.0) == 1.0


@pytest.mark.parametrize("n_steps", [1, 5, 100, 1022, 1024, 4999])
@pytest.mark.parametrize("warmup", [0.01, 0.3, 1.0])
def test_the_weight_never_falls_and_is_one_of_the_levels(n_steps, warmup):
    rising = weights(n_steps, warmup)
    assert rising == sorted(rising)
    assert rising[0] == 0
    assert all(any(w == pytest.approx(level) for level in [*LEVELS, 1.0]) for w in set(rising))


def test_each_schedule_has_the_name_that_the_bound_knows_it_by():
    assert SCHEDULES == {"linear": linear_warmup, "geometric": geometric_warmup}
    for name in SCHEDULES:
        ELBO(schedule=name).check(2)
    with pytest.raises(ValueError, match="schedule"):
        ELBO(schedule="cosine").check(2)
