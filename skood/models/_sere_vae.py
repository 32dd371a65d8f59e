"""The self-reflective variational autoencoder."""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from skood.models._base import BaseGenerativeModel
from skood.models._latent_variables import LatentVariablesMixin
from skood.models._likelihood import LIKELIHOODS, build_likelihood, row_shape
from skood.nn.bijectors import RankOneAffine
from skood.nn.blocks import Shape
from skood.nn.gaussian import gaussian
from skood.nn.hierarchy import Draws, HierarchicalNetwork, Pass
from skood.nn.likelihoods import Likelihood
from skood.nn.perceptrons import ImageDecoder, ImageEncoders, VectorDecoder, VectorEncoders, mlp
from skood.nn.plans import check_latent_dims
from skood.objectives import ELBO

__all__ = ["SeReVAE"]

_FEATURES = {"mlp": 20, "resnet": 64}  # of the evidence, for each layer


class SelfReflectiveNetwork(HierarchicalNetwork):
    """The network of `SeReVAE`, or of its independent twin."""

    def __init__(
        self,
        x_shape: Shape,
        dims: tuple[int, ...],
        likelihood: Likelihood,
        *,
        network: str,
        width: int,
        self_reflective: bool,
    ):
        sides = [4 * -(-side // 4) for side in x_shape[1:]] if network == "resnet" else x_shape[1:]
        super().__init__(x_shape, (x_shape[0], *sides), [(d,) for d in dims], likelihood)
        encoders, decoder = {
            "mlp": (VectorEncoders, VectorDecoder),
            "resnet": (ImageEncoders, ImageDecoder),
        }[network]
        n_features = _FEATURES[network]
        self.evidence = encoders(self.padded, n_features, len(dims), width)
        above_each = [*dims[1:], 0]  # units of the layer above
        posterior = {"mlp": _Posterior, "resnet": _ResidualPosterior}[network]
        self.posteriors = nn.ModuleList(
            posterior(n_features, above if self_reflective else 0, dim, width)
            for dim, above in zip(dims, above_each, strict=True)
        )
        pairs = list(pairwise(dims))
        self.bijections = nn.ModuleList(_Bijection(above, dim) for dim, above in pairs)
        self.priors = nn.ModuleList(
            mlp(above, width, 2 * dim) for dim, above in pairs if self_reflective
        )
        self.decoder = decoder(sum(dims), self.parameters_shape, width)

    def forward(self, x: Tensor | None, draws: Draws) -> Pass:
        evidence = None if x is None else self.evidence(x)
        above, latents, layers = None, [], []
        for layer in range(self.n_layers, 0, -1):
            p = self._prior(layer, above, draws)
            q = lambda i=layer - 1, a=above: self.posteriors[i](evidence[i], a)  # noqa: E731
            epsilon, terms = draws.generate(layer, p, q)
            above = epsilon
            if layer < self.n_layers:
                above = self.bijections[layer - 1](latents[0]).forward(epsilon)
            latents.insert(0, above)
            layers.insert(0, terms)
        return Pass(latents, tuple(layers), self.decoder(torch.cat(latents, dim=1)))

    def _prior(self, layer: int, above: Tensor | None, draws: Draws) -> Normal:
        if above is None or not self.priors:
            return draws.standard_normal(self.latent_shapes[layer - 1], next(self.parameters()))
        return gaussian(self.priors[layer - 1](above))


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
    """A first estimate of q from the layer above, mended by the evidence (appendix 8)."""

    def __init__(self, n_features: int, n_above: int, dim: int, width: int):
        super().__init__()
        n_hidden = max(1, dim // 3) if n_above else 0
        self.first = mlp(n_above, width, 2 * dim) if n_above else None
        self.hidden = mlp(n_above, width, n_hidden) if n_above else None
        self.residual = mlp(n_features + n_hidden, width, 2 * dim)

    def forward(self, evidence: Tensor, above: Tensor | None) -> Normal:
        if self.first is None:
            return gaussian(self.residual(evidence))
        evidence = torch.cat([evidence, self.hidden(above)], dim=1)
        return gaussian(self.first(above) + self.residual(evidence))


class _Bijection(nn.Module):
    """The affine map of a layer, given the latent above it."""

    def __init__(self, n_above: int, dim: int):
        super().__init__()
        self.layers = nn.Sequential(mlp(n_above, 20, 3 * dim, nn.Tanh), nn.Tanh())

    def forward(self, above: Tensor) -> RankOneAffine:
        shift, raw, direction = self.layers(above).chunk(3, dim=1)
        return RankOneAffine(shift, F.softplus(F.elu(raw)) + 1e-3, direction)


class SeReVAE(LatentVariablesMixin, BaseGenerativeModel):
    """Self-reflective variational autoencoder: top-down, with bijections shared by prior and q.

    Parameters
    ----------
    latent_dims : tuple of int or "auto", default="auto"
        Units of each latent layer, layer 1 (nearest to x) first. "auto" is ten layers of ten
        units for images, and (8, 8, 8) for tables.
    self_reflective : bool, default=True
        False gives the independent twin (a DLGM, Rezende et al. 2014): q and the prior of a layer
        no longer depend on the layer above, everything else being equal.
    network : {"auto", "mlp", "resnet"}, default="auto"
        Of the paper's appendix 7 or 8; "auto" is the latter for colour images.
    width : int or "auto", default="auto"
        Units of the hidden layers; the decoder has twice as many. "resnet" has a sixteenth and an
        eighth as many channels in its encoders. "auto" is 256 (32 below 400 rows).
    likelihood, objective, trainer, max_epochs, batch_size, learning_rate, device, random_state, \
verbose
        As in `HVAE`, but that ``objective=None`` is ``ELBO(free_bits=0, schedule="geometric")``.

    See Also
    --------
    HierarchicalLLR : Out-of-distribution detection with it.

    Notes
    -----
    With three layers; e_l is the base variable of layer l, f_l its bijection given z above::

        q(e | x):   x => e3 = z3 -> e2 -f2-> z2 -> e1 -f1-> z1       x => e2,  x => e1
        p(x, e):         e3 = z3 -> e2 -f2-> z2 -> e1 -f1-> z1       z3, z2, z1 -> x

    so that ``q = q(e3 | x) q(e2 | z3, x) q(e1 | z2, x)`` (eq. 4) factorises as the exact posterior
    does, and ``p = p(e3) p(e2 | z3) p(e1 | z2) p(x | z1, z2, z3)`` (eq. 3). Since both share f_l,
    both densities are those of e_l. The paper numbers its layers from the top; here layer 1 is the
    last one generated, which every L>k draws from the prior first. f_l is a positive diagonal plus
    a rank-one matrix (section 5.2.1).

    Departures: one network gives both mean and scale of a Gaussian, standard deviations are those
    of `HVAE` (eq. 11 bounds the variance from below by 0.31), and there is no batch
    normalisation and no weight decay.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import SeReVAE
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> model = SeReVAE(latent_dims=(4, 2), max_epochs=2, random_state=0).fit(X)
    >>> model.bounds(X)[0].shape
    (2, 200)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseGenerativeModel._parameter_constraints,
        **LatentVariablesMixin._parameter_constraints,
        "latent_dims": [tuple, list, StrOptions({"auto"})],
        "self_reflective": ["boolean"],
        "network": [StrOptions({"auto", "mlp", "resnet"})],
        "width": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "likelihood": [StrOptions({"auto", *LIKELIHOODS})],
    }

    def __init__(
        self,
        latent_dims="auto",
        *,
        self_reflective=True,
        network="auto",
        width="auto",
        likelihood="auto",
        objective=None,
        trainer=None,
        max_epochs="auto",
        batch_size=128,
        learning_rate=1e-3,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.latent_dims = latent_dims
        self.self_reflective = self_reflective
        self.network = network
        self.width = width
        self.likelihood = likelihood
        self.objective = objective
        self.trainer = trainer
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _build_network(self, X, kind):
        shape = row_shape(X.shape[1:])
        network = self.network
        if network == "auto":
            network = "resnet" if len(shape) == 3 and shape[0] > 1 else "mlp"
        if network == "resnet" and len(shape) == 1:
            raise ValueError(
                "network='resnet' is for images, but X holds a table. Use network='auto'."
            )
        automatic = (10,) * 10 if len(shape) == 3 else (8, 8, 8)
        return SelfReflectiveNetwork(
            shape,
            check_latent_dims(self.latent_dims, automatic),
            build_likelihood(self.likelihood, kind, X),
            network=network,
            width=(256 if len(X) >= 400 else 32) if self.width == "auto" else self.width,
            self_reflective=self.self_reflective,
        )

    def _default_objective(self, network):
        return ELBO(free_bits=0.0, schedule="geometric")
