"""Training improves the bound, repeats itself, can be interrupted and leaves nothing behind."""

import math

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from skood import ELBO, HVAE, Trainer, TrainingError
from skood.core.noise import Noise, Stream
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows
from skood.core.terms import LayerTerms, Terms
from skood.testing import small
from skood.training.loop import train
from skood.training.plan import planned_epochs

CPU = torch.device("cpu")
X = np.random.default_rng(0).normal(3, 1, (200, 2)).astype(np.float32)


class Line(nn.Module):
    """z ~ N(0, 1), x | z ~ N(a + z, 1), q(z | x) = N(b x, 1): few parameters, one latent."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))

    def terms(self, x, noise):
        mean = x * self.b
        z = mean + noise.normal("z1", x.shape)
        layer = LayerTerms(-0.5 * z.square(), -0.5 * (z - mean).square())
        constant = x.shape[1] * 0.5 * math.log(2 * math.pi)
        return Terms(-0.5 * (x - self.a - z).square().sum(1) - constant, (layer,))

    def sample(self, n, noise):
        return self.a + noise.normal("z1", (n, 2)) + noise.normal("x", (n, 2))


class Observe(Callback):
    """A skorch callback that calls a function at the end of each epoch."""

    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, net, **kwargs):
        self.function(net)


def run(
    network=None, objective=None, *, X=X, epochs=5, batch_size=20, rate=0.05, seed=0, **options
):
    """The network and its history; without the state."""
    network = network or Line()
    return network, trained(
        network, objective, X, epochs, batch_size, rate, seed, options
    ).columns()


def trained(network, objective, X, epochs, batch_size, rate, seed, options):
    rows = Rows(X, "float")
    return train(
        network,
        objective or ELBO(free_bits=0, warmup=0),
        rows,
        RowSpec.of(rows),
        trainer=Trainer(**options),
        max_epochs=epochs,
        batch_size=batch_size,
        learning_rate=rate,
        device=CPU,
        seed=seed,
    )


def failing_at(step, outcome):
    """An objective that is the usual one up to a step."""

    def objective(network, x, noise, progress):
        if progress.step == step:
            return outcome()
        return ELBO(free_bits=0, warmup=0)(network, x, noise, progress)

    return objective


def interrupt():
    raise KeyboardInterrupt


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def held_out_bound(network):
    """Mean bound on the rows that `run` with seed 0 keeps out, as training measures it."""
    n_valid = 20
    order = np.random.default_rng([0, Stream.VALIDATION_SPLIT]).permutation(len(X))[:n_valid]
    with torch.no_grad():
        noise = Noise([0, Stream.DIAGNOSIS])
        return network.terms(torch.tensor(X[np.sort(order)]), noise).log_weight.mean().item()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adamax"])
@pytest.mark.parametrize("lr_schedule", ["cosine", "constant"])
def test_the_loss_falls_and_every_weight_moves(optimizer, lr_schedule):
    network, history = run(epochs=8, optimizer=optimizer, lr_schedule=lr_schedule)
    assert history["train_loss"][-1] < history["train_loss"][0] - 1
    assert (weights(network) != 0).all()


def test_training_finds_the_maximum_likelihood_solution():
    network, _ = run(epochs=40, validation_fraction=0)
    np.testing.assert_allclose(network.a.detach(), X.mean(0), atol=0.4)
    np.testing.assert_allclose(network.b.detach(), 0, atol=0.2)


@pytest.mark.parametrize("patience", [None, 3])
def test_the_same_seed_gives_bitwise_the_same_network(patience):
    (one, history), (two, again) = (run(patience=patience, seed=3) for _ in range(2))
    assert torch.equal(weights(one), weights(two))
    assert history["bound"] == again["bound"]


def test_another_seed_gives_another_network():
    assert not torch.equal(weights(run(seed=0)[0]), weights(run(seed=1)[0]))


def test_early_stopping_keeps_the_best_network():
    network, history = run(epochs=60, rate=0.5, lr_schedule="constant", patience=4)
    best = int(np.argmax(history["bound"]))
    assert len(history["bound"]) == best + 1 + 4 < 60
    assert held_out_bound(network) == pytest.approx(history["bound"][best], rel=1e-5)


def test_without_patience_the_last_network_is_kept():
    network, history = run(epochs=12, rate=0.5, lr_schedule="constant", patience=None)
    assert len(history["bound"]) == 12 and np.argmax(history["bound"]) < 11
    assert held_out_bound(network) == pytest.approx(history["bound"][-1], rel=1e-5)


class Still(Line):
    """Log-likelihoods far above 0, as of tables in small units, that training cannot change."""

    def terms(self, x, noise):
        return Terms(torch.full((len(x),), 1000.0) + 0 * self.a.sum())


def test_early_stopping_does_not_take_an_equal_bound_for_a_better_one_when_the_loss_is_negative():
    _, history = run(Still(), epochs=30, patience=3)
    assert history["bound"] == [1000.0] * 4


def test_the_patience_of_auto_is_a_fifth_of_the_epochs_and_at_least_ten():
    assert len(run(Still(), epochs=30)[1]["bound"]) == 1 + 10
    assert len(run(Still(), epochs=60)[1]["bound"]) == 1 + 12


def test_stopping_early_is_no_interruption_even_by_a_callback_of_the_user():
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=1e9, sink=lambda _: None)
    _, history = run(epochs=30, patience=None, callbacks=(stop,))
    assert len(history["bound"]) < 30


def test_the_history_has_one_entry_per_epoch_in_nats_per_row():
    network, history = run(epochs=5, patience=None)
    names = {"train_loss", "bound", "kl", "active_units", "seconds", "held_out"}
    assert set(history) == names
    assert {len(entries) for entries in history.values()} == {5}
    assert history["bound"][-1] == pytest.approx(held_out_bound(network), rel=1e-5)
    assert all(
        np.shape(kl) == np.shape(units) == (1,)
        for kl, units in zip(history["kl"], history["active_units"], strict=True)
    )
    assert all(history["held_out"]) and min(history["seconds"]) > 0


def test_the_training_loss_is_the_mean_of_the_objective_over_the_batches_of_an_epoch():
    losses = []

    def objective(network, x, noise, progress):
        loss = ELBO(free_bits=0, warmup=0)(network, x, noise, progress)
        losses.append(loss.item())
        return loss

    _, history = run(objective=objective, epochs=3)
    expected = np.reshape(losses, (3, -1)).mean(1)
    np.testing.assert_allclose(history["train_loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("options", [{"validation_fraction": 0}, {"X": X[:19]}])
def test_too_few_rows_to_hold_out_means_none_and_no_early_stopping(options):
    _, history = run(epochs=3, patience=1, rate=5.0, lr_schedule="constant", **options)
    assert history["held_out"] == [False] * 3


@pytest.mark.parametrize("n, n_held_out", [(20, 5), (59, 5), (60, 6), (200, 20)])
def test_a_tenth_of_the_rows_is_held_out_but_at_least_five(n, n_held_out):
    seen = []
    _, history = run(X=X[:n], epochs=1, callbacks=(Observe(lambda net: seen.append(net.held_out)),))
    assert history["held_out"] == [True]
    assert {len(held_out) for held_out in seen} == {n_held_out}


@pytest.mark.parametrize("n, n_diagnosed", [(200, 100), (50, 50), (19, 19)])
def test_what_layers_carry_is_measured_on_a_hundred_rows_if_there_are_so_many(n, n_diagnosed):
    class Watched(Line):
        def terms(self, x, *arguments, **options):
            seen[self.training] = seen.get(self.training, 0) + len(x)
            return super().terms(x, *arguments, **options)

    seen: dict[bool, int] = {}
    run(Watched(), X=X[:n], epochs=1)
    assert seen[False] == 2 * n_diagnosed  # before the first epoch, and after it


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_an_error_that_names_epoch_and_batch(value):
    bad = failing_at(12, lambda: torch.tensor(value))  # 9 batches in an epoch
    with pytest.raises(TrainingError, match=rf"loss is {value} in epoch 2, batch 4\. Lower learn"):
        run(objective=bad)


def state_of(objective=None, epochs=5, **options):
    network = Line()
    return network, trained(network, objective, X, epochs, 20, 0.05, 0, options)


def test_a_keyboard_interrupt_is_recorded_and_the_best_network_so_far_is_kept():
    network, state = state_of(failing_at(12, interrupt))
    after_one_epoch = []
    run(callbacks=(Observe(lambda net: after_one_epoch.append(weights(net.module_))),))
    assert state.interrupted and not state.terminated
    assert state.epoch == len(state.history) == len(state.columns()["bound"]) == 1
    assert torch.equal(weights(network), after_one_epoch[0])


def test_a_keyboard_interrupt_in_the_first_epoch_raises_since_nothing_was_learned():
    with pytest.raises(KeyboardInterrupt):
        run(objective=failing_at(4, interrupt))


def test_a_keyboard_interrupt_in_a_callback_counts_its_epoch():
    def stop(net):
        if len(net.history) == 2:
            interrupt()

    _, state = state_of(callbacks=(Observe(stop),))
    assert state.interrupted and state.epoch == 2
    assert len(state.columns()["bound"]) == len(state.columns()["seconds"]) == 2


def test_the_epoch_after_which_a_callback_stops_early_counts():
    stop = EarlyStopping(monitor="train_loss", patience=1, threshold=1e9, sink=lambda _: None)
    _, state = state_of(callbacks=(stop,))
    assert state.epoch == len(state.history) == 2 and not state.interrupted


def test_callbacks_of_skorch_are_called_with_the_network_and_its_history():
    seen = []
    run(
        epochs=3,
        callbacks=(Observe(lambda net: seen.append((len(net.history), net.history[-1]["bound"]))),),
    )
    assert [epoch for epoch, _ in seen] == [1, 2, 3]


def test_the_gradient_is_clipped_to_the_given_norm():
    norms = []

    def record(net):
        gradients = [p.grad.flatten() for p in net.module_.parameters()]
        norms.append(torch.cat(gradients).norm().item())

    run(clip_norm=0.01, epochs=3, patience=None, callbacks=(Observe(record),))
    assert max(norms) == pytest.approx(0.01, rel=1e-3)


def test_the_learning_rate_falls_to_zero_along_a_cosine():
    rates = []
    run(
        epochs=4,
        patience=None,
        rate=0.1,
        callbacks=(Observe(lambda net: rates.append(net.optimizer_.param_groups[0]["lr"])),),
    )
    expected = 0.05 * (1 + np.cos(np.pi * np.arange(1, 5) / 4))
    np.testing.assert_allclose(rates, expected, atol=1e-3)


def test_progress_counts_all_planned_steps():
    seen = []

    def objective(network, x, noise, progress):
        seen.append((progress.step, progress.n_steps, progress.fraction))
        return ELBO()(network, x, noise, progress)

    run(objective=objective, epochs=2)
    assert seen == [(step, 18, step / 18) for step in range(18)]


def test_training_draws_fresh_noise_for_every_row_and_step():
    draws = []

    def objective(network, x, noise, progress):
        draws.append(noise.normal("probe", (3, 2)))
        return ELBO()(network, x, noise, progress)

    run(objective=objective, epochs=1)
    assert len(torch.stack(draws).unique()) == 9 * 6


@pytest.mark.parametrize(
    "n_rows, batch_size, epochs",
    [(100, 128, 500), (400, 100, 125), (1_500, 128, 100), (60_000, 128, 15), (10**7, 128, 1)],
)
def test_auto_plans_seven_thousand_steps_or_a_hundred_epochs(n_rows, batch_size, epochs):
    assert planned_epochs("auto", n_rows, batch_size) == epochs
    assert planned_epochs(7, n_rows, batch_size) == 7


def test_auto_plans_fewer_epochs_where_nothing_can_stop_them():
    assert planned_epochs("auto", 50, 50, has_validation=False) == 100


def test_the_network_is_left_in_evaluation_mode_without_gradients():
    network, _ = run()
    assert not network.training
    assert all(p.grad is None for p in network.parameters())


def test_global_random_states_and_the_number_of_threads_are_left_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    run()
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == torch.get_num_threads()


@pytest.mark.parametrize("epochs", [("a",), (0,), (1, -1), (1.5,)])
def test_snapshots_of_epochs_that_cannot_be_are_refused(epochs):
    model = small(HVAE, trainer=Trainer(snapshot_epochs=epochs))
    with pytest.raises(ValueError, match="snapshot_epochs must hold integers"):
        model.fit(np.zeros((20, 3)))
