"""What the networks of all hierarchical models share: one pass through the latent layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from skood.core.noise import Noise
from skood.core.terms import LayerTerms, Terms
from skood.nn.gaussian import GaussianHead
from skood.nn.layers import Shape, Stage, adapter
from skood.nn.likelihoods import Likelihood
from skood.nn.networks.draws import Draws, GivenDraws, RecordingDraws
from skood.nn.networks.evidence import Evidence
from skood.nn.plans import Plan

__all__ = [
    "GenerativePath",
    "HierarchicalNetwork",
    "InferencePath",
    "Pass",
    "gaussian_head",
]


@dataclass(frozen=True)
class Pass:
    """What one pass yields: latents and terms, layer 1 first, and the parameters of p(x | z)."""

    latents: list[Tensor]
    layers: tuple[LayerTerms, ...]
    parameters: Tensor


class HierarchicalNetwork(nn.Module):
    """Base of the networks of hierarchical models; a `skood.core.protocols.SharedInference`.

    A subclass calls this constructor, builds its layers, and gives two steps:
    ``evidence_of(x, n_means)``, what inference takes from x alone, where ``x`` is what the
    likelihood's ``encode`` gives; and ``forward(evidence, draws) -> Pass``, up and down once, from
    the `Evidence` that holds the former, or None if all layers come from the prior. Scores,
    reconstructions and samples all follow from these.

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

    def evidence_of(self, x: Tensor, n_means: int) -> Sequence[tuple[Tensor, ...]]:
        """What inference needs of x, for each layer from layer 1 on: see `Evidence`.

        Inference that draws the mean of q for the lowest ``n_means`` layers is a function of x up
        to the layer above them.
        """
        raise NotImplementedError

    def terms(
        self,
        x: Tensor,
        noise: Noise,
        prior_layers: Collection[int] = frozenset(),
        below: str = "mean",
    ) -> Terms:
        return self.terms_of(self.see(x, noise, [prior_layers], below), noise, prior_layers, below)

    def see(
        self, x: Tensor, noise: Noise, bounds: Sequence[Collection[int]], below: str
    ) -> Evidence:
        passes = [Draws(noise, x.shape[0], prior_layers, below) for prior_layers in bounds]
        return self._see(x, noise, max(draws.n_means(self.n_layers) for draws in passes))

    def terms_of(
        self, evidence: Evidence, noise: Noise, prior_layers: Collection[int], below: str
    ) -> Terms:
        result = self._run(evidence, Draws(noise, evidence.n_rows, prior_layers, below))
        return Terms(self.likelihood(evidence.observed, result.parameters), result.layers)

    def reconstruct(
        self, x: Tensor, noise: Noise, prior_layers: Collection[int], below: str = "mean"
    ) -> Tensor:
        draws = Draws(noise, x.shape[0], prior_layers, below, posterior_mean=below == "mean")
        evidence = self._see(x, noise, draws.n_means(self.n_layers))
        return self.likelihood.mean(self._run(evidence, draws).parameters)

    def encode(self, x: Tensor, noise: Noise) -> list[Tensor]:
        draws = Draws(noise, x.shape[0], posterior_mean=True)
        return self._run(self._see(x, noise, self.n_layers), draws).latents

    def infer_posteriors(self, x: Tensor, noise: Noise) -> dict[str, Normal]:
        draws = RecordingDraws(noise, x.shape[0], posterior_mean=True)
        self._run(self._see(x, noise, self.n_layers), draws)
        return draws.posteriors

    def terms_under(self, posteriors: Mapping[str, Normal], x: Tensor, noise: Noise) -> Terms:
        result: Pass = self(None, GivenDraws(noise, x.shape[0], posteriors=posteriors))
        parameters = self._crop(result.parameters)
        return Terms(self.likelihood(self._observe(x, noise), parameters), result.layers)

    def sample(self, n: int, noise: Noise) -> Tensor:
        every_layer = range(1, self.n_layers + 1)
        result = self._run(None, Draws(noise, n, every_layer, "sample"))
        return self.likelihood.sample(result.parameters, noise)

    def _observe(self, x: Tensor, noise: Noise) -> Tensor:
        return self.likelihood.observe(x, noise).to(next(self.parameters()).dtype)

    def _see(self, x: Tensor, noise: Noise, n_means: int) -> Evidence:
        observed = self._observe(x, noise)
        x = self._pad(self.likelihood.encode(observed))
        return Evidence(observed, self.evidence_of(x, n_means))

    def _run(self, evidence: Evidence | None, draws: Draws) -> Pass:
        result: Pass = self(evidence, draws)
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

    def evidence_of(self, x: Tensor, n_means: int) -> list[tuple[Tensor, ...]]:
        """Features and q, its mean and standard deviation, of each layer that x alone decides."""
        z: Tensor = x
        seen: list[tuple[Tensor, ...]] = []
        for stage, head in list(zip(self.stages, self.heads, strict=True))[: n_means + 1]:
            features = stage(z, *(of_layer[0] for of_layer in seen[-1:]))
            q = head(features)
            z = q.mean
            seen.append((features, z, q.stddev))
        return seen

    def forward(
        self, evidence: Evidence, draws: Draws
    ) -> tuple[list[Normal], list[Tensor], list[Tensor]]:
        """q of every layer, what was drawn from it, and the features that it was made of."""
        posteriors: list[Normal] = []
        latents: list[Tensor] = []
        features: list[Tensor] = []
        n_seen = draws.n_means(len(self.stages)) + 1
        for index, (stage, head) in enumerate(zip(self.stages, self.heads, strict=True)):
            if index < n_seen:
                of_layer, mean, std = evidence[index]
                q = Normal(mean, std, validate_args=False)
            else:
                of_layer = stage(latents[-1], features[-1])
                q = head(of_layer)
            features.append(of_layer)
            posteriors.append(q)
            latents.append(draws.infer(index + 1, q))
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
