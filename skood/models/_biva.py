"""The bidirectional-inference variational autoencoder of Maaloe et al. 2019."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from skood.core.terms import LayerTerms
from skood.models._hierarchical import BaseHierarchicalVAE
from skood.nn.gaussian import GaussianHead
from skood.nn.layers import InitialisedFromData, Join, Shape
from skood.nn.likelihoods import Likelihood
from skood.nn.networks.draws import Draws
from skood.nn.networks.evidence import Evidence
from skood.nn.networks.hierarchy import (
    GenerativePath,
    HierarchicalNetwork,
    InferencePath,
    Pass,
    gaussian_head,
)
from skood.nn.plans import Plan, plan_network

__all__ = ["BIVA"]


class BidirectionalNetwork(HierarchicalNetwork):
    """The network of `BIVA`: one half of each layer is inferred on the way up, the other down."""

    def __init__(self, x_shape: Shape, plan: Plan, likelihood: Likelihood):
        both = [(2 * shape[0], *shape[1:]) for shape in plan.latents[:-1]] + plan.latents[-1:]
        super().__init__(x_shape, plan.padded, both, likelihood)
        self.inference = InferencePath(plan)
        self.downward = nn.ModuleList()
        for (_, upper), latent in zip(plan.stages, plan.latents[:-1], strict=False):
            join = Join([upper, upper], upper, plan.normalise)
            self.downward.append(_TwoInputs(join, gaussian_head(upper, latent, plan.normalise)))
        self.generative = GenerativePath(plan, both, self.parameters_shape)

    def evidence_of(self, x: Tensor, n_means: int) -> list[tuple[Tensor, ...]]:
        return self.inference.evidence_of(x, n_means)

    def forward(self, evidence: Evidence | None, draws: Draws) -> Pass:
        nothing: Any = [None] * self.n_layers
        upward, inferred, of_x = (
            (nothing, nothing, nothing) if evidence is None else self.inference(evidence, draws)
        )
        features: Tensor | None = None
        latents: list[Tensor] = []
        layers: list[LayerTerms] = []
        for layer in range(self.n_layers, 0, -1):
            i = layer - 1
            p = self.generative.prior(layer, features, draws)
            p_up, p_down = (p, None) if features is None else _halves(p)
            z, terms = draws.generate(layer, p_up, partial(upward.__getitem__, i), inferred[i])
            if p_down is not None:
                q_down = partial(self._infer_down, i, of_x, features)
                z_down, terms_down = draws.generate(layer, p_down, q_down, path="down")
                z, terms = torch.cat([z, z_down], dim=1), _join(terms, terms_down)
            features = self.generative.descend(layer, z, features)
            latents.insert(0, z)
            layers.insert(0, terms)
        return Pass(latents, tuple(layers), self.generative.output(features))

    def _infer_down(self, i: int, of_x: list[Tensor], features: Tensor | None) -> Normal:
        q: Normal = self.downward[i](of_x[i], features)
        return q


class _TwoInputs(nn.Module):
    """q of the half inferred downward: from features of x, and of the layers above."""

    def __init__(self, join: Join, head: GaussianHead):
        super().__init__()
        self.join, self.head = join, head

    def forward(self, evidence: Tensor, above: Tensor) -> Normal:
        return self.head(self.join(evidence, above))


def _halves(p: Normal) -> tuple[Normal, Normal]:
    means, stds = p.mean.chunk(2, dim=1), p.stddev.chunk(2, dim=1)
    first, second = (Normal(m, s, validate_args=False) for m, s in zip(means, stds, strict=True))
    return first, second


def _join(first: LayerTerms, second: LayerTerms) -> LayerTerms:
    return LayerTerms(
        torch.cat([first.log_prior, second.log_prior], dim=1),
        torch.cat([first.log_posterior, second.log_posterior], dim=1),
    )


class NormalisedBidirectionalNetwork(InitialisedFromData, BidirectionalNetwork):
    """With weight normalisation, which a first batch sets."""


class BIVA(BaseHierarchicalVAE):
    """Bidirectional-inference variational autoencoder: deep, with latents inferred up and down.

    The deepest of the hierarchical models, for colour images and a GPU; on grey images it detects
    as well as `HVAE` and takes longer. Trained briefly, most of its ten layers carry nothing.

    Parameters
    ----------
    latent_dims : tuple of int or "auto", default="auto"
        Units (channels) of each half of a latent layer, layer 1 (nearest to x) first; below the
        top a layer has two halves. "auto" is as in `HVAE`, but ten layers for colour images:
        (8, 16, 32, 42, 40, 38, 36, 34, 32, 30), the lowest three being maps.
    n_spatial_layers, network, width, likelihood, data_kind, objective, trainer, max_epochs, \
batch_size, learning_rate, device, random_state, verbose
        As in `HVAE`.

    See Also
    --------
    HierarchicalLLR : Out-of-distribution detection with it.

    Notes
    -----
    Below the top, z_l is made of u_l, inferred on the way up, and d_l, inferred on the way down.
    With three layers, ``~>`` being the skips across a layer::

        q(z | x):   x -> u1 -> u2 -> z3        x ~> u2,  u1 ~> z3
                    d1 <-- d2 <------'         d_l also from x, from u below l, and from all above
        p(x, z):   z3 -> (u2, d2) -> (u1, d1) -> x        z3 ~> (u1, d1),  (u2, d2) ~> x

    so that ``q(z | x) = q(u1 | x) q(u2 | u1, x) q(z3 | u2, u1, x) q(d2 | z3, u, x)
    q(d1 | z2, z3, x)``. Maaloe et al. 2019, section 2; sizes of Havtorn et al. 2021, appendix B.2,
    with their strides (2 in layers 1, 4 and 6) for ``network="resnet"``. The paths that infer share
    all deterministic layers. Unlike theirs, skips reach across one layer, not to all below.

    In L>k both halves of the layers up to k come from the prior, and the means of their u are
    passed upward, as in `HVAE`.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import BIVA
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> model = BIVA(latent_dims=(4, 2), max_epochs=2, random_state=0).fit(X)
    >>> model.bounds(X)[0].shape
    (2, 200)
    """

    _network_classes = (BidirectionalNetwork, NormalisedBidirectionalNetwork)

    def _plan(self, shape: tuple[int, ...], n_rows: int) -> Plan:
        dims, n_spatial = self.latent_dims, self.n_spatial_layers
        if isinstance(dims, str) and len(shape) == 3 and shape[0] > 1:
            dims = (8, 16, 32, 42, 40, 38, 36, 34, 32, 30)
            n_spatial = 3 if n_spatial == "auto" else n_spatial
        return plan_network(
            shape,
            network=self.network,
            latent_dims=dims,
            n_spatial_layers=n_spatial,
            width=self.width,
            n_rows=n_rows,
            strides=(2, 1, 1, 2, 1, 2),
        )
