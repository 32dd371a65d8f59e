"""Bounds of the log-likelihood as one torch module, which can be exported."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skood.core.noise import Noise
from skood.core.protocols import LatentNetwork

__all__ = ["BoundsModule"]


class BoundsModule(nn.Module):
    """What `skood.models._bounds.bounds_of_rows` computes, without leaving torch.

    All importance samples of a row stand side by side in one batch, so a graph has one pass through
    the network for each bound, whatever their number.

    Parameters
    ----------
    network : module
        A `skood.core.protocols.DensityNetwork`.
    noise : Noise
        Shared by the rows. What is drawn in the first pass is kept, and is a constant to whoever
        traces a later one.
    n_samples : int
    below : {"mean", "sample"}
    prior_layers : sequence of collections of int
    """

    def __init__(
        self,
        network: nn.Module,
        noise: Noise,
        *,
        n_samples: int,
        below: str,
        prior_layers: Sequence[Collection[int]],
    ):
        super().__init__()
        self.network: Any = network
        self.noise = noise.side_by_side([noise.fork(i) for i in range(n_samples)], 1)
        self.n_samples = n_samples
        self.options = [(layers, below) if layers else () for layers in prior_layers]
        # A number, since a network may have to look into its parameters for it.
        self.max_log_px = network.max_log_px if isinstance(network, LatentNetwork) else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Bounds, and -log p(x | z), for each set of layers: (n_sets, n), float64, nats."""
        noise = self.noise.with_rows(x.shape[0])
        repeated = x.repeat(self.n_samples, *(1,) * (x.ndim - 1))
        bounds, nll = [], []
        for options in self.options:
            terms = self.network.terms(repeated, noise, *options)
            bounds.append(self._log_mean_exp(self._by_sample(terms.log_weight)))
            nll.append(self._counted_from_largest(-self._by_sample(terms.log_px).mean(0)))
        return torch.stack(bounds), torch.stack(nll)

    def _by_sample(self, values: Tensor) -> Tensor:
        return values.double().reshape(self.n_samples, -1)

    def _log_mean_exp(self, log_weights: Tensor) -> Tensor:
        return torch.logsumexp(log_weights, dim=0) - math.log(self.n_samples)

    def _counted_from_largest(self, nll: Tensor) -> Tensor:
        return nll if self.max_log_px is None else (nll + self.max_log_px).clamp(min=0)
