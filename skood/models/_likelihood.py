"""From a model's ``likelihood`` parameter and its training rows to a likelihood module."""

from __future__ import annotations

from skood.core.row_spec import RowSpec
from skood.nn.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gaussian,
    Likelihood,
)

__all__ = ["LIKELIHOODS", "build_likelihood"]

_OF_PIXELS = {
    "bernoulli": Bernoulli,
    "discretized_logistic": DiscretizedLogistic,
    "discretized_logistic_mixture": DiscretizedLogisticMixture,
}
LIKELIHOODS = ("gaussian", "levels", *_OF_PIXELS)


def build_likelihood(name: str, rows: RowSpec) -> Likelihood:
    """The likelihood called ``name`` ("auto": by the kind of data) for such training rows.

    Raises
    ------
    ValueError
        If a likelihood of pixels is asked for and the values are none.
    """
    if name == "auto":
        pixels = "discretized_logistic_mixture" if rows.is_colour else "bernoulli"
        name = "gaussian" if rows.kind == "real" else pixels
    if name == "levels":
        has_levels = rows.is_image and rows.kind != "real"
        name = "discretized_logistic_mixture" if has_levels else "gaussian"
    if name == "gaussian":
        return Gaussian(*rows.standardisation(), n_values=rows.n_values)
    low, high = rows.low.min(), rows.high.max()
    if rows.kind == "real" and (low < 0 or high > 1):
        raise ValueError(
            f"likelihood={name!r} needs uint8 values, or values in [0, 1]; X has "
            f"values from {low:.4g} to {high:.4g}. Rescale X, or use likelihood='gaussian'."
        )
    if name == "discretized_logistic_mixture" and not rows.is_image:
        raise ValueError(
            f"likelihood={name!r} is for images, but X holds a table. Use 'discretized_logistic'."
        )
    return _OF_PIXELS[name](scale=rows.white)
