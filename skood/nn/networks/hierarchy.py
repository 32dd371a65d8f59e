"""What the networks of all hierarchical models share: one pass through the latent layers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from skood.core.noise import Noise
from skood.core.terms import LayerTerms, Terms
from skood.nn.gaussian import GaussianHead
from skood.nn.layers import Shape, Stage, adapter
from skood.nn.likelihoods import Likelihood
from skood.nn.plans import Plan

__all__ = [
    "Draws",
    "GenerativePath",
    "HierarchicalNetwork",
    "InferencePath",
    "Pass",
    "gaussian_head",
]


@dataclass(frozen=True)
class Draws:
    """Where the latents of one pass come from.

    Attributes
    ----------
    noise : Noise
    n_rows : int
    prior_layers : collection of int
        Layers that come from the prior, the others from q. Layer 1 is nearest to x.
    below : {"mean", "sample"}
        What the former are: means of the prior, or samples. With bottom-up inference, q of the
        layers above sees what stands in their place: the mean of q, or a sample of it (Havtorn et
        al. 2021, appendix D, and eq. 5).
    posterior_mean : bool
        Whether the latter are means of q, or samples.
    """

    noise: Noise
    n_rows: int
    prior_layers: Collection[int] = frozenset()
    below: str = "mean"
    posterior_mean: bool = False

    def infer(self, layer: int, q: Normal, path: str = "") -> Tensor:
        """What inference draws from q; ``path`` tells several latents of one layer apart."""
        if self.posterior_mean or (self.below == "mean" and layer in self.prior_layers):
            return q.mean
        return self._sample(layer, q, path)

    def generate(
        self,
        layer: int,
        p: Normal,
        q: Callable[[], Normal],
        inferred: Tensor | None = None,
        path: str = "",
    ) -> tuple[Tensor, LayerTerms]:
        """The latent that the generative path goes on with, and its log densities.

        ``q`` is only called where it is needed, and ``inferred`` is its draw if there is one.
        """
        if layer in self.prior_layers:
            # Other numbers than those with which q was drawn for the layers above.
            z = p.mean if self.below == "mean" else self._sample(layer, p, f"{path} prior")
            return z, LayerTerms.from_prior(z)
        posterior = q()
        z = self.infer(layer, posterior, path) if inferred is None else inferred
        return z, LayerTerms(p.log_prob(z), posterior.log_prob(z))

    def standard_normal(self, shape: Shape, like: Tensor) -> Normal:
        """The prior of a top layer, N(0, 1) for every unit."""
        zeros = like.new_zeros(self.n_rows, *shape)
        return Normal(zeros, torch.ones_like(zeros), validate_args=False)

    def _sample(self, layer: int, distribution: Normal, path: str) -> Tensor:
        epsilon = self.noise.normal(f"z{layer}{path}", distribution.mean.shape)
        return distribution.mean + distribution.stddev * epsilon


@dataclass(frozen=True)
class Pass:
    """What one pass yields: latents and terms, layer 1 first, and the parameters of p(x | z)."""

    latents: list[Tensor]
    layers: tuple[LayerTerms, ...]
    parameters: Tensor


class HierarchicalNetwork(nn.Module):
    """Base of the networks of hierarchical models; a `skood.core.protocols.LatentNetwork`.

    A subclass calls this constructor, builds its layers, and gives ``forward(x, draws) -> Pass``:
    up and down once, where ``x`` is what the likelihood's ``encode`` gives, or None if all layers
    come from the prior. Scores, reconstructions and samples all follow from it.

    Parameters
    ----------
    x_shape : shape of one row
    padded : shape
        With sides that the network can divide; x is padded to it by zeros.
    latent_shapes : list of shapes, layer 1 first
    likelihood : Likelihood
    """

    def __init__(
        self, x_shape: Shape, padded: Shape, latent_shapes: list[Shape], likelihood: Likelihood
    ):
        super().__init__()
        self.n_layers = len(latent_shapes)
        self.x_shape, self.padded, self.latent_shapes = x_shape, padded, latent_shapes
        self.likelihood = likelihood

    @property
    def max_log_px(self) -> float:
        return self.likelihood.max_log_px

    @property
    def parameters_shape(self) -> Shape:
        """Shape of the parameters of p(x | z), before what was padded is cut off."""
        return (self.likelihood.n_parameters(self.x_shape[0]), *self.padded[1:])

    def terms(
        self,
        x: Tensor,
        noise: Noise,
        prior_layers: Collection[int] = frozenset(),
        below: str = "mean",
    ) -> Terms:
        observed = self._observe(x, noise)
        result = self._run(observed, Draws(noise, x.shape[0], prior_layers, below))
        return Terms(self.likelihood(observed, result.parameters), result.layers)

    def reconstruct(
        self, x: Tensor, noise: Noise, prior_layers: Collection[int], below: str = "mean"
    ) -> Tensor:
        draws = Draws(noise, x.shape[0], prior_layers, below, posterior_mean=below == "mean")
        return self.likelihood.mean(self._run(self._observe(x, noise), draws).parameters)

    def encode(self, x: Tensor, noise: Noise) -> list[Tensor]:
        draws = Draws(noise, x.shape[0], posterior_mean=True)
        return self._run(self._observe(x, noise), draws).latents

    def sample(self, n: int, noise: Noise) -> Tensor:
        every_layer = range(1, self.n_layers + 1)
        parameters = self._crop(self(None, Draws(noise, n, every_layer, "sample")).parameters)
        return self.likelihood.sample(parameters, noise)

    def _observe(self, x: Tensor, noise: Noise) -> Tensor:
        return self.likelihood.observe(x, noise).to(next(self.parameters()).dtype)

    def _run(self, observed: Tensor, draws: Draws) -> Pass:
        result: Pass = self(self._pad(self.likelihood.encode(observed)), draws)
        return Pass(result.latents, result.layers, self._crop(result.parameters))

    def _pad(self, x: Tensor) -> Tensor:
        if self.padded == self.x_shape:
            return x
        return F.pad(x, (0, self.padded[2] - x.shape[3], 0, self.padded[1] - x.shape[2]))

    def _crop(self, parameters: Tensor) -> Tensor:
        if self.padded == self.x_shape:
            return parameters
        return parameters[:, :, : self.x_shape[1], : self.x_shape[2]]


class InferencePath(nn.Module):
    """q(z_l | z_below, x) of every layer, each from the draw below it, with skips across one layer.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan):
        super().__init__()
        self.stages, self.heads = nn.ModuleList(), nn.ModuleList()
        below = [plan.padded, *plan.latents]
        for index, (lower, upper) in enumerate(plan.stages):
            # z below, and the features that it was drawn from: these reach across it, a skip.
            inputs = [below[index], *(stage[1] for stage in plan.stages[max(0, index - 1) : index])]
            self.stages.append(Stage(inputs, lower, upper, **plan.stage_options(index)))
            self.heads.append(gaussian_head(upper, plan.latents[index], plan.normalise))

    def forward(self, x: Tensor, draws: Draws) -> tuple[list[Normal], list[Tensor], list[Tensor]]:
        """q of every layer, what was drawn from it, and the features that it was made of."""
        z = x
        posteriors: list[Normal] = []
        latents: list[Tensor] = []
        features: list[Tensor] = []
        for layer, (stage, head) in enumerate(zip(self.stages, self.heads, strict=True), start=1):
            features.append(stage(z, *features[-1:]))
            posteriors.append(head(features[-1]))
            z = draws.infer(layer, posteriors[-1])
            latents.append(z)
        return posteriors, latents, features


