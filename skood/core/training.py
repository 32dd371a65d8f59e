"""The training loop: the only place that knows skorch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, EpochTimer, LRScheduler, PassthroughScoring, PrintLog
from torch import Tensor, nn

from skood.core.batches import ShuffledBatches, to_tensor
from skood.core.exceptions import InterruptedFitWarning, TrainingError
from skood.core.noise import Noise
from skood.core.protocols import Network, Objective, Progress
from skood.core.trainer import Trainer

__all__ = ["planned_epochs", "train"]

# A unit whose mean Kullback-Leibler divergence is below this carries no information to speak of.
ACTIVE_UNIT_NATS = 0.01
_DIAGNOSED_ROWS = 1_000  # where no rows are held out
_FEWEST_DIAGNOSED = 100
_FEWEST_TO_SPLIT = 20
_FEWEST_HELD_OUT = 5


class Trained(NamedTuple):
    """What `train` returns."""

    history: dict[str, list[Any]]
    interrupted: bool
    snapshots: dict[int, dict[str, Tensor]]


_OPTIMIZERS = {
    # One fused update: a fifth of a step's time on a CPU goes into the update otherwise.
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    "adamax": torch.optim.Adamax,
}


def planned_epochs(
    max_epochs: int | str, n_rows: int, batch_size: int, has_validation: bool = True
) -> int:
    """``"auto"`` is as many epochs as give about 7,000 steps, between 10 and 2,000.

    500 at most where nothing is held out to stop early: small data would be learned by heart.
    """
    if max_epochs != "auto":
        return int(max_epochs)
    steps_per_epoch = max(1, n_rows // batch_size)
    return min(2000 if has_validation else 500, max(10, round(7_000 / steps_per_epoch)))


def train(
    network: nn.Module,
    objective: Objective,
    X: NDArray[Any],
    *,
    trainer: Trainer,
    max_epochs: int | str,
    batch_size: int,
    learning_rate: float,
    device: torch.device,
    seed: int,
    verbose: int = 0,
) -> Trained:
    """Train ``network`` in place and leave it on the CPU, in evaluation mode.

    Parameters
    ----------
    network : Network
    objective : Objective
    X : ndarray of shape (n, ...)
    trainer : Trainer
    max_epochs, batch_size, learning_rate, device, seed, verbose
        As on the models. ``seed`` rules the split, the order of the rows and the noise.

    Returns
    -------
    history : dict
        One list entry per epoch under each of ``train_loss`` (the objective, nats per row),
        ``bound`` (without free bits, nats per row, on held-out rows where ``held_out``), ``kl``
        (per layer, nats) and ``active_units`` (per layer), which training rows fill up to 100, and
        ``seconds``.
    interrupted : bool
        Whether the user pressed Ctrl-C.
    snapshots : dict from int to dict of Tensors
        State of the network, on the CPU, after each of ``trainer.snapshot_epochs`` reached.

    Raises
    ------
    TrainingError
        If the loss is not finite.

    Warns
    -----
    InterruptedFitWarning
        If the user pressed Ctrl-C: the network is then the best one so far, or the last one
        without early stopping.
    """
    _check_epochs(trainer.snapshot_epochs)
    rng = np.random.default_rng([seed, 1])
    X_train, X_valid = _split(X, trainer.validation_fraction, rng)
    batch_size = min(batch_size, len(X_train))
    max_epochs = planned_epochs(max_epochs, len(X_train), batch_size, X_valid is not None)
    batches = ShuffledBatches(X_train, batch_size, device, rng)
    network.to(device)
    if hasattr(network, "initialise_from_data"):
        some = np.random.default_rng([seed, 6]).permutation(len(X_train))[:batch_size]
        first = to_tensor(X_train[np.sort(some)], device)
        with torch.no_grad():
            cast(Any, network).initialise_from_data(first, Noise([seed, 4], device))
    net = _Net(
        network,
        criterion=nn.Identity,
        optimizer=_OPTIMIZERS[trainer.optimizer],
        lr=learning_rate,
        max_epochs=max_epochs,
        device=None,
        callbacks=list(_callbacks(trainer, max_epochs, len(batches), X_valid is not None)),
        verbose=verbose,
    )
    net.setup(objective, batches, X_valid, trainer, seed)
    net.fit(X_train)
    network.to("cpu").eval()
    for parameter in network.parameters():
        parameter.grad = None
    if net.interrupted:
        warnings.warn(
            f"Training was interrupted in epoch {net.epoch} of {max_epochs}. The estimator is "
            "fitted with what it had learned and can be used; fit again to train to the end.",
            InterruptedFitWarning,
            stacklevel=2,
        )
    return Trained(_history(net), net.interrupted, net.snapshots)


def _check_epochs(snapshot_epochs: Iterable[Any]) -> None:
    for epoch in snapshot_epochs:
        if not isinstance(epoch, Integral) or epoch < 1:
            raise ValueError(
                f"snapshot_epochs must hold integers from 1, the first epoch, on; got {epoch!r}."
            )


def _split(
    X: NDArray[Any], fraction: float, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    # A handful is enough to see a flow learn a small table by heart, which costs it thousands of
    # nats on other rows.
    if fraction == 0 or len(X) < _FEWEST_TO_SPLIT:
        return X, None
    n_valid = max(_FEWEST_HELD_OUT, int(fraction * len(X)))
    order = rng.permutation(len(X))
    return X[np.sort(order[n_valid:])], X[np.sort(order[:n_valid])]


def _callbacks(
    trainer: Trainer, max_epochs: int, steps_per_epoch: int, has_validation: bool
) -> Iterable[Any]:
    if trainer.lr_schedule == "cosine":
        yield LRScheduler(
            "CosineAnnealingLR",
            T_max=max_epochs * steps_per_epoch,
            step_every="batch",
            event_name=None,
        )
    if has_validation and trainer.patience is not None:
        patience = max(10, max_epochs // 5) if trainer.patience == "auto" else trainer.patience
        # Any better bound counts. skorch's threshold is relative to the loss, which depends on the
        # units of X, and for negative losses it would take a worse bound for a better one.
        yield EarlyStopping(patience=patience, threshold=0, load_best=True, sink=_say_nothing)
    yield from trainer.callbacks


def _say_nothing(_: str) -> None:
    """Where skorch's early stopping would print."""


