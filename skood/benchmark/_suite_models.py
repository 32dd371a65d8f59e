"""Default models of detectors: each is trained once, and asked the same question once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skood.benchmark._run import epochs_within
from skood.core.rows import check_rows
from skood.training.plan import planned_epochs

__all__ = ["SuiteModels"]

_METHODS = ("bounds", "refitted_bounds", "score_samples", "score_norms")
_CALIBRATION_FRACTION = {"images": 0.1, "tables": 0.3}


class SuiteModels:
    """The models that detectors have by default, trained on the same rows.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        Normal rows in random order. Detectors around a model calibrate on the last tenth, of tables
        on the last 30 %, the model is trained on the others; all other detectors get all. Those
        around several models train their own, and calibrate on as many rows.
    max_minutes : float
        A model that is expected to train longer gets as many epochs as fit into this time.
    """

    def __init__(self, X: NDArray[Any], *, seed: int, max_minutes: float):
        self.X, self.seed, self.max_minutes = X, seed, max_minutes
        fraction = _CALIBRATION_FRACTION["tables" if X.ndim == 2 else "images"]
        self.calibration_fraction = fraction
        n_calibration = max(1, round(fraction * len(X)))
        self.X_train, self.X_calibration = X[:-n_calibration], X[-n_calibration:]
        self._trained: dict[tuple[str, str], tuple[Any, float]] = {}
        self._kept: dict[str, Any] = {}
        self._answers: dict[str, Any] | None = None

    def fit(self, detector: Any) -> float:
        """Fit the detector; returns the seconds this takes together with its models' training.

        One that combines others shares their models if each of them has one.
        """
        if _has_several_models(detector, self.X):
            return self._fit_with_own_models(detector)
        members = _default_members(detector, self.X)
        parts = [detector] if members is None else [member for _, member in members]
        models = [_model_of(part) for part in parts]
        if any(model is None for model in models):
            return _seconds(detector, self.X)
        fitted = [self._fitted(model) for model in models]
        for part, (model, _) in zip(parts, fitted, strict=True):
            part.set_params(model=FrozenEstimator(model))
        if members is not None:
            detector.set_params(detectors=members)
        seconds = sum({id(model): seconds for model, seconds in fitted}.values())
        return seconds + _seconds(detector, self.X_calibration)

    def _fit_with_own_models(self, detector: Any) -> float:
        model = _model_of(detector)
        self._prepare(model)
        detector.set_params(model=model, calibration_fraction=self.calibration_fraction)
        return _seconds(detector, self.X)

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Within it, what a model was asked before about the same rows is not computed again.

        Most detectors ask for the same bounds, and for those of rows again where these are groups.
        What takes time is measured outside.
        """
        self._answers = self._kept
        try:
            yield
        finally:
            self._answers = None

    def _remember_answers(self, model: Any) -> None:
        for name in _METHODS:
            if hasattr(model, name):
                setattr(model, name, self._remembered(model, getattr(model, name)))

    def _remembered(self, model: Any, method: Callable[..., Any]) -> Callable[..., Any]:
        def answer(rows: Any, *given: Any, **named: Any) -> Any:
            if self._answers is None:
                return method(rows, *given, **named)
            key = joblib.hash((id(model), method.__name__, np.asarray(rows), given, named))
            if key not in self._answers:
                self._answers[key] = method(rows, *given, **named)
            return self._answers[key]

        return answer

    def _fitted(self, model: Any) -> tuple[Any, float]:
        key = type(model).__name__, str(model.get_params())
        if key not in self._trained:
            self._prepare(model)
            self._trained[key] = model, _seconds(model, self.X_train)
            self._remember_answers(model)
        return self._trained[key]

    def _prepare(self, model: Any) -> None:
        parameters = model.get_params()
        if "random_state" in parameters:
            model.set_params(random_state=self.seed)
        if "max_epochs" in parameters:
            n_epochs = epochs_within(self.max_minutes, model, self.X_train)
            planned = planned_epochs(model.max_epochs, len(self.X_train), model.batch_size)
            if n_epochs < planned:
                model.set_params(max_epochs=n_epochs)


def _model_of(detector: Any) -> Any:
    """The model that would be trained for a detector, its default or another; None without one."""
    if "model" not in _parameters(detector):
        return None
    return detector._nested_default("model") if detector.model is None else detector.model


def _has_several_models(detector: Any, X: NDArray[Any]) -> bool:
    if _model_of(detector) is None:
        return False
    return len(detector._unfitted_models(check_rows(detector, X, reset=True), 0)) > 1


def _default_members(detector: Any, X: NDArray[Any]) -> list[tuple[str, Any]] | None:
    """The detectors, unfitted, that a detector combines by default on such rows."""
    if _parameters(detector).get("detectors", detector) is not None:
        return None
    copy: Any = clone(detector)
    copy._split(check_rows(copy, X, reset=True), 0)
    return list(copy.detectors_.items())


def _parameters(detector: Any) -> dict[str, Any]:
    return detector.get_params(deep=False) if hasattr(detector, "get_params") else {}


def _seconds(estimator: Any, X: NDArray[Any]) -> float:
    start = time.perf_counter()
    estimator.fit(X)
    return time.perf_counter() - start
