"""From a model's ``likelihood`` parameter and its training data to a likelihood module."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch

from skood.core.validation import channel_axis
from skood.nn.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gaussian,
    Likelihood,
)

__all__ = ["LIKELIHOODS", "build_likelihood", "row_shape", "standardisation"]

_OF_PIXELS = {
    "bernoulli": Bernoulli,
    "discretized_logistic": DiscretizedLogistic,
    "discretized_logistic_mixture": DiscretizedLogisticMixture,
}
LIKELIHOODS = ("gaussian", *_OF_PIXELS)

# Of a column's middle half, after standardisation; noise added in training has 0.05.
_SMALLEST_SPREAD = 0.1


def row_shape(input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of one row inside the network: (features,) or (channels, height, width)."""
    if len(input_shape) == 2:
        return (1, *input_shape)
    if len(input_shape) == 3 and channel_axis(input_shape) == 2:
        return (input_shape[2], *input_shape[:2])
    return input_shape


def build_likelihood(name: str, kind: str, X: np.ndarray) -> Likelihood:
    """The likelihood called ``name`` ("auto": by the kind of data) for the training rows X.

    Raises
    ------
    ValueError
        If a likelihood of pixels is asked for and the values are none.
    """
    if name == "auto":
        colour = row_shape(X.shape[1:])[0] > 1
        pixels = "discretized_logistic_mixture" if colour else "bernoulli"
        name = "gaussian" if kind == "real" else pixels
    if name == "gaussian":
        return _gaussian(X)
    if kind == "real" and (X.min() < 0 or X.max() > 1):
        raise ValueError(
            f"likelihood={name!r} needs uint8 values, or values in [0, 1]; X is {X.dtype} with "
            f"values from {X.min():.4g} to {X.max():.4g}. Rescale X, or use likelihood='gaussian'."
        )
    if name == "discretized_logistic_mixture" and X.ndim == 2:
        raise ValueError(
            f"likelihood={name!r} is for images, but X holds a table. Use 'discretized_logistic'."
        )
    return _OF_PIXELS[name](scale=255.0 if kind == "bytes" else 1.0)


def _gaussian(X: np.ndarray) -> Gaussian:
    return Gaussian(*standardisation(X), n_values=math.prod(X.shape[1:]))


def standardisation(X: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and scale of each feature of a table, but of images as a whole: pixels share one unit.

    Both float64, of shape (features,) or (1, 1, 1).

    Warns
    -----
    UserWarning
        If a column holds values beside which the others look all alike.
    """
    axis = 0 if X.ndim == 2 else None
    loc, scale = np.mean(X, axis=axis, dtype=np.float64), np.std(X, axis=axis, dtype=np.float64)
    # Mostly constant features: one row in a thousand should not lie thirty deviations out.
    scale = np.maximum(scale, np.ptp(X, axis=axis) / 10)
    if X.ndim == 2:
        _warn_of_outlying(X, scale)
    # A constant feature has no scale of its own, up to rounding errors of its mean.
    scale = np.where(scale > 1e-12 * np.maximum(1e-20, np.abs(loc)), scale, 1.0)
    shape = (-1,) if X.ndim == 2 else (1, 1, 1)
    return tuple(torch.tensor(v, dtype=torch.float64).reshape(shape) for v in (loc, scale))


def _warn_of_outlying(X: np.ndarray, scale: np.ndarray) -> None:
    """One wrong value, such as a 9999 for a missing one, can hide all others of its column."""
    low, middle, high = np.percentile(X, [25, 50, 75], axis=0)
    columns = np.flatnonzero((high > low) & (high - low < _SMALLEST_SPREAD * scale))
    if len(columns):
        i = columns[0]
        value = X[np.argmax(np.abs(X[:, i] - middle[i])), i]
        more = f" (and so {len(columns) - 1} more)" if len(columns) > 1 else ""
        warnings.warn(
            f"Column {i} of X{more} holds values such as {value:.4g}, beside which the others, "
            f"half of them between {low[i]:.4g} and {high[i]:.4g}, look all alike. Remove these "
            "rows, or clip the column, or take its logarithm; scaling, also by RobustScaler, "
            "changes nothing.",
            UserWarning,
            stacklevel=2,
        )
