"""What the models share whose network is trained by gradient descent."""

from __future__ import annotations

import copy
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skood.core.batches import resolve_device
from skood.core.callbacks import fit_task, steps
from skood.core.parameters import draw_seed
from skood.core.progress import shows_progress
from skood.core.protocols import Objective
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows, unfitted_copy
from skood.models._density import BaseDensity
from skood.models._nested import NestedDefaults
from skood.objectives import ELBO
from skood.training.checkpoint import Checkpoint, identity_of
from skood.training.interruption import raise_again, warn_of_interruption
from skood.training.plan import count_epochs
from skood.training.state import TrainingState
from skood.training.trainer import Trainer

__all__ = ["BaseGenerativeModel"]


class BaseGenerativeModel(NestedDefaults, BaseDensity):
    """Base of the models that are trained by gradient descent.

    A subclass gives ``__init__`` with at least the parameters constrained below, and
    ``_build_network(rows)``; see `BaseDensity`.

    Attributes
    ----------
    history_ : dict of lists
        One entry per epoch: ``train_loss``, ``bound`` (without free bits, on held-out rows where
        ``held_out``), both in nats per row, ``kl`` in nats and ``active_units`` of each layer,
        ``seconds``.
    n_iter_ : int
        Epochs done.
    interrupted_ : bool
        Whether Ctrl-C ended the training.
    snapshots_ : dict
        Weights after each of ``trainer.snapshot_epochs``; see `at_epoch`.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseDensity._parameter_constraints,
        "trainer": [Trainer, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "verbose": ["verbose"],
    }
    trainer: Trainer | None
    max_epochs: int | str
    batch_size: int
    learning_rate: float | str
    verbose: int

    @fit_task
    @shows_progress
    def fit(self, X: ArrayLike | Tensor | Rows, y: Any = None) -> Any:
        """Train on normal rows.

        Parameters
        ----------
        X : array-like or tensor of shape (n, features), (n, height, width), \
(n, height, width, channels) or (n, channels, height, width)
            Normal data: uint8 images, float images in [0, 1], or a table of real numbers.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or X is not valid; the estimator is then as it was before.
        TrainingError
            If the loss or the weights are not finite; likewise.
        KeyboardInterrupt
            After Ctrl-C. If one epoch is done, the estimator is fitted with the best network so
            far, and can be used; see `Trainer` for how to go on without the exception.

        Warns
        -----
        CollapseWarning
            If a latent layer carries no information.
        ConvergenceWarning
            If training made the model worse.
        """
        fitted = unfitted_copy(self)
        terminated = fitted._fit(X)
        self.__dict__ = dict(vars(fitted))
        if self.interrupted_:
            if terminated or self._trainer.on_interrupt == "raise":
                raise_again(terminated)
            warn_of_interruption(self.n_iter_)
        self._warn_of_training()
        return self

    def _train(self, network: nn.Module, rows: Rows, spec: RowSpec, seed: int) -> bool:
        """By the trainer; returns whether SIGTERM ended it."""
        from skood.training.loop import train

        trainer = self._trainer
        trainer.check()
        checkpoint = self._checkpoint(rows, seed)
        n_epochs = count_epochs(len(rows), trainer, self.max_epochs, self.batch_size)
        with steps("epoch", n_epochs, rows) as step:

            def after_epoch(state: Callable[[], TrainingState]) -> bool:
                if checkpoint is not None:
                    checkpoint.write(state)
                return step(lambda: self._attributes_after(state(), network, rows, spec, seed))

            state = train(
                network,
                self._objective_for(network),
                rows,
                spec,
                trainer=trainer,
                max_epochs=self.max_epochs,
                batch_size=self.batch_size,
                learning_rate=self._learning_rate_for(spec),
                device=resolve_device(self.device),
                seed=seed,
                name=type(self).__name__,
                verbose=self.verbose,
                state=None if checkpoint is None else checkpoint.read(),
                after_epoch=after_epoch,
            )
        self._remember(state)
        return state.terminated

    def _remember(self, state: TrainingState) -> None:
        self.history_, self.interrupted_ = state.columns(), state.interrupted
        self.snapshots_, self.n_iter_ = state.snapshots, state.epoch

    def _attributes_after(
        self, state: TrainingState, network: nn.Module, rows: Rows, spec: RowSpec, seed: int
    ) -> dict[str, Any]:
        """Fitted attributes as if training, which goes on, had ended with this state."""
        fitted, network = unfitted_copy(self), copy.deepcopy(network).cpu().eval()
        network.load_state_dict(state.kept_weights())
        fitted._remember(state)
        fitted._take_over(network, rows, spec, seed)
        return dict(vars(fitted))

    def _checkpoint(self, rows: Rows, seed: int) -> Checkpoint | None:
        if self._trainer.checkpoint is None:
            return None
        device = resolve_device(self.device)
        return Checkpoint(
            self._trainer.checkpoint, identity_of(self, rows, seed=seed, device=device)
        )

    def _draw_seed(self) -> int:
        # The next process can take up only what is the same again.
        fixed = self.random_state is None and self._trainer.checkpoint is not None
        return draw_seed(0 if fixed else self.random_state)

    @property
    def _trainer(self) -> Trainer:
        return Trainer() if self.trainer is None else self.trainer

    def at_epoch(self, epoch: int) -> Any:
        """The fitted model as it was after so many epochs: a copy with weights of its own.

        For detectors that do well with hardly trained models::

            model = Glow(trainer=Trainer(snapshot_epochs=(1, 10))).fit(X_train)
            GradientNorm(FrozenEstimator(model.at_epoch(1))).fit(X_other)

        Parameters
        ----------
        epoch : int
            One of ``trainer.snapshot_epochs``.

        Raises
        ------
        ValueError
            If the weights after this epoch were not kept.
        """
        check_is_fitted(self)
        if not isinstance(epoch, Integral) or epoch not in self.snapshots_:
            raise ValueError(
                f"epoch={epoch!r} was not kept, but {sorted(self.snapshots_) or 'none'} of the "
                f"{self.n_iter_} epochs that training took. Name it in "
                "Trainer(snapshot_epochs=...); if training ended before, raise max_epochs or the "
                "trainer's patience."
            )
        model = copy.copy(self)
        model.network_ = copy.deepcopy(self.network_)
        model.network_.load_state_dict(self.snapshots_[epoch])
        model.history_ = {name: values[:epoch] for name, values in self.history_.items()}
        model.n_iter_ = epoch
        return model

    def _learning_rate_for(self, rows: RowSpec) -> float:
        """The rate that training starts with."""
        return float(self.learning_rate)

    def _objective_for(self, network: nn.Module) -> Objective:
        """What training minimises."""
        return ELBO(free_bits=0.0)

    def _nested_default(self, name: str) -> Any:
        return Trainer() if name == "trainer" else None

    def _warn_of_training(self) -> None:
        """Warn of what the history shows."""
