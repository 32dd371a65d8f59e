"""The parameters of training that few people change."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

__all__ = ["WITHOUT_EFFECT", "Trainer"]

# Parameters of models, and their trainers, on which no weight depends, and one value for each.
WITHOUT_EFFECT = {
    "device": "cpu",
    "verbose": 0,
    "trainer__callbacks": (),
    "trainer__checkpoint": None,
    "trainer__on_interrupt": "raise",
}


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
    weight_average : float in (0, 1), default=None
        If given, the model gets an exponential moving average of the weights of all steps, with
        this weight for the average so far: 0.999 is about the last thousand steps. Early in
        training it is an average over fewer. Held-out bounds, the best network and snapshots are
        those of averaged weights, training itself is the same.
    snapshot_epochs : tuple of int, default=()
        Epochs after which the weights are kept, counted from 1, so that the model can be used as it
        was then: see ``at_epoch`` of the models. Each takes as much memory as the network.
    checkpoint : str, path or None, default=None
        A file in which training is kept after each epoch, so that it survives its process. The next
        `fit` with the same data and parameters takes it up, wherever it was killed, and comes to
        bitwise the same weights as one that ran through (with the same ``torch.set_num_threads``);
        a training that had ended is there at once. With other data, parameters or versions `fit`
        raises a ValueError that names what differs. A path of a folder that is there means a file
        for each training in it: for grid searches, cross-validation and detectors of several
        models. ``random_state=None`` of the model, or of the detector around it, is then 0. The
        files hold no code; delete them when they are no longer needed.
    on_interrupt : {"raise", "keep"}, default="raise"
        What happens after Ctrl-C, if at least one epoch is done. In both cases the estimator is
        fitted with what it had learned and can be used. "raise" goes on with the KeyboardInterrupt,
        so that one Ctrl-C ends a grid search or a loop around `fit`, too. "keep" returns from `fit`
        with an `InterruptedFitWarning`: for notebooks, where the next line should run. SIGTERM
        ends the process like "raise".
    callbacks : tuple of skorch callbacks, default=()
        For instance ``skorch.callbacks.TensorBoard(writer)``. What they know is not in a
        ``checkpoint``.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import MAF, Trainer
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> trainer = Trainer(optimizer="adamw", patience=5, snapshot_epochs=(1,))
    >>> model = MAF(max_epochs=3, trainer=trainer, random_state=0).fit(X)
    >>> model.at_epoch(1).n_iter_
    1
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "optimizer": [StrOptions({"adam", "adamw", "adamax"})],
        "lr_schedule": [StrOptions({"cosine", "constant"})],
        "clip_norm": [Interval(Real, 0, None, closed="neither")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "weight_average": [Interval(Real, 0, 1, closed="neither"), None],
        "snapshot_epochs": [tuple, list],
        "checkpoint": [str, os.PathLike, None],
        "on_interrupt": [StrOptions({"raise", "keep"})],
        "callbacks": [tuple, list],
    }
    # Code, and a place on this machine; see `skood.core.savable.Savable`.
    _not_saved: ClassVar[frozenset[str]] = frozenset({"callbacks", "checkpoint"})

    def __init__(
        self,
        *,
        optimizer: str = "adam",
        lr_schedule: str = "cosine",
        clip_norm: float = 200.0,
        validation_fraction: float = 0.1,
        patience: int | str | None = "auto",
        weight_average: float | None = None,
        snapshot_epochs: tuple[int, ...] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        on_interrupt: str = "raise",
        callbacks: tuple[Any, ...] = (),
    ):
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.clip_norm = clip_norm
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.weight_average = weight_average
        self.snapshot_epochs = snapshot_epochs
        self.checkpoint = checkpoint
        self.on_interrupt = on_interrupt
        self.callbacks = callbacks

    def check(self) -> None:
        """Raise ValueError for a parameter out of its range."""
        self._validate_params()
        for epoch in self.snapshot_epochs:
            if not isinstance(epoch, Integral) or epoch < 1:
                raise ValueError(
                    "snapshot_epochs must hold integers from 1, the first epoch, on; "
                    f"got {epoch!r}."
                )

    def patience_for(self, max_epochs: int) -> int | None:
        """What ``patience`` stands for."""
        if self.patience == "auto":
            return max(10, max_epochs // 5)
        return None if self.patience is None else int(self.patience)
