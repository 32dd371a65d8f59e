"""What the displays refuse."""

from __future__ import annotations

from collections.abc import Mapping

from sklearn.utils.validation import check_is_fitted


def check_model(display, name, model):
    """Raise ValueError unless ``model`` is a fitted model with latent layers."""
    if isinstance(model, type) or not hasattr(model, "reconstruct"):
        remedy = "its model_" if hasattr(model, "ood_score") else "a fitted model such as HVAE"
        raise ValueError(
            f"{name} must be a model with latent layers; got {_kind(model)}. "
            f"Give {display} {remedy}."
        )
    check_is_fitted(model)
    if getattr(model.network_, "n_layers", 0) < 1:
        raise ValueError(
            f"{name} must have latent layers; {_kind(model)} has none. Give a hierarchical model "
            "such as HVAE."
        )


def check_detector(name, detector, method, remedy):
    """Raise ValueError unless ``detector`` is a fitted detector with that method."""
    if isinstance(detector, type) or not hasattr(detector, method):
        raise ValueError(
            f"{name} must be a detector with {method}; got {_kind(detector)}. Give {remedy}."
        )
    check_is_fitted(detector)


def check_named(name, values):
    """Raise ValueError unless ``values`` is a dict with at least one entry."""
    if not isinstance(values, Mapping) or not values:
        got = "an empty dict" if isinstance(values, Mapping) else f"a {_kind(values)}"
        raise ValueError(
            f'{name} must be a dict such as {{"photographs": X_test, "digits": X_other}}, whose '
            f"names go into the legend; got {got}."
        )


def _kind(thing):
    return f"the class {thing.__name__}" if isinstance(thing, type) else type(thing).__name__
