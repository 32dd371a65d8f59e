"""A training that stops, and goes on from its state, ends bitwise as one that never stopped."""

import pickle

import numpy as np
import pytest
import torch

from skood import ELBO, HVAE, MAF, Glow, Trainer
from skood.core.modes import explicit_construction
from skood.core.row_spec import RowSpec
from skood.core.rows import check_rows
from skood.testing import easy_images, small
from skood.training.loop import train

CPU = torch.device("cpu")
IMAGES = easy_images(60)
TABLE = np.random.default_rng(0).normal(3, 1, (60, 3))
MODELS = {"HVAE": (HVAE, IMAGES), "MAF": (MAF, TABLE), "Glow": (Glow, IMAGES)}
N_EPOCHS = 10
# In skorch's history: the seconds that an epoch took, and which line to print in colour.
NO_RESULTS = {"dur", "train_loss_best"}


def go(name, *, state=None, after_epoch=None, objective=None, seed=0, rate=1e-3, **options):
    """The network, built anew, and what its training came to."""
    model_class, X = MODELS[name]
    model = small(model_class)
    rows = check_rows(model, X, reset=True)
    spec = RowSpec.of(rows)
    with explicit_construction(5 if state is None else 6):
        network = model._build_network(spec)
    parameters = {"trainer": Trainer(**options), "max_epochs": N_EPOCHS, "batch_size": 16}
    state = train(
        network,
        objective or ELBO(free_bits=0.5),
        rows,
        spec,
        **parameters,
        learning_rate=rate,
        device=CPU,
        seed=seed,
        state=state,
        after_epoch=after_epoch,
    )
    return network, state


def states_of(name, **options):
    """After each epoch as written then, and the network and the state at the end."""
    written = []
    end = go(name, after_epoch=lambda state: written.append(pickle.dumps(state())), **options)
    return [pickle.loads(text) for text in written], *end


def assert_same(found, expected):
    """All numbers bitwise equal, at any depth."""
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected.keys() - NO_RESULTS:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


def assert_goes_on(name, at=5, **options):
    states, expected, at_the_end = states_of(name, **options)
    network, state = go(name, state=states[at - 1], **options)
    assert_same(network.state_dict(), expected.state_dict())
    assert_same(vars(state), vars(at_the_end))
    before = states[at - 1].weights
    assert not all(torch.equal(before[key], state.weights[key]) for key in before)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("patience", [None, 8])
def test_five_epochs_and_five_more_are_ten(name, patience):
    assert_goes_on(name, patience=patience)


@pytest.mark.parametrize("options", [
    {"lr_schedule": "constant"},
    {"optimizer": "adamw"},
    {"optimizer": "adamax"},
    {"validation_fraction": 0},
    {"snapshot_epochs": (2, 7)},
    {"weight_average": 0.9},
    {"weight_average": 0.9, "patience": None, "snapshot_epochs": (2, 7)},
], ids=str)  # fmt: skip
def test_so_they_are_with_any_trainer(options):
    assert_goes_on("MAF", **options)


@pytest.mark.parametrize("at", [1, 9])
def test_so_they_are_after_any_epoch(at):
    assert_goes_on("MAF", at)


def test_misses_before_the_stop_count_after_it():
    # So large a rate that the best network comes early; it stops three epochs later.
    options = {"patience": 3, "lr_schedule": "constant", "rate": 0.3}
    states, _, expected = states_of("MAF", **options)
    assert expected.best_epoch < len(states) < N_EPOCHS
    _, state = go("MAF", state=states[expected.best_epoch], **options)
    assert_same(vars(state), vars(expected))


def test_a_finished_training_has_nothing_left_to_do():
    _, expected, at_the_end = states_of("MAF")
    network, state = go("MAF", state=at_the_end)
    assert_same(network.state_dict(), expected.state_dict())
    assert_same(vars(state), vars(at_the_end))


def test_the_state_of_an_epoch_is_not_changed_by_those_after_it():
    kept, written = [], []

    def keep(state):
        kept.append(state())
        written.append(pickle.dumps(kept[-1]))

    go("MAF", after_epoch=keep, snapshot_epochs=(2, 7))
    assert_same([vars(s) for s in kept], [vars(pickle.loads(text)) for text in written])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adamax"])
@pytest.mark.parametrize("name", ["exp_avg", "step"])
def test_moments_that_fit_no_weight_are_refused(name, optimizer):
    # They would be written beyond their ends: such a state may come from a file.
    state = states_of("MAF", optimizer=optimizer)[0][4]
    moments = next(m for m in state.optimizer["state"].values() if m["exp_avg"].numel() > 1)
    moments[name] = torch.zeros(3, 3, 3)
    with pytest.raises(ValueError, match=f"has a {name} that fits no weight"):
        go("MAF", state=state, optimizer=optimizer)


def test_going_on_from_a_state_does_not_change_it():
    states, _, _ = states_of("MAF")
    before = pickle.loads(pickle.dumps(states[4]))
    go("MAF", state=states[4])
    assert_same(vars(states[4]), vars(before))


def test_a_training_that_was_interrupted_and_then_ended_is_not_interrupted():
    def stop(network, x, noise, progress):
        if progress.step == 9:
            raise KeyboardInterrupt
        return ELBO()(network, x, noise, progress)

    _, state = go("MAF", objective=stop)
    assert state.interrupted and state.epoch == 3
    _, state = go("MAF", state=state)
    assert not state.interrupted and state.epoch == N_EPOCHS
