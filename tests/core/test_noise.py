"""Noise for training differs by row; noise for scoring has names and is shared."""

import weakref

import numpy as np
import pytest
import torch

from skood.core.noise import Noise, Stream

DRAWS = pytest.mark.parametrize("draw", ["normal", "uniform"])


@DRAWS
def test_shared_draws_are_the_same_for_all_rows(draw):
    x = getattr(Noise(0, shared=True), draw)("z1", (5, 2, 3))
    assert x.shape == (5, 2, 3)
    assert all(torch.equal(x[0], row) for row in x)
    assert len(x[0].unique()) == 6


@DRAWS
def test_per_row_draws_differ_between_rows_and_calls(draw):
    noise = Noise(0)
    x, again = (getattr(noise, draw)("z1", (50, 2)) for _ in range(2))
    assert len(torch.cat([x, again]).unique()) == 200


@DRAWS
def test_a_shared_draw_depends_on_its_name_and_not_on_the_order_of_the_calls(draw):
    names = ["z1", "z2", "x"]
    first, second = Noise(7, shared=True), Noise(7, shared=True)
    forward = {name: getattr(first, draw)(name, (4, 3)) for name in names}
    backward = {name: getattr(second, draw)(name, (4, 3)) for name in reversed(names)}
    for name in names:
        assert torch.equal(forward[name], backward[name])


def test_a_shared_draw_does_not_depend_on_the_number_of_rows():
    noise = Noise(7, shared=True)
    few = noise.normal("z1", (2, 3))
    assert torch.equal(few[0], noise.normal("z1", (128, 3))[100])
    assert torch.equal(few[0], Noise(7, shared=True).normal("z1", (128, 3))[0])


@pytest.mark.parametrize(
    "other",
    [
        Noise(7, shared=True).normal("z2", (1, 8)),
        Noise(8, shared=True).normal("z1", (1, 8)),
        Noise([7, 0, 1], shared=True).normal("z1", (1, 8)),
        Noise(7, shared=True).fork(0).normal("z1", (1, 8)),
        Noise(7, shared=True).fork(1).normal("z1", (1, 8)),
    ],
    ids=["name", "seed", "sequence", "fork 0", "fork 1"],
)
def test_shared_draws_of_other_names_seeds_or_forks_differ(other):
    x = Noise(7, shared=True).normal("z1", (1, 8))
    assert not torch.isin(x, other).any()


def test_forks_are_shared_distinct_and_reproducible():
    forks = [Noise([3, 5], shared=True).fork(s) for s in range(20)]
    draws = torch.stack([fork.normal("z1", (6, 4)) for fork in forks])
    assert all(fork.shared for fork in forks)
    assert len(draws[:, 0].unique()) == 80
    again = Noise([3, 5], shared=True).fork(11).normal("z1", (6, 4))
    assert torch.equal(draws[11], again)


def test_all_forks_of_shared_noise_dither_the_data_alike():
    noise = Noise([3, 5], shared=True)
    dithers = [n.dither((4, 6)) for n in (noise, noise.fork(0), noise.fork(1).fork(2))]
    assert torch.equal(dithers[0], dithers[1]) and torch.equal(dithers[0], dithers[2])
    assert len(dithers[0].unique()) == 6
    assert 0 <= dithers[0].min() and dithers[0].max() < 1


def test_training_dithers_every_row_and_pass_anew():
    noise = Noise(0)
    assert len(torch.cat([noise.dither((50, 2)), noise.dither((50, 2))]).unique()) == 200


def test_forks_of_shared_noise_leave_no_draws_behind():
    noise = Noise(0, shared=True)
    drawn = [weakref.ref(noise.fork(s).normal("z1", (4, 3))._base) for s in range(20)]
    assert all(tensor() is None for tensor in drawn)


@DRAWS
def test_pinned_noise_differs_between_rows_and_names_but_draws_each_name_once(draw):
    noise = Noise(0).pinned()
    z1, z2, again = (getattr(noise, draw)(name, (50, 2)) for name in ("z1", "z2", "z1"))
    assert len(torch.cat([z1, z2]).unique()) == 200
    assert torch.equal(z1, again)


def test_two_passes_over_pinned_noise_see_the_same_latents_and_data_in_any_order():
    noise, names = Noise(0).pinned(), ["z1", "z2", "z3"]
    first = {name: noise.normal(name, (4, 3)) for name in names}
    dither = noise.dither((4, 6))
    assert torch.equal(noise.dither((4, 6)), dither)
    for name in reversed(names):
        assert torch.equal(noise.normal(name, (4, 3)), first[name])


def test_pinned_numbers_under_one_name_depend_on_the_kind_of_the_draw():
    noise = Noise(0).pinned()
    assert not torch.isin(noise.normal("z1", (50, 2)), noise.uniform("z1", (50, 2))).any()


