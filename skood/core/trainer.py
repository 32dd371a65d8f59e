"""The parameters of training that few people change."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

__all__ = ["Trainer"]


class Trainer(BaseEstimator):
    """How to train: what few people change, apart from what everybody does.

    Parameters
    ----------
    optimizer : {"adam", "adamw", "adamax"}, default="adam"
    lr_schedule : {"cosine", "constant"}, default="cosine"
        Cosine decay of the learning rate to zero over the planned epochs.
    clip_norm : float, default=200.0
        Largest norm of the gradient of the loss in nats per row; larger ones are scaled down.
    validation_fraction : float in [0, 1), default=0.1
        Part of the rows that is kept out to watch the bound, at least 5 rows. With 0, or fewer than
        20 rows in all, there is no early stopping and the diagnostics are taken on training rows.
    patience : int, None or "auto", default="auto"
        Epochs without a better held-out bound (always without free bits and at full KL weight)
        after which training stops; the best network is kept in any case. "auto" is a fifth of
        ``max_epochs``, at least 10. None trains to the end and keeps the last network.
    snapshot_epochs : tuple of int, default=()
        Epochs after which the weights are kept, counted from 1, so that the model can be used as it
        was then: see ``at_epoch`` of the models. Each takes as much memory as the network.
    callbacks : tuple of skorch callbacks, default=()
        For instance ``skorch.callbacks.ProgressBar()`` or ``Checkpoint(dirname="run")``.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "optimizer": [StrOptions({"adam", "adamw", "adamax"})],
        "lr_schedule": [StrOptions({"cosine", "constant"})],
        "clip_norm": [Interval(Real, 0, None, closed="neither")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "snapshot_epochs": [tuple, list],
        "callbacks": [tuple, list],
    }

    def __init__(
        self,
        *,
        optimizer: str = "adam",
        lr_schedule: str = "cosine",
        clip_norm: float = 200.0,
        validation_fraction: float = 0.1,
        patience: int | str | None = "auto",
        snapshot_epochs: tuple[int, ...] = (),
        callbacks: tuple[Any, ...] = (),
    ):
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.clip_norm = clip_norm
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.snapshot_epochs = snapshot_epochs
        self.callbacks = callbacks
