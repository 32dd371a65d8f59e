"""The evidence lower bound with free bits and warm-up.

Notation: x a row, z_1, ..., z_L the latent layers (z_1 nearest to x), q(z | x) the approximate
posterior, p(x | z) p(z) the model. The evidence lower bound (ELBO) of log p(x) is the expectation
of log p(x | z) - log q(z | x) + log p(z) over q.
"""

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
    """Negative evidence lower bound, with free bits and warm-up.

    The loss of a row is ``-log p(x|z) + beta * sum_l max(log q(z_l) - log p(z_l), floor_l)`` with
    one posterior sample z; for a model without latent layers it is ``-log p(x)``.

    Minimised as it stands, the bound lets layers collapse: their posterior becomes the prior and
    they say nothing of x, since early in training the decoder cannot use them and the divergence
    only costs. Free bits and warm-up (KL annealing) prevent that. They trade likelihood for
    information in the upper layers: with free bits the loss is no longer the negative bound, and a
    layer fills its allowance whether it needs it or not, so that too many of them lower the bound,
    most of all in layer 1. Too few, or too short a warm-up, and upper layers collapse, with them
    every likelihood ratio that rests on them; `fit` then warns (`CollapseWarning`).

    Parameters
    ----------
    free_bits : float or tuple of float (one per layer), default=2.0
        Nats of divergence between posterior and prior that a layer has at no cost. Layer 1 first. 0
        switches free bits off.
    free_bits_over : {"channel", "layer"}, default="channel"
        Where the floor holds. ``"channel"``: ``free_bits / n_channels`` for each unit separately,
        at every position of a spatial layer, so that a 7 x 7 map has 49 times as many nats as a
        dense layer. ``"layer"``: ``free_bits`` for the whole layer, averaged over the batch.
    warmup : float in [0, 1], default=0.1
        Part of the planned training over which the weight beta of the second term rises to 1.
    schedule : {"linear", "geometric"}, default="linear"
        How it rises: see `skood.objectives.schedules`.

    See Also
    --------
    InformativeELBO : Keeps upper layers informative without free bits, for bottom-up inference.
    ImportanceWeightedELBO : A tighter bound, without free bits.

    Notes
    -----
    Free bits: D. P. Kingma et al., "Improved Variational Inference with Inverse Autoregressive
    Flow", NeurIPS 2016, arXiv:1606.04934. Havtorn et al., "Hierarchical VAEs Know What They Don't
    Know", ICML 2021, arXiv:2102.08248, section 5 and appendix B: "2 nats per z_i shared across
    latent dim", which their code applies per channel as here. The divergences are Monte Carlo log
    ratios, since with bottom-up inference they have no closed form (appendix F).

    Examples
    --------
    >>> import numpy as np
    >>> from skood import ELBO, HVAE
    >>> X = np.random.default_rng(0).normal(size=(100, 5))
    >>> objective = ELBO(free_bits=(0, 1), warmup=0.5)
    >>> model = HVAE(latent_dims=(4, 2), objective=objective, max_epochs=2, random_state=0).fit(X)
    >>> model.score_samples(X[:3]).shape
    (3,)
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
        """Validate the parameters against the number of latent layers of a model.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or ``free_bits`` has a wrong number of entries.
        """
        self._validate_params()
        self._per_layer(n_layers)

    def __call__(
        self, network: DensityNetwork, x: Tensor, noise: Noise, progress: Progress
    ) -> Tensor:
        """Loss of a batch x of shape (n, ...): a scalar, nats per row."""
        terms = network.terms(x, noise)
        beta = SCHEDULES[self.schedule](progress, self.warmup)
        return -terms.log_px.mean() + beta * self.regularisation(terms)

    def regularisation(self, terms: Terms) -> Tensor:
        """Second term of the loss: divergences with their floors, a scalar, nats per row.

        Summed over layers and averaged over rows; the weight beta is not applied.
        """
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