def test_every_pinning_gives_other_numbers():
    parent = Noise(0)
    noises = [parent.pinned() for _ in range(3)]
    draws = [n.normal("z1", (20, 2)) for n in noises] + [n.dither((20, 2)) for n in noises]
    assert len(torch.cat(draws).unique()) == 240


def test_noise_that_was_pinned_goes_on_drawing_anew():
    parent = Noise(0)
    parent.pinned().normal("z1", (20, 2))
    draws = [parent.normal("z1", (20, 2)), parent.normal("z1", (20, 2))]
    assert len(torch.cat(draws).unique()) == 80


def test_forks_of_pinned_noise_have_other_latents_but_one_dither_that_differs_by_row():
    noise = Noise(0).pinned()
    forks = [noise.fork(s) for s in range(3)]
    latents = [fork.normal("z1", (20, 2)) for fork in forks]
    dithers = [fork.dither((20, 2)) for fork in forks]
    assert len(torch.cat(latents).unique()) == 120
    assert len(dithers[0].unique()) == 40
    assert all(torch.equal(dithers[0], dither) for dither in (*dithers[1:], noise.dither((20, 2))))


def test_a_fork_of_pinned_noise_draws_each_name_once():
    fork = Noise(0).pinned().fork(1)
    assert torch.equal(fork.normal("z1", (20, 2)), fork.normal("z1", (20, 2)))


def test_pinning_shared_noise_changes_no_number():
    noise = Noise(7, shared=True)
    assert torch.equal(noise.pinned().normal("z1", (4, 3)), noise.normal("z1", (4, 3)))
    assert torch.equal(noise.pinned().dither((4, 3)), noise.dither((4, 3)))


def test_side_by_side_stand_the_forks_in_order_and_what_is_left_over_sees_the_last():
    noise = Noise(7, shared=True)
    together = noise.side_by_side(map(noise.fork, range(2, 5)), 2).normal("z1", (9, 3))
    for fork, rows in zip(range(2, 5), [slice(0, 2), slice(2, 4), slice(4, 9)], strict=True):
        alone = noise.fork(fork).normal("z1", (1, 3))
        assert torch.equal(together[rows], alone.expand_as(together[rows]))


def test_forks_side_by_side_dither_the_data_alike():
    noise = Noise(7, shared=True)
    together = noise.side_by_side([noise.fork(4), noise.fork(5)], 3)
    assert torch.equal(together.dither((6, 2)), noise.dither((6, 2)))


def test_a_stream_goes_on_from_where_another_stood():
    noise, other = Noise(0), Noise(1)
    noise.normal("z1", (4, 2))
    state = noise.state()
    expected = [noise.normal("z1", (4, 2)), noise.dither((4, 2))]
    other.set_state(state)
    assert all(map(torch.equal, [other.normal("z1", (4, 2)), other.dither((4, 2))], expected))


def test_streams_of_one_seed_are_independent():
    draws = [Noise([0, stream]).uniform("z1", (50, 2)) for stream in Stream]
    assert len(torch.cat(draws).unique()) == 100 * len(Stream)


@pytest.mark.parametrize("shared", [False, True])
def test_numbers_are_float32_whatever_the_default_type(shared):
    before, expected = torch.get_default_dtype(), Noise(0, shared=shared).normal("z1", (4, 3))
    torch.set_default_dtype(torch.float64)
    try:
        found = Noise(0, shared=shared).normal("z1", (4, 3))
    finally:
        torch.set_default_dtype(before)
    assert found.dtype == torch.float32 and torch.equal(found, expected)


@pytest.mark.parametrize("shared", [False, True])
def test_the_same_seed_gives_the_same_numbers(shared):
    draws = [Noise(np.int64(3), shared=shared).normal("z1", (4, 2)) for _ in range(2)]
    assert torch.equal(*draws)


def test_shared_draws_are_standard_normal_and_uniform_even_under_one_name():
    noise = Noise(0, shared=True)
    normal, uniform = (d("z1", (1, 100_000)) for d in (noise.normal, noise.uniform))
    assert abs(normal.mean()) < 0.02 and abs(normal.std() - 1) < 0.02
    assert 0 <= uniform.min() < 1e-3 and 0.999 < uniform.max() < 1


@pytest.mark.parametrize("shared", [False, True])
def test_the_global_generator_of_torch_is_left_alone(shared):
    before = torch.get_rng_state()
    noise = Noise(0, shared=shared)
    noise.normal("z1", (4, 2))
    noise.fork(1).uniform("x", (4, 2))
    noise.pinned().dither((4, 2))
    assert torch.equal(before, torch.get_rng_state())
