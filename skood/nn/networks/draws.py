"""Where the latents of a pass through a hierarchical network come from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.distributions import Normal

from skood.core.noise import Noise
from skood.core.terms import LayerTerms
from skood.nn.layers import Shape

__all__ = ["Draws", "GivenDraws", "RecordingDraws"]


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
        return q.mean if self.infers_mean(layer) else self._sample(layer, q, path)

    def infers_mean(self, layer: int) -> bool:
        """Whether inference draws the mean of q, and so a function of what it sees."""
        return self.posterior_mean or (self.below == "mean" and layer in self.prior_layers)

    def n_means(self, n_layers: int) -> int:
        """Of how many layers inference draws the mean before it draws a sample."""
        layers = range(1, n_layers + 1)
        return next((layer - 1 for layer in layers if not self.infers_mean(layer)), n_layers)

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
class RecordingDraws(Draws):
    """Draws that keep each q that a latent was drawn from, by the name of the draw."""

    posteriors: dict[str, Normal] = field(default_factory=dict)

    def infer(self, layer: int, q: Normal, path: str = "") -> Tensor:
        self.posteriors[f"z{layer}{path}"] = q
        return super().infer(layer, q, path)


@dataclass(frozen=True)
class GivenDraws(Draws):
    """Draws from given posteriors, whatever inference would say."""

    posteriors: Mapping[str, Normal] = field(default_factory=dict)

    def generate(
        self,
        layer: int,
        p: Normal,
        q: Callable[[], Normal],
        inferred: Tensor | None = None,
        path: str = "",
    ) -> tuple[Tensor, LayerTerms]:
        given = self.posteriors[f"z{layer}{path}"]
        z = self.infer(layer, given, path)
        # The parameters of q act through the draw alone: the gradient of the bound is the same in
        # the mean, and has no variance where q is the posterior (Roeder et al. 2017).
        fixed = Normal(given.mean.detach(), given.stddev.detach(), validate_args=False)
        return z, LayerTerms(p.log_prob(z), fixed.log_prob(z))
