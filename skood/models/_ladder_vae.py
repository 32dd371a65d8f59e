"""The ladder variational autoencoder of Sonderby et al. 2016."""

from __future__ import annotations

from functools import partial
from typing import cast

from torch import Tensor, nn
from torch.distributions import Normal

from skood.core.terms import LayerTerms
from skood.models._hierarchical import BaseHierarchicalVAE
from skood.nn.layers import InitialisedFromData, Shape, Stage
from skood.nn.likelihoods import Likelihood
from skood.nn.networks.draws import Draws
from skood.nn.networks.evidence import Evidence
from skood.nn.networks.hierarchy import GenerativePath, HierarchicalNetwork, Pass, gaussian_head
from skood.nn.plans import Plan

__all__ = ["LadderVAE"]


class LadderNetwork(HierarchicalNetwork):
    """The network of `LadderVAE`: up without sampling, then inference and generation down."""

    def __init__(self, x_shape: Shape, plan: Plan, likelihood: Likelihood):
        super().__init__(x_shape, plan.padded, plan.latents, likelihood)
        self.up, self.evidence = nn.ModuleList(), nn.ModuleList()
        below = plan.padded
        for index, (lower, upper) in enumerate(plan.stages):
            self.up.append(Stage([below], lower, upper, **plan.stage_options(index)))
            self.evidence.append(gaussian_head(upper, plan.latents[index], plan.normalise))
            below = upper
        self.generative = GenerativePath(plan, plan.latents, self.parameters_shape)

    def evidence_of(self, x: Tensor, n_means: int) -> list[tuple[Tensor, ...]]:
        """Mean and standard deviation of what the data say of each layer."""
        seen: list[tuple[Tensor, ...]] = []
        for stage, head in zip(self.up, self.evidence, strict=True):
            x = stage(x)
            of_x = head(x)
            seen.append((of_x.mean, of_x.stddev))
        return seen

    def forward(self, evidence: Evidence | None, draws: Draws) -> Pass:
        features: Tensor | None = None
        latents: list[Tensor] = []
        layers: list[LayerTerms] = []
        for layer in range(self.n_layers, 0, -1):
            p = self.generative.prior(layer, features, draws)
            q = partial(self._q, layer, p, cast(Evidence, evidence))
            z, terms = draws.generate(layer, p, q)
            features = self.generative.descend(layer, z, features)
            latents.insert(0, z)
            layers.insert(0, terms)
        return Pass(latents, tuple(layers), self.generative.output(features))

    def _q(self, layer: int, p: Normal, evidence: Evidence) -> Normal:
        """What the data say of a layer, merged with what the layers above say."""
        mean, std = evidence[layer - 1]
        q = Normal(mean, std, validate_args=False)
        return q if layer == self.n_layers else precision_weighted(q, p)


def precision_weighted(first: Normal, second: Normal) -> Normal:
    """The normalised product of two Gaussian densities (Sonderby et al. 2016, section 2.1)."""
    precisions = first.variance.reciprocal(), second.variance.reciprocal()
    variance = (precisions[0] + precisions[1]).reciprocal()
    mean = variance * (first.mean * precisions[0] + second.mean * precisions[1])
    return Normal(mean, variance.sqrt(), validate_args=False)


class NormalisedLadderNetwork(InitialisedFromData, LadderNetwork):
    """With weight normalisation, which a first batch sets."""


class LadderVAE(BaseHierarchicalVAE):
    """Ladder variational autoencoder: hierarchical, with top-down inference.

    Inference goes up without sampling and then down the same way as generation, so that each layer
    knows what the layers above have become. Bounds are a little tighter than those of `HVAE`, and
    likelihood ratios much the same; with `InformativeELBO` its lowest layer collapses.

    Parameters
    ----------
    latent_dims, n_spatial_layers, network, width, likelihood, data_kind, objective, trainer, \
max_epochs, batch_size, learning_rate, device, random_state, verbose
        As in `HVAE`.

    See Also
    --------
    HierarchicalLLR : Out-of-distribution detection with it.

    Notes
    -----
    With three layers, ``=>`` being a deterministic path and ``~>`` a skip across a layer::

        q(z | x):   x => d1 => d2 => d3        z3 -> z2 -> z1
                         |     |     |
                         z1    z2    z3        z_l from d_l and from the path down to it
        p(x, z):    z3 -> z2 -> z1 -> x        z3 ~> z1,  z2 ~> x

    so that ``q(z | x) = q(z3 | x) q(z2 | z3, x) q(z1 | z2, z3, x)``, in the order in which
    ``p(x, z) = p(z3) p(z2 | z3) p(z1 | z2, z3) p(x | z1, z2, z3)`` generates. Below the top, q is
    the precision-weighted mean of what the data say and of the prior (Sonderby et al. 2016,
    section 2.1; a baseline of Li et al. 2022, table 3). They use batch normalisation; here
    "resnet" has weight normalisation as in `HVAE`, and the others none.

    In L>k the layers above k come from q as ever, since none of them depends on a draw below.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import LadderVAE
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> model = LadderVAE(latent_dims=(4, 2), max_epochs=2, random_state=0).fit(X)
    >>> model.bounds(X)[0].shape
    (2, 200)
    """

    _network_classes = (LadderNetwork, NormalisedLadderNetwork)
