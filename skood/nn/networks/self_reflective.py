"""Latent layers whose prior and posterior share a bijection, from the top down."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from skood.core.terms import LayerTerms
from skood.nn.bijections.autoregressive import Autoregressive
from skood.nn.bijections.base import Bijection, Chain
from skood.nn.bijections.rank_one import RankOneAffine, RankOneParameters
from skood.nn.encoders import ImageEncoders, VectorEncoders, mlp
from skood.nn.gaussian import gaussian
from skood.nn.layers import Shape
from skood.nn.likelihoods import Likelihood
from skood.nn.networks.draws import Draws
from skood.nn.networks.evidence import Evidence
from skood.nn.networks.hierarchy import HierarchicalNetwork, Pass

__all__ = ["SelfReflectiveLatents", "affine_bijection", "spline_bijection"]

_FEATURES = {"mlp": 20, "resnet": 64}  # of the evidence, for each layer


class _Posterior(nn.Module):
    """q of the base variable, from the evidence and from the latent above."""

    def __init__(self, n_features: int, n_above: int, dim: int, width: int):
        super().__init__()
        self.latent = mlp(n_above, width, 20) if n_above else None
        self.parameters_of_q = mlp(n_features + (20 if n_above else 0), width, 2 * dim)

    def forward(self, evidence: Tensor, above: Tensor | None) -> Normal:
        if self.latent is not None:
            evidence = torch.cat([evidence, self.latent(above)], dim=1)
        return gaussian(self.parameters_of_q(evidence))


class _ResidualPosterior(nn.Module):
    """A first estimate of q from the layer above, corrected by the evidence (appendix 8)."""

    def __init__(self, n_features: int, n_above: int, dim: int, width: int):
        super().__init__()
        n_hidden = max(1, dim // 3) if n_above else 0
        self.first = mlp(n_above, width, 2 * dim) if n_above else None
        self.hidden = mlp(n_above, width, n_hidden) if n_above else None
        self.residual = mlp(n_features + n_hidden, width, 2 * dim)

    def forward(self, evidence: Tensor, above: Tensor | None) -> Normal:
        if self.first is None or self.hidden is None:
            return gaussian(self.residual(evidence))
        evidence = torch.cat([evidence, self.hidden(above)], dim=1)
        return gaussian(self.first(above) + self.residual(evidence))


class _AffineConditioner(nn.Module):
    """Parameters of the affine map of a layer, from the latent above it (section 5.2.1)."""

    def __init__(self, n_above: int, dim: int):
        super().__init__()
        self.layers = nn.Sequential(mlp(n_above, 20, 3 * dim, nn.Tanh), nn.Tanh())

    def forward(self, above: Tensor) -> RankOneParameters:
        shift, raw, direction = self.layers(above).chunk(3, dim=1)
        return RankOneParameters(shift, F.softplus(F.elu(raw)) + 1e-3, direction)


def affine_bijection(n_above: int, dim: int) -> Bijection:
    """The affine map of a layer, whose context is the latent above it (section 5.2.1)."""
    return RankOneAffine(_AffineConditioner(n_above, dim))


def spline_bijection(n_above: int, dim: int) -> Bijection:
    """The coupled splines of a layer, whose context is the latent above it (appendix 9).

    Two couplings: each half of the units is changed given the layer above, and then given the
    other half too.
    """
    first = torch.arange(dim) * 2 // dim + 1  # 1, ..., 1, 2, ..., 2
    return Chain(
        Autoregressive(degrees, "spline", width=60, n_hidden_layers=2, n_context=n_above)
        for degrees in (first, first.flip(0))
    )


class SelfReflectiveLatents(HierarchicalNetwork):
    """Latent layers as in `skood.SeReVAE`; what they tell of x is left to ``decode``.

    Parameters
    ----------
    x_shape : shape of one row
    dims : tuple of int
        Units of each latent layer, layer 1 first.
    likelihood : Likelihood
    network : {"mlp", "resnet"}
        Of the encoders of the evidence.
    width : int
    self_reflective : bool
    bijection : callable
        Makes the bijection of a layer from the units above and those of the layer, such as
        `affine_bijection`. It leads from the base variables, on which q and p are, to the latent.
    """

    def __init__(
        self,
        x_shape: Shape,
        dims: tuple[int, ...],
        likelihood: Likelihood,
        *,
        network: str,
        width: int,
        self_reflective: bool,
        bijection: Callable[[int, int], Bijection],
    ):
        sides = [4 * -(-side // 4) for side in x_shape[1:]] if network == "resnet" else x_shape[1:]
        super().__init__(x_shape, (x_shape[0], *sides), [(d,) for d in dims], likelihood)
        encoders = {"mlp": VectorEncoders, "resnet": ImageEncoders}[network]
        n_features = _FEATURES[network]
        self.evidence = encoders(self.padded, n_features, len(dims), width)
        above_each = [*dims[1:], 0]  # units of the layer above
        posterior = {"mlp": _Posterior, "resnet": _ResidualPosterior}[network]
        self.posteriors = nn.ModuleList(
            posterior(n_features, above if self_reflective else 0, dim, width)
            for dim, above in zip(dims, above_each, strict=True)
        )
        pairs = list(pairwise(dims))
        self.bijections = nn.ModuleList(bijection(above, dim) for dim, above in pairs)
        self.priors = nn.ModuleList(
            mlp(above, width, 2 * dim) for dim, above in pairs if self_reflective
        )

    def decode(self, latents: Tensor) -> Tensor:
        """Parameters of p(x | z), from the latents of all layers side by side, layer 1 first."""
        raise NotImplementedError

    def evidence_of(self, x: Tensor, n_means: int) -> list[tuple[Tensor, ...]]:
        return [(of_layer,) for of_layer in self.evidence(x)]

    def forward(self, evidence: Evidence | None, draws: Draws) -> Pass:
        above: Tensor | None = None
        latents: list[Tensor] = []
        layers: list[LayerTerms] = []
        for layer in range(self.n_layers, 0, -1):
            p = self._prior(layer, above, draws)
            q = partial(self._q, layer, cast(Evidence, evidence), above)
            epsilon, terms = draws.generate(layer, p, q)
            above = epsilon
            if layer < self.n_layers:
                # Prior and posterior share the map, so its log-determinant cancels.
                above, _ = self.bijections[layer - 1](epsilon, latents[0])
            latents.insert(0, cast(Tensor, above))
            layers.insert(0, terms)
        return Pass(latents, tuple(layers), self.decode(torch.cat(latents, dim=1)))

    def _q(self, layer: int, evidence: Evidence, above: Tensor | None) -> Normal:
        q: Normal = self.posteriors[layer - 1](*evidence[layer - 1], above)
        return q

    def _prior(self, layer: int, above: Tensor | None, draws: Draws) -> Normal:
        if above is None or not self.priors:
            return draws.standard_normal(self.latent_shapes[layer - 1], next(self.parameters()))
        return gaussian(self.priors[layer - 1](above))
