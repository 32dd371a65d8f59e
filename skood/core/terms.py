"""What one pass of a generative network through a batch yields."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LayerTerms", "Terms"]


@dataclass(frozen=True)
class LayerTerms:
    """Log densities of one latent layer at the drawn latent, not summed over its units.

    Attributes
    ----------
    log_prior, log_posterior : Tensor of shape (n, units, ...)
        log p(z_l | z_above) and log q(z_l | x) of each unit, in nats. The second axis counts units
        (channels), any further axes are positions on a spatial map. Both are zero where the layer
        was taken from its prior: the ratio is then 1, and a point mass (the prior's mean) has no
        density to quote.
    """

    log_prior: Tensor
    log_posterior: Tensor

    @property
    def log_ratio(self) -> Tensor:
        """log q - log p of each unit, shape (n, units, ...): the Monte Carlo Kullback-Leibler."""
        return self.log_posterior - self.log_prior

    @classmethod
    def from_prior(cls, z: Tensor) -> LayerTerms:
        """Terms of a layer that was taken from its prior."""
        zero = torch.zeros_like(z)
        return cls(zero, zero)


@dataclass(frozen=True)
class Terms:
    """Per-row terms of one pass, in nats, never averaged or summed over rows.

    Bounds, likelihood ratios and objectives are all made of these.

    Attributes
    ----------
    log_px : Tensor of shape (n,)
        log p(x | z) at the drawn latents; the exact log p(x) for a model without latent layers.
    layers : tuple of LayerTerms
        One record per latent layer, layer 1 (nearest to x) first; empty for flows.
    """

    log_px: Tensor
    layers: tuple[LayerTerms, ...] = ()

    def log_ratios(self) -> Tensor:
        """log q(z_l) - log p(z_l) summed over the units of each layer, shape (n_layers, n)."""
        if not self.layers:
            return self.log_px.new_zeros((0, self.log_px.shape[0]))
        return torch.stack([layer.log_ratio.flatten(1).sum(1) for layer in self.layers])

    @property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z | x), shape (n,): one sample of the evidence lower bound."""
        return self.log_px - self.log_ratios().sum(0)
