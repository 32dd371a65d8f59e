"""What `BaseGenerativeModel.bounds` evaluates on a batch, and what it refuses."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral

import numpy as np

from skood.scores.bounds import importance_weighted_bound

__all__ = ["bounds_of_batch", "check_count", "check_layer", "check_prior_layers"]


def bounds_of_batch(network, x, noise, *, prior_layers, n_samples, prior_mean):
    """Bounds and -log p(x | z) for each set of layers, shape (2, n_sets, n), nats."""
    n_samples = n_samples if network.n_layers else 1  # they would all be the same
    result = np.empty((2, len(prior_layers), len(x)))
    for bound, nll, layers in zip(*result, prior_layers, strict=True):
        samples = (network.terms(x, noise.sample(s), layers, prior_mean) for s in range(n_samples))
        # Two numbers per row are kept of each sample, not its terms.
        weights, log_px = np.stack(
            [(_to_numpy(terms.log_weight), _to_numpy(terms.log_px)) for terms in samples], axis=1
        )
        bound[:] = importance_weighted_bound(weights)
        nll[:] = network.max_log_px - log_px.mean(axis=0)
    return result


def _to_numpy(values):
    return values.double().cpu().numpy()


def check_prior_layers(model, prior_layers):
    """Raise ValueError unless these are collections of layers that the fitted model has."""
    for layers in prior_layers:
        if not isinstance(layers, Collection):
            raise ValueError(
                "prior_layers must hold a collection of layers for each bound; got "
                f"{layers!r} for one. Write [(1, 2)] for one bound with layers 1 and 2."
            )
        if layers and not model.network_.n_layers:
            raise ValueError(
                f"prior_layers must be [()] for {type(model).__name__}, which has no latent "
                f"layers; got {prior_layers!r}."
            )
        for layer in layers:
            check_layer(model, "prior_layers", layer, 1, model.network_.n_layers)


def check_layer(model, name, value, smallest, largest):
    """Raise ValueError unless ``value`` is an integer in a range that the layers set."""
    if not isinstance(value, Integral) or not smallest <= value <= largest:
        raise ValueError(
            f"{name} must be an integer from {smallest} to {largest}, since this "
            f"{type(model).__name__} has {model.network_.n_layers} latent layers; got {value!r}."
        )


def check_count(name, value):
    """Raise ValueError unless ``value`` is a positive integer."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a positive integer; got {value!r}.")
