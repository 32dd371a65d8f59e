"""Everything that training has come to after an epoch: enough to go on as if it had not stopped."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

__all__ = ["COLUMNS", "RECORDED", "TrainingState"]

# What skorch's history holds of each epoch that people look at, and what callbacks may ask for. The
# losses of single batches are left out: they are many.
COLUMNS = {"train_loss", "bound", "kl", "active_units", "dur", "held_out"}
RECORDED = (*sorted(COLUMNS), "epoch", "train_loss_best", "valid_loss", "valid_loss_best")

Weights = dict[str, Tensor]


@dataclass
class TrainingState:
    """What training has come to; it can be pickled, and given to `skood.training.loop.train`.

    Attributes
    ----------
    epoch, step : int
        Epochs and optimiser steps done.
    weights : dict of Tensors
        State of the network, on the CPU.
    average : dict of Tensors or None
        State of the network of averaged weights, where the `Trainer` asks for one.
    optimizer, schedule : dict
        States of the optimiser and, unless the learning rate is constant, of its schedule.
    noise : Tensor
        Where the stream of random numbers of the passes stands.
    order : dict
        State of the generator that shuffles the rows.
    initial_bound : float
        Bound of the network before the first step, nats per row.
    best_loss, best_epoch, best_weights
        Lowest negative bound on held-out rows, its epoch, and the network then; None before there
        is one, or where the last network is the one to keep.
    history : list of dicts
        One for each epoch, with what skorch records under the names in `RECORDED`.
    snapshots : dict from int to dict of Tensors
        Weights after some epochs, see `Trainer`.
    interrupted, terminated : bool
        Whether Ctrl-C or SIGTERM ended the training, and whether it was the latter.
    """

    epoch: int = 0
    step: int = 0
    weights: Weights = field(default_factory=dict)
    average: Weights | None = None
    optimizer: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] | None = None
    noise: Tensor | None = None
    order: dict[str, Any] = field(default_factory=dict)
    initial_bound: float = -math.inf
    best_loss: float = math.inf
    best_epoch: int = 0
    best_weights: Weights | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    snapshots: dict[int, Weights] = field(default_factory=dict)
    interrupted: bool = False
    terminated: bool = False

    def kept_weights(self) -> Weights:
        """Those to use: the best on held-out rows, or the last; averages, where there are any."""
        last = self.weights if self.average is None else self.average
        return last if self.best_weights is None else self.best_weights

    def kept_bound(self) -> float:
        """Bound of the network with `kept_weights`, nats per row."""
        bound: float = self.history[-1]["bound"]
        return bound if self.best_weights is None else -self.best_loss

    def how_it_ended(self) -> str:
        """A sentence for the log."""
        if self.interrupted:
            return f"training was interrupted by {self._signal} after epoch {self.epoch}"
        seconds = sum(epoch["dur"] for epoch in self.history)
        return (
            f"training ended after epoch {self.epoch}, {seconds:.0f} seconds: the bound is "
            f"{self.kept_bound():.6g} nats per row"
        )

    @property
    def _signal(self) -> str:
        return "SIGTERM" if self.terminated else "Ctrl-C"

    def columns(self) -> dict[str, list[Any]]:
        """The history by name: ``train_loss``, ``bound``, ``kl``, ``active_units``, and so on."""
        names = {"seconds" if column == "dur" else column: column for column in sorted(COLUMNS)}
        return {name: [epoch[key] for epoch in self.history] for name, key in names.items()}
