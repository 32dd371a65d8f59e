"""What detectors around generative models share: which models, and their training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from joblib import Memory
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted, check_memory
from torch import Tensor

from skood.core.estimator_protocols import DensityModel, LatentModel, missing_members
from skood.core.exceptions import ExportError
from skood.core.rows import Rows, check_rows
from skood.detectors._calibrated import CalibratedDetector
from skood.detectors._shared_models import SharedModels
from skood.detectors._training import is_fitted, shared_key, trained
from skood.models import HVAE
from skood.models._base import BaseGenerativeModel
from skood.models._density import BaseDensity
from skood.models._nested import NestedDefaults

__all__ = ["ModelDetector", "unfrozen"]


class ModelDetector(NestedDefaults, CalibratedDetector):
    """Base of the detectors around one generative model, or several.

    A subclass gives ``__init__`` with at least the parameters constrained below, the protocol of
    what it asks of its models, and ``_statistic(rows)``; see `CalibratedDetector` for the rest. If
    it has several models, ``_model_parameters`` names the parameters that hold them, and
    ``models_`` has them fitted; ``model_`` is the one called ``model``. Where a parameter stands
    for several models, it gives ``_unfitted_models(rows, seed)``; where not all are trained on the
    same rows, ``_trainings(rows, seed)``.

    Attributes
    ----------
    model_ : estimator
        The fitted generative model.
    models_ : dict from str to estimator
        All of them, by the name of the parameter that holds them.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CalibratedDetector._parameter_constraints,
        "model": [HasMethods(["fit"]), FrozenEstimator, None],
        "memory": [str, Memory, None],
        "verbose": ["verbose"],
    }
    _model_parameters: ClassVar[tuple[str, ...]] = ("model",)
    _model_protocol: ClassVar[type] = DensityModel
    _not_scoring = CalibratedDetector._not_scoring | {"model", "memory", "verbose"}
    _not_saved = CalibratedDetector._not_saved | {"memory"}
    model: Any
    memory: str | Memory | None

    def fit(self, X: ArrayLike | Tensor, y: Any = None) -> Any:
        """Train the model on normal rows and set the threshold on others.

        Parameters
        ----------
        X : array-like or tensor of shape (n, features), (n, height, width), \
(n, height, width, channels) or (n, channels, height, width)
            Normal data. With ``model=FrozenEstimator(model)`` they only calibrate, and must be
            rows that the model was not trained on.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or X is not valid, or the model lacks what the detector needs; the
            detector is then as it was before.
        KeyboardInterrupt
            After Ctrl-C. If the model has been trained for one epoch, the threshold is set for it
            first, and the detector can be used; see `Trainer` for how to go on without the
            exception. A second Ctrl-C, or one while the threshold is being set, leaves ``model_``.

        Warns
        -----
        CalibrationWarning
            If there are too few rows to promise ``fpr``, or if all have the same score.
        """
        return super().fit(X)

    @property
    def _keeps_training(self) -> bool:
        models = [getattr(self, name) for name in self._model_parameters]
        trainers = [getattr(model, "trainer", None) for model in models]
        return self.memory is not None or any(
            getattr(trainer, "checkpoint", None) is not None for trainer in trainers
        )

    @property
    def _is_frozen(self) -> bool:
        return all(isinstance(getattr(self, n), FrozenEstimator) for n in self._model_parameters)

    def _learn(
        self, rows: Rows, seed: int, shared: SharedModels | None = None
    ) -> BaseException | None:
        trainings = self._trainings(rows, seed)
        alone, shared = shared is None, shared or SharedModels()
        keys = {
            name: name if alone else shared_key(model, given, rows)
            for name, (model, given) in trainings.items()
            if not isinstance(model, FrozenEstimator)
        }
        missing = [name for name, key in keys.items() if key not in shared.fitted]
        self._train_all(shared, {keys[name]: trainings[name] for name in missing})
        self.models_ = {
            name: shared.fitted[keys[name]] if name in keys else model.estimator
            for name, (model, _) in trainings.items()
        }
        return shared.interrupt

    def _trainings(self, rows: Rows, seed: int) -> dict[str, tuple[Any, Rows]]:
        """Each of `_unfitted_models` with the rows that it is trained on."""
        return {name: (model, rows) for name, model in self._unfitted_models(rows, seed).items()}

    def _unfitted_models(self, rows: Rows, seed: int) -> dict[str, Any]:
        """Models as they will be named in ``models_``: frozen, or copies to be trained."""
        return {name: self._unfitted(name, seed, rows) for name in self._model_parameters}

    def _train_all(self, shared: SharedModels, trainings: Mapping[str, tuple[Any, Rows]]) -> None:
        """Put the models, trained, among the shared ones, under the same keys."""
        for key, (model, rows) in trainings.items():
            self._train_into(shared, key, model, rows)

    def _train_into(self, shared: SharedModels, key: str, model: Any, rows: Rows) -> None:
        """Train one model, unless a Ctrl-C has ended the training of another."""
        if shared.interrupt is not None and isinstance(model, BaseGenerativeModel):
            raise shared.interrupt
        try:
            shared.fitted[key] = trained(model, rows, check_memory(self.memory))
        except KeyboardInterrupt as interrupt:
            # Set the threshold for what it has learned, if anything, and then stop. SIGTERM
            # (a SystemExit) cannot wait for that, and nobody will ask for it.
            if not is_fitted(model):
                raise
            shared.fitted[key], shared.interrupt = model, interrupt

    def _check_learnable(self, rows: Rows) -> None:
        self._unfitted_models(rows, 0)

    @property
    def model_(self) -> Any:
        if "models_" not in vars(self):
            raise AttributeError(f"model_: this {type(self).__name__} is not fitted yet.")
        return self.models_["model"]

    def _unfitted(self, name: str, seed: int, rows: Rows) -> Any:
        """The model of a parameter: frozen, or a copy to be trained; refused if it will not do."""
        model = getattr(self, name)
        if isinstance(model, FrozenEstimator):
            self._check_model(model.estimator)
            check_is_fitted(model.estimator)
            frozen: Any = model.estimator
            n_layers = model.estimator.n_layers_ if isinstance(frozen, LatentModel) else 0
            self._check_layers(type(frozen).__name__, n_layers)
            return model
        model = self._nested_default(name) if model is None else clone(model)
        self._check_model(model)
        if model.get_params().get("random_state", seed) is None:
            model.set_params(random_state=seed)
        # Before the training, which may take hours, and not after it.
        n_layers = model.count_layers(rows) if isinstance(model, LatentModel) else 0
        self._check_layers(type(model).__name__, n_layers)
        return model

    def _check_model(self, model: Any) -> None:
        missing = missing_members(self._model_protocol, model)
        if missing:
            raise ValueError(
                f"{type(self).__name__} asks its model for {', '.join(missing)}, which "
                f"{type(model).__name__} lacks. Use a generative model of skood, such as "
                f"{type(self._nested_default('model')).__name__}; where X is transformed first, "
                "put the detector at the end of the Pipeline, not the Pipeline into the detector."
            )

    def _nested_default(self, name: str) -> Any:
        """What a model parameter stands for if it is None."""
        return HVAE()

    def _check_layers(self, name: str, n_layers: int) -> None:
        """Raise ValueError if the model called ``name`` has the wrong number of latent layers."""

    @property
    def _takes_real_values(self) -> bool:
        """Whether the fitted model takes rows for real numbers, whose likelihood has no bottom."""
        if "models_" not in vars(self):
            return False
        spec = getattr(self.model_, "rows_", None)
        return len(self.input_shape_) == 1 if spec is None else spec.kind == "real"

    def _of_model(self, rows: Rows, name: str = "model") -> Any:
        """Rows as one of the models takes them: skood's own do not check them again."""
        model = self.models_[name]
        if isinstance(model, BaseDensity):
            return rows
        return rows.as_known_to(model)

    def _exportable_model(self, protocol: type) -> Any:
        """The fitted model, if it offers what an exported score is made of."""
        check_is_fitted(self)
        self._check_scoring_parameters()
        missing = missing_members(protocol, self.model_)
        if missing:
            name = type(self.model_).__name__
            raise ExportError(
                f"{type(self).__name__} over {name} cannot be exported, since {name} has no "
                f"{', '.join(missing)}. Use a generative model of skood, or serve the detector "
                "itself, as docs/recipes/serve does."
            )
        return self.model_

    def score(self, X: ArrayLike | Tensor, y: Any = None) -> float:
        """Mean held-out log-likelihood of the model, nats per row; the higher, the better.

        So a grid search over the model's parameters needs no outliers. It says nothing of ``k``.
        """
        check_is_fitted(self)
        score: float = self.model_.score(self._of_model(check_rows(self, X, reset=False)))
        return score


def unfrozen(model: Any) -> Any:
    """The model itself, whether it is frozen or not."""
    return model.estimator if isinstance(model, FrozenEstimator) else model
