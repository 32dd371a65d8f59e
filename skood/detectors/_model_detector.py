"""What detectors around generative models share: the split, the training, the cache."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from joblib import Memory
from joblib import hash as hash_of
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted, check_memory
from torch import Tensor

from skood.core.exceptions import ExportError
from skood.core.parameters import draw_seed
from skood.core.protocols import DensityModel, LatentModel, missing_members
from skood.core.rows import Rows, check_rows
from skood.detectors._calibrated import CalibratedDetector
from skood.detectors._shared_models import SharedModels
from skood.models import HVAE
from skood.models._base import BaseGenerativeModel
from skood.models._density import BaseDensity
from skood.models._nested import NestedDefaults

__all__ = ["ModelDetector"]

# What a trained network does not depend on.
_NOT_TRAINING = {
    "device": "cpu",
    "verbose": 0,
    "trainer__callbacks": (),
    "trainer__on_interrupt": "raise",
}


class ModelDetector(NestedDefaults, CalibratedDetector):
    """Base of the detectors around one generative model, or several.

    A subclass gives ``__init__`` with at least the parameters constrained below, the protocol of
    what it asks of its models, and ``_statistic(rows)``; see `CalibratedDetector` for the rest. If
    it has several models, ``_model_parameters`` names the parameters that hold them, and
    ``models_`` has them fitted; ``model_`` is the one called ``model``.

    Attributes
    ----------
    model_ : estimator
        The fitted generative model.
    models_ : dict from str to estimator
        All of them by the name of the parameter.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CalibratedDetector._parameter_constraints,
        "model": [HasMethods(["fit"]), FrozenEstimator, None],
        "memory": [str, Memory, None],
    }
    _model_parameters: ClassVar[tuple[str, ...]] = ("model",)
    _model_protocol: ClassVar[type] = DensityModel
    _not_scoring = CalibratedDetector._not_scoring | {"model", "memory"}
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

    def _draw_seed(self) -> int:
        # A cache can only hit if the split is the same again.
        fixed = self.random_state is None and self.memory is not None
        return draw_seed(0 if fixed else self.random_state)

    @property
    def _is_frozen(self) -> bool:
        return all(isinstance(getattr(self, n), FrozenEstimator) for n in self._model_parameters)

    def _learn(
        self, rows: Rows, seed: int, shared: SharedModels | None = None
    ) -> BaseException | None:
        models = {name: self._unfitted(name, seed, rows) for name in self._model_parameters}
        alone, shared = shared is None, shared or SharedModels()
        fitted: dict[str, Any] = {}
        for name, model in models.items():
            if isinstance(model, FrozenEstimator):
                fitted[name] = model.estimator
                continue
            # Where there are few rows, detectors keep other numbers of them for calibration.
            key = name if alone else str(hash_of((_key(model), len(rows))))
            if key not in shared.fitted:
                self._train_into(shared, key, model, rows)
            fitted[name] = shared.fitted[key]
        self.models_ = fitted
        return shared.interrupt

    def _train_into(self, shared: SharedModels, key: str, model: Any, rows: Rows) -> None:
        if shared.interrupt is not None and isinstance(model, BaseGenerativeModel):
            raise shared.interrupt
        try:
            shared.fitted[key] = _trained(model, rows, check_memory(self.memory))
        except KeyboardInterrupt as interrupt:
            # Set the threshold for what it has learned, if anything, and then stop. SIGTERM
            # (a SystemExit) cannot wait for that, and nobody will ask for it.
            if not _is_fitted(model):
                raise
            shared.fitted[key], shared.interrupt = model, interrupt

    def _check_learnable(self, rows: Rows) -> None:
        for name in self._model_parameters:
            self._unfitted(name, 0, rows)

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
                "itself, as examples/serve does."
            )
        return self.model_

    def score(self, X: ArrayLike | Tensor, y: Any = None) -> float:
        """Mean held-out log-likelihood of the model, nats per row; the higher, the better.

        So a grid search over the model's parameters needs no outliers. It says nothing of ``k``.
        """
        check_is_fitted(self)
        score: float = self.model_.score(self._of_model(check_rows(self, X, reset=False)))
        return score


class _Interrupted(Exception):
    """Carries an interrupted model past the cache, which must not keep it."""


def _trained(model: Any, rows: Rows, memory: Memory) -> Any:
    """The model trained on the rows, or taken from the cache if it was before."""
    given = rows if isinstance(model, BaseDensity) else rows.as_given()
    if memory.location is None:
        return model.fit(given)
    train = memory.cache(_train, ignore=["model"])
    try:
        found = _loaded(train, _key(model), model, given)
    except _Interrupted:
        return model
    return found.set_params(**model.get_params(deep=False))


def _key(model: Any) -> Any:
    """The model with all that training does not depend on set to the same."""
    key = clone(model)
    names = set(key.get_params())
    if isinstance(key, BaseGenerativeModel):
        names |= _NOT_TRAINING.keys()  # of a default trainer, too
    same = {name: value for name, value in _NOT_TRAINING.items() if name in names}
    return key.set_params(**same)


def _loaded(train: Any, key: Any, model: Any, given: Any) -> Any:
    stored = train.call_and_shelve(key, model, given)
    try:
        found = stored.get()
        if type(found) is not type(model) or not _is_fitted(found):
            raise TypeError(f"it holds a {type(found).__name__}")
    except Exception as error:
        warnings.warn(
            f"The cached {type(model).__name__} cannot be read ({type(error).__name__}: {error}); "
            "it is trained again.",
            stacklevel=2,
        )
        stored.clear()
        found = train.call_and_shelve(key, model, given).get()
    return found


def _train(key: Any, model: Any, X: Any) -> Any:
    """What is cached: the same for all models with one key."""
    model.fit(X)
    if getattr(model, "interrupted_", False):
        raise _Interrupted
    return model


def _is_fitted(model: Any) -> bool:
    try:
        check_is_fitted(model)
    except Exception:
        return False
    return True
