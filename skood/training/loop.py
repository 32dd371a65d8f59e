"""The training loop: the only place that knows skorch."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, EpochTimer, PassthroughScoring
from torch import Tensor, nn

from skood.core.batches import ShuffledBatches
from skood.core.exceptions import TrainingError
from skood.core.modes import own_modes
from skood.core.noise import Noise, Stream
from skood.core.progress import progress
from skood.core.protocols import DensityNetwork, Initialisable, Objective, Progress
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows
from skood.training.average import WeightAverage
from skood.training.diagnostics import Diagnosis, check_finite, diagnose, warn_if_diverged
from skood.training.interruption import Interruptions, raise_again
from skood.training.optimizers import OPTIMIZERS, check_moments
from skood.training.plan import count_epochs, split
from skood.training.state import COLUMNS, RECORDED, TrainingState
from skood.training.trainer import Trainer

__all__ = ["train"]

_log = logging.getLogger(__name__)

_DIAGNOSED_ROWS = 1_000  # where no rows are held out
_FEWEST_DIAGNOSED = 100


def train(
    network: nn.Module,
    objective: Objective,
    rows: Rows,
    spec: RowSpec,
    *,
    trainer: Trainer,
    max_epochs: int | str,
    batch_size: int,
    learning_rate: float,
    device: torch.device,
    seed: int,
    name: str = "network",
    verbose: int = 0,
    state: TrainingState | None = None,
    after_epoch: Callable[[Callable[[], TrainingState]], bool | None] | None = None,
) -> TrainingState:
    """Train ``network`` in place and leave it on the CPU, in evaluation mode.

    Parameters
    ----------
    network : DensityNetwork
    objective : Objective
    rows : Rows
    spec : RowSpec
    trainer : Trainer
    max_epochs, batch_size, learning_rate, device, seed
        As on the models. ``seed`` rules the split, the order of the rows and the noise.
    name : str
        What log records call the network.
    verbose : int
        Of skorch's callbacks.
    state : TrainingState, optional
        Of an earlier call with the same arguments: go on from there, to bitwise the weights of a
        training that did not stop.
    after_epoch : callable, optional
        Called after each epoch with a function that makes the state, to be written somewhere. If
        it returns True, training ends.

    Returns
    -------
    TrainingState
        The network has its ``kept_weights()``. After Ctrl-C with at least one epoch done, it is
        ``interrupted``; what then happens is for the caller to say: see `interruption.raise_again`.

    Raises
    ------
    TrainingError
        If the loss, the weights or the bound are not finite.
    KeyboardInterrupt
        After Ctrl-C in the first epoch, in which nothing was learned.

    Warns
    -----
    ConvergenceWarning
        If the network is worse than before training.
    """
    rng = np.random.default_rng([seed, Stream.VALIDATION_SPLIT])
    training, held_out = split(rows, trainer.validation_fraction, rng)
    n_epochs = count_epochs(len(rows), trainer, max_epochs, batch_size)
    batches = ShuffledBatches(training, spec, min(batch_size, len(training)), device, rng)
    with own_modes(grad=True):
        network.to(device)
        if state is None and isinstance(network, Initialisable):
            _initialise(network, batches, seed)
        net = _Net(
            network,
            criterion=nn.Identity,
            optimizer=OPTIMIZERS[trainer.optimizer],
            lr=learning_rate,
            max_epochs=n_epochs,
            device=None,
            callbacks=list(trainer.callbacks),
            verbose=verbose,
        )
        net.prepare(objective, batches, held_out, trainer, seed, state)
        _log.info(
            "%s: training on %d rows begins after epoch %d of %d, %d steps each, on %s",
            *(name, len(training), net.done.epoch, n_epochs, len(batches), device),
        )
        terminated = net.run(after_epoch)
        state = net.state()
        network.load_state_dict(state.kept_weights())
        network.to("cpu").eval()
        for parameter in network.parameters():
            parameter.grad = None
    state.terminated = terminated
    _log.info("%s: %s", name, state.how_it_ended())
    if state.interrupted and not state.history:
        raise_again(terminated)
    warn_if_diverged(state, learning_rate)
    return state


def _initialise(network: Initialisable, batches: ShuffledBatches, seed: int) -> None:
    rows, spec = batches.rows, batches.spec
    order = np.random.default_rng([seed, Stream.FIRST_BATCH]).permutation(len(rows))
    first = spec.to_tensor(rows.take(np.sort(order[: batches.batch_size])), batches.device)
    with torch.no_grad():
        network.initialise_from_data(first, Noise([seed, Stream.INITIALISATION], batches.device))


class _Net(NeuralNet):
    """skorch's loop, with an objective that sees the network and a bound for validation."""

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
        ]

    def prepare(
        self,
        objective: Objective,
        batches: ShuffledBatches,
        held_out: Rows | None,
        trainer: Trainer,
        seed: int,
        state: TrainingState | None,
    ) -> None:
        # Not constructor arguments: skorch would clone them.
        self.objective, self.batches, self.held_out = objective, batches, held_out
        self.trainer, self.seed = trainer, seed
        self.noise = Noise([seed, Stream.TRAINING], batches.device)
        self.patience = None if held_out is None else trainer.patience_for(self.max_epochs)
        self.initialize()
        self.schedule = self._schedule()
        decay = trainer.weight_average
        self.average = None if decay is None else WeightAverage(self.module_, decay)
        self.done = TrainingState()
        if state is None:
            # Only a fall far below it will count.
            self.done.initial_bound = self._diagnose(_FEWEST_DIAGNOSED).bound
        else:
            self._restore(state)

    @property
    def to_keep(self) -> nn.Module:
        """The network that is judged, and in the end used."""
        return self.module_ if self.average is None else self.average.network

    def _schedule(self) -> torch.optim.lr_scheduler.CosineAnnealingLR | None:
        if self.trainer.lr_schedule == "constant":
            return None
        n_steps = self.max_epochs * len(self.batches)
        return torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer_, T_max=n_steps)

    def _restore(self, state: TrainingState) -> None:
        # torch's optimisers go on writing into the tensors that they are given.
        state = copy.deepcopy(state)
        self.done = replace(state, interrupted=False, terminated=False)
        self.module_.load_state_dict(state.weights)
        self.optimizer_.load_state_dict(state.optimizer)
        check_moments(self.optimizer_)
        if self.average is not None and state.average is not None:
            self.average.network.load_state_dict(state.average)
        if self.schedule is not None and state.schedule is not None:
            self.schedule.load_state_dict(state.schedule)
        self.noise.set_state(cast(Tensor, state.noise))
        cast(np.random.Generator, self.batches.rng).bit_generator.state = state.order
        self.history.extend({"batches": [], **epoch} for epoch in state.history)

    def state(self) -> TrainingState:
        """Everything as it stands; what training does afterwards does not change it."""
        schedule = None if self.schedule is None else self.schedule.state_dict()
        return replace(
            self.done,
            weights=_copied(self.module_.state_dict()),
            average=None if self.average is None else _copied(self.average.network.state_dict()),
            optimizer=copy.deepcopy(self.optimizer_.state_dict()),
            schedule=copy.deepcopy(schedule),
            noise=self.noise.state(),
            order=dict(cast(np.random.Generator, self.batches.rng).bit_generator.state),
            # The epoch that Ctrl-C cut short lacks some entries.
            history=[
                {name: epoch[name] for name in RECORDED if name in epoch}
                for epoch in self.history[: self.done.epoch]
            ],
            snapshots=dict(self.done.snapshots),
        )

    def run(self, after_epoch: Callable[..., bool | None] | None) -> bool:
        """All epochs that are left; returns whether SIGTERM ended them."""
        self.notify("on_train_begin", X=None, y=None)
        so_far = progress(self.max_epochs, "epoch", n_done=self.done.epoch)
        with Interruptions() as interruptions, so_far as show:
            try:
                while self.done.epoch < self.max_epochs and not self._is_patience_out():
                    self.fit_loop(self.batches.rows, epochs=1)
                    self.done.epoch += 1
                    show(self.done.epoch, bound=self.history[-1, "bound"])
                    if after_epoch is not None and after_epoch(self.state):
                        break
            except KeyboardInterrupt:
                self.done.interrupted = not self._was_stopped_by_a_callback()
                # Also where a callback raised it at the very end of an epoch.
                self.done.epoch = sum(COLUMNS <= epoch.keys() for epoch in self.history)
        self.notify("on_train_end", X=None, y=None)
        return interruptions.terminated

    def _is_patience_out(self) -> bool:
        misses = self.done.epoch - self.done.best_epoch
        return self.patience is not None and misses >= self.patience

    def _was_stopped_by_a_callback(self) -> bool:
        """Whether the user's early stopping raised KeyboardInterrupt, which is skorch's way."""
        stoppers = [c for _, c in self.callbacks_ if isinstance(c, EarlyStopping)]
        return any(callback.misses_ >= callback.patience for callback in stoppers)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        return X, X  # `run_single_epoch` knows which rows are held out

    def get_iterator(self, dataset: Any, training: bool = False) -> ShuffledBatches:
        return self.batches

    def run_single_epoch(self, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
        if training:
            super().run_single_epoch(iterator, training, *args, **kwargs)
        else:
            self._look_at_the_epoch()

    def train_step(self, batch: Tensor, **fit_params: Any) -> Any:
        step = super().train_step(batch, **fit_params)
        if self.schedule is not None:
            self.schedule.step()
        if self.average is not None:
            self.average.update(self.module_, self.done.step)
        return step

    def train_step_single(self, batch: Tensor, **fit_params: Any) -> dict[str, Any]:
        self.module_.train()
        so_far = Progress(self.done.step, self.max_epochs * len(self.batches))
        loss = self.objective(cast(DensityNetwork, self.module_), batch, self.noise, so_far)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"The loss is {loss.item()} in epoch {self.done.epoch + 1}, batch "
                f"{self.done.step % len(self.batches) + 1}. Lower learning_rate (now {self.lr:g}) "
                "or trainer.clip_norm, or look for extreme values in X."
            )
        loss.backward()
        nn.utils.clip_grad_norm_(self.module_.parameters(), self.trainer.clip_norm)
        self.done.step += 1
        return {"loss": loss, "y_pred": None}

    def _look_at_the_epoch(self) -> None:
        """Record the bound and what each layer carries; keep the best network, and snapshots."""
        found, epoch = self._diagnose(), self.done.epoch + 1
        check_finite(self.to_keep, found.bound, epoch, self.lr)
        is_best = self.held_out is not None and -found.bound < self.done.best_loss
        # Any better bound counts: a relative threshold would depend on the units of X.
        if is_best:
            self.done.best_loss, self.done.best_epoch = -found.bound, epoch
            if self.patience is not None:
                self.done.best_weights = _copied(self.to_keep.state_dict())
        if self.held_out is not None:
            self.history.record("valid_loss", -found.bound)
            self.history.record("valid_loss_best", is_best)
        for name, value in vars(found).items():
            self.history.record(name, value)
        self.history.record("held_out", self.held_out is not None)
        if epoch in self.trainer.snapshot_epochs:
            self.done.snapshots[epoch] = _copied(self.to_keep.state_dict())

    def _diagnose(self, n_rows: int | None = None) -> Diagnosis:
        rows, n_held_out = self.batches.rows[: n_rows or _DIAGNOSED_ROWS], None
        if self.held_out is not None:
            # What layers carry is an average that a few rows cannot tell from nothing.
            rows = self.held_out[:n_rows]
            n_held_out = len(rows)
        noise = Noise([self.seed, Stream.DIAGNOSIS], self.batches.device)  # the same at every epoch
        return diagnose(self.to_keep, self._in_order(rows), noise, n_held_out)

    def _in_order(self, rows: Rows) -> ShuffledBatches:
        n_missing = 0 if self.held_out is None else max(0, _FEWEST_DIAGNOSED - len(rows))
        if n_missing:
            rows = _joined(rows, self.batches.rows[:n_missing])
        return ShuffledBatches(
            rows, self.batches.spec, self.batches.batch_size, self.batches.device
        )


def _joined(first: Rows, second: Rows) -> Rows:
    """Both, which are rows of one array."""
    index = np.concatenate([cast(Any, first.index), cast(Any, second.index)])
    return Rows(first.array, first.origin, first.names, index)


def _copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in weights.items()}