class _Net(NeuralNet):
    """skorch's loop, with an objective that sees the network and a bound for validation."""

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring(name="train_loss", on_train=True)),
            ("print_log", PrintLog(keys_ignored=["kl", "active_units"])),
        ]

    def setup(
        self,
        objective: Objective,
        batches: ShuffledBatches,
        X_valid: NDArray[Any] | None,
        trainer: Trainer,
        seed: int,
    ) -> None:
        # Not constructor arguments: skorch would clone them.
        self.objective, self.batches, self.X_valid = objective, batches, X_valid
        self.trainer, self.seed = trainer, seed
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        self.noise = Noise([seed, 2], batches.device)
        self.step, self.epoch, self.best_loss, self.interrupted = 0, 0, math.inf, False

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        if self.X_valid is None:
            return X, X[:_DIAGNOSED_ROWS]
        # What layers carry is an average that a few rows cannot tell from nothing.
        n_missing = max(0, _FEWEST_DIAGNOSED - len(self.X_valid))
        return X, np.concatenate([self.X_valid, X[:n_missing]])

    def get_iterator(self, dataset: Any, training: bool = False) -> ShuffledBatches:
        if training:
            return self.batches
        return ShuffledBatches(dataset, self.batches.batch_size, self.batches.device)

    def fit_loop(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().fit_loop(*args, **kwargs)
        except KeyboardInterrupt:
            self.interrupted = not self._stopped_early()
            raise  # skorch ends the training in good order

    def _stopped_early(self) -> bool:
        """Whether early stopping raised the KeyboardInterrupt, which is skorch's way to stop."""
        stoppers = [callback for _, callback in self.callbacks_]
        stoppers = [callback for callback in stoppers if isinstance(callback, EarlyStopping)]
        return any(callback.misses_ >= callback.patience for callback in stoppers)

    def run_single_epoch(self, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
        if training:
            self.epoch += 1
            super().run_single_epoch(iterator, training, *args, **kwargs)
            if self.epoch in self.trainer.snapshot_epochs:
                state = self.module_.state_dict()
                self.snapshots[self.epoch] = {k: v.cpu().clone() for k, v in state.items()}
        else:
            self._diagnose(iterator)

    def train_step_single(self, batch: Tensor, **fit_params: Any) -> dict[str, Any]:
        self.module_.train()
        progress = Progress(self.step, self.max_epochs * len(self.batches))
        loss = self.objective(cast(Network, self.module_), batch, self.noise, progress)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"The loss is {loss.item()} in epoch {self.epoch}, batch "
                f"{self.step % len(self.batches) + 1}. Lower learning_rate (now {self.lr:g}) or "
                "trainer.clip_norm, or look for extreme values in X."
            )
        loss.backward()
        nn.utils.clip_grad_norm_(self.module_.parameters(), self.trainer.clip_norm)
        self.step += 1
        return {"loss": loss, "y_pred": None}

    @torch.no_grad()
    def _diagnose(self, batches: Iterable[Tensor]) -> None:
        """Record the bound on rows kept out of training, and what each layer carries."""
        self.module_.eval()
        noise = Noise([self.seed, 3], self.batches.device)  # the same at every epoch
        weights, ratios = [], []
        for x in batches:
            terms = self.module_.terms(x, noise)
            weights.append(terms.log_weight)
            # A unit is a channel, wherever it looks.
            per_position = [layer.log_ratio for layer in terms.layers]
            ratios.append([r.reshape(*r.shape[:2], -1).sum(2) for r in per_position])
        per_unit = [torch.cat(layer).mean(0) for layer in zip(*ratios, strict=True)]
        held_out = None if self.X_valid is None else len(self.X_valid)
        loss = -torch.cat(weights)[:held_out].mean().item()
        if self.X_valid is not None:
            self.history.record("valid_loss", loss)
            self.history.record("valid_loss_best", loss < self.best_loss)
            self.best_loss = min(loss, self.best_loss)
        self.history.record("bound", -loss)
        self.history.record("kl", [units.sum().item() for units in per_unit])
        active = [int((units > ACTIVE_UNIT_NATS).sum()) for units in per_unit]
        self.history.record("active_units", active)


def _history(net: _Net) -> dict[str, list[Any]]:
    names = {"train_loss": "train_loss", "bound": "bound", "kl": "kl"}
    names |= {"active_units": "active_units", "seconds": "dur"}
    # The epoch that Ctrl-C cut short lacks some entries.
    epochs = [epoch for epoch in net.history if set(names.values()) <= epoch.keys()]
    history = {name: [epoch[key] for epoch in epochs] for name, key in names.items()}
    history["held_out"] = [net.X_valid is not None] * len(epochs)
    return history
