"""What the displays ask of models and detectors, and how they refuse what does not offer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted


class LatentModel(Protocol):
    """A fitted model with latent layers: only these have both methods."""

    def encode(self, X: ArrayLike) -> list[NDArray[np.float64]]:
        """Means of q for each layer, layer 1 (nearest to x) first, shapes (n, ...)."""
        ...

    def reconstruct(self, X: ArrayLike, *, k: int = 0) -> NDArray[np.float64]:
        """Mean of p(x | z>k), shape of X."""
        ...


class MapModel(Protocol):
    """A fitted model that has a log-likelihood of each pixel."""

    def log_likelihood_map(self, X: ArrayLike) -> NDArray[np.float64]:
        """log p of each pixel given others, nats, shape (n, height, width)."""
        ...


class Scorer(Protocol):
    """A fitted detector."""

    def ood_score(self, X: ArrayLike) -> NDArray[np.float64]:
        """OOD score of each row, shape (n,); higher means more OOD."""
        ...

    @property
    def offset_(self) -> float:
        """Minus the OOD score above which `predict` returns -1."""
        ...


class LayerScorer(Protocol):
    """A fitted detector that scores each layer: latent layers, or layers of parameters."""

    def score_layers(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score of each row and layer, shape (n, m); higher means more OOD."""
        ...

    @property
    def layer_names_(self) -> list[str]:
        """Names of the m columns."""
        ...

    @property
    def layer_score_unit_(self) -> str:
        """Unit of the scores, such as "nats" or "standard deviations"."""
        ...


class Monitor(Protocol):
    """What collects evidence from a stream."""

    @property
    def history(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Rows seen, log evidence, and rows seen at alarms."""
        ...

    @property
    def log_threshold(self) -> float:
        """Log evidence at which an alarm rises, nats."""
        ...


def check_model(display: str, name: str, model: Any) -> None:
    """Raise ValueError unless ``model`` is a fitted `LatentModel`."""
    remedy = "its model_" if hasattr(model, "ood_score") else "a fitted model such as HVAE"
    _check_offers(name, model, LatentModel, "a model with latent layers", f"{display} {remedy}")


def check_map_model(display: str, name: str, model: Any) -> None:
    """Raise ValueError unless ``model`` is a fitted `MapModel`."""
    remedy = "its model_" if hasattr(model, "ood_score") else "a fitted PixelCNN"
    what = "a model with a likelihood of each pixel"
    _check_offers(name, model, MapModel, what, f"{display} {remedy}")


def check_scorer(name: str, detector: Any) -> None:
    """Raise ValueError unless ``detector`` is a fitted `Scorer`."""
    _check_offers(name, detector, Scorer, "a detector", "one of skood.detectors, fitted")


def check_layer_scorer(name: str, detector: Any) -> None:
    """Raise ValueError unless ``detector`` is a fitted `LayerScorer`."""
    what, remedy = "a detector that scores layers", "a fitted HierarchicalLLR or GradientNorm"
    _check_offers(name, detector, LayerScorer, what, remedy)


def check_monitor(name: str, monitor: Any) -> None:
    """Raise ValueError unless ``monitor`` is a `Monitor` that has seen rows."""
    _check_offers(name, monitor, Monitor, "a monitor of a stream", "a skood.DriftMonitor")
    if not len(monitor.history[0]):
        raise ValueError(f"{name} has seen no row. Call its update first.")


def check_named(name: str, values: Any) -> None:
    """Raise ValueError unless ``values`` is a dict with at least one entry."""
    if not isinstance(values, Mapping) or not values:
        got = "an empty dict" if isinstance(values, Mapping) else f"a {type(values).__name__}"
        raise ValueError(
            f'{name} must be a dict such as {{"photographs": X_test, "digits": X_other}}, whose '
            f"names go into the legend; got {got}."
        )


def n_latent_layers(model: Any) -> int:
    """Number of latent layers of a fitted `LatentModel`."""
    return len(model.network_.latent_shapes)


def _check_offers(name: str, thing: Any, protocol: type, what: str, remedy: str) -> None:
    """Raise ValueError, which names the member that is missing, unless ``thing`` keeps a protocol.

    isinstance with a protocol would not say what is missing, and is true of the class itself.
    """
    if isinstance(thing, type):
        raise ValueError(f"{name} must be {what}; got the class {thing.__name__}. Give {remedy}.")
    members = [member for member in vars(protocol) if not member.startswith("_")]
    missing = [member for member in members if not hasattr(thing, member)]
    # Before fit an estimator has its methods, but not yet the attributes that end in "_".
    if hasattr(thing, "fit") and all(member.endswith("_") for member in missing):
        check_is_fitted(thing)
    if missing:
        raise ValueError(
            f"{name} must be {what}; {type(thing).__name__} has no {missing[0]}. Give {remedy}."
        )