class GenerativePath(nn.Module):
    """p(z_l | z_above) of every layer and p(x | z), with skips across one layer.

    Parameters
    ----------
    plan : Plan
    latents : list of shapes
        Of the latents, layer 1 first.
    parameters : shape
        Of the parameters of p(x | z).
    """

    def __init__(self, plan: Plan, latents: list[Shape], parameters: Shape):
        super().__init__()
        self.stages, self.heads = nn.ModuleList(), nn.ModuleList()
        self.top = latents[-1]
        for index, (lower, upper) in enumerate(plan.stages):
            # z_l, and the features that it was drawn from: these reach across it, a skip.
            inputs = [latents[index], *(stage[0] for stage in plan.stages[index + 1 : index + 2])]
            self.stages.append(Stage(inputs, upper, lower, **plan.stage_options(index)))
            if index:
                self.heads.append(gaussian_head(lower, latents[index - 1], plan.normalise))
        last = adapter(plan.stages[0][0], parameters, plan.normalise)
        self.output = nn.Sequential(nn.ReLU(), last)

    def prior(self, layer: int, features: Tensor | None, draws: Draws) -> Normal:
        """p(z_l | z_above), from the features that `descend` gave for the layer above."""
        if features is None:
            return draws.standard_normal(self.top, next(self.parameters()))
        return self.heads[layer - 1](features)

    def descend(self, layer: int, z: Tensor, features: Tensor | None) -> Tensor:
        """Features below layer l, from its latent and from the features above it."""
        return self.stages[layer - 1](z, *(() if features is None else (features,)))


def gaussian_head(features: Shape, latent: Shape, normalise: bool = False) -> GaussianHead:
    """A Gaussian of shape ``latent`` from features of another shape."""
    return GaussianHead(nn.ReLU(), adapter(features, (2 * latent[0], *latent[1:]), normalise))
