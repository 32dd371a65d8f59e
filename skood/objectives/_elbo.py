"""The evidence lower bound with free bits and warm-up."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skood.core.noise import Noise
from skood.core.protocols import DensityNetwork, Progress
from skood.core.terms import LayerTerms, Terms
from skood.objectives.schedules import SCHEDULES

__all__ = ["ELBO"]


class ELBO(BaseEstimator):
    """Minimise the negative evidence lower bound, with free bits and warm-up.

    The loss of a row is ``-log p(x|z) + beta * sum_l max(log q(z_l) - log p(z_l), floor_l)`` with
    one posterior sample z; for a model without latent layers it is ``-log p(x)``.

    Parameters
    ----------
    free_bits : float or tuple of float (one per layer), default=2.0
        Nats of information that a layer may carry at no cost, which keeps it from collapsing to
        its prior. Layer 1 first. 0 switches free bits off.
    free_bits_over : {"channel", "layer"}, default="channel"
        Where the floor holds. ``"channel"``: ``free_bits / n_channels`` for each unit separately,
        at every position of a spatial layer, so that a 7 x 7 map has 49 times as many nats as a
        dense layer. ``"layer"``: ``free_bits`` for the whole layer, averaged over the batch.
    warmup : float in [0, 1], default=0.1
        Part of the planned training over which the weight beta of the second term rises to 1.
    schedule : {"linear", "geometric"}, default="linear"
        How it rises: see `skood.objectives.schedules`.

    Notes
    -----
    Kingma et al. 2016 (free bits); Havtorn et al. 2021, section 5 and appendix B: "2 nats per z_i
    shared across latent dim", which their code applies per channel as here. The divergences are
    Monte Carlo log ratios, since with bottom-up inference they have no closed form (appendix F).
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "free_bits": [Interval(Real, 0, None, closed="left"), tuple, list],
        "free_bits_over": [StrOptions({"channel", "layer"})],
        "warmup": [Interval(Real, 0, 1, closed="both")],
        "schedule": [StrOptions(set(SCHEDULES))],
    }

    def __init__(
        self,
        *,
        free_bits: float | tuple[float, ...] = 2.0,
        free_bits_over: str = "channel",
        warmup: float = 0.1,
        schedule: str = "linear",
    ):
        self.free_bits = free_bits
        self.free_bits_over = free_bits_over
        self.warmup = warmup
        self.schedule = schedule

    def check(self, n_layers: int) -> None:
        """Raise ValueError for a parameter out of its range, or a wrong number of free bits."""
        self._validate_params()
        self._per_layer(n_layers)

    def __call__(self, network: DensityNetwork, x: Tensor, noise: Noise, progress: Progress) -> Tensor:
        """Loss of a batch, nats per row; see the class."""
        terms = network.terms(x, noise)
        beta = SCHEDULES[self.schedule](progress, self.warmup)
        return -terms.log_px.mean() + beta * self.regularisation(terms)

    def regularisation(self, terms: Terms) -> Tensor:
        """The second term: floored divergences, summed over layers, averaged over rows, nats."""
        floors = self._per_layer(len(terms.layers))
        total = terms.log_px.new_zeros(())
        for layer, floor in zip(terms.layers, floors, strict=True):
            total = total + self._floored(layer, floor)
        return total

    def _floored(self, layer: LayerTerms, floor: float) -> Tensor:
        ratio = layer.log_ratio
        if floor == 0:
            return ratio.flatten(1).sum(1).mean()
        if self.free_bits_over == "layer":
            return ratio.flatten(1).sum(1).mean().clamp(min=floor)
        return ratio.clamp(min=floor / ratio.shape[1]).flatten(1).sum(1).mean()

    def _per_layer(self, n_layers: int) -> Sequence[float]:
        if not isinstance(self.free_bits, Sequence):
            return [self.free_bits] * n_layers
        if len(self.free_bits) != n_layers:
            raise ValueError(
                f"free_bits={self.free_bits!r} has {len(self.free_bits)} entries, but the model "
                f"has {n_layers} latent layers. Give one number, or one for each layer."
            )
        if not all(isinstance(floor, Real) and floor >= 0 for floor in self.free_bits):
            raise ValueError(
                f"free_bits={self.free_bits!r} has an entry that is no number of at least 0. Give "
                "nats for each layer, layer 1 first; 0 switches free bits off."
            )
        return self.free_bits
