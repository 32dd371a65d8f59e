"""The bottom-up hierarchical variational autoencoder of Havtorn et al. 2021."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from skood.core.noise import Noise
from skood.core.terms import LayerTerms, Terms
from skood.models._base import BaseGenerativeModel
from skood.models._likelihood import build_likelihood, row_shape
from skood.nn.blocks import Shape, Stage, adapter, initialise_from_data
from skood.nn.gaussian import GaussianHead, standard_normal
from skood.nn.likelihoods import Likelihood
from skood.nn.plans import Plan, plan_network
from skood.objectives import ELBO

__all__ = ["HVAE"]


class HVAE(BaseGenerativeModel):
    """Hierarchical variational autoencoder with bottom-up inference and skip connections.

    Parameters
    ----------
    latent_dims : tuple of int or "auto", default="auto"
        Units (channels) of each latent layer, layer 1 (nearest to x) first. "auto" is (8, 16, 8)
        for images and (16, 8, 4) for tables.
    n_spatial_layers : int or "auto", default="auto"
        How many of the lowest layers are maps with ``latent_dims`` channels, the others being
        vectors. "auto" is 1 for images; tables have none.
    network : {"auto", "mlp", "patch", "resnet"}, default="auto"
        ``"mlp"`` for tables; ``"patch"`` for images, which cuts them into patches and works on the
        small map of these, fast enough for a CPU; ``"resnet"`` is the paper's, with residual
        blocks at full resolution and weight normalisation, for a GPU. "auto" is the first or the
        second.
    width : int or "auto", default="auto"
        Channels of the maps, or units of the hidden layers of an MLP. "auto" is 128 for "mlp" (32
        below 400 rows), 32 for "patch" (whose vectors have 8 times as many units) and 64 for
        "resnet".
    likelihood : {"auto", "bernoulli", "gaussian", "discretized_logistic"}, default="auto"
        p(x | z). ``"bernoulli"`` binarises grey values at random; ``"discretized_logistic"`` has
        256 levels; ``"gaussian"`` has one learned standard deviation per feature. "auto" is the
        first for grey images, the second for colour, the third for tables and for images outside
        [0, 1].
    objective : Objective, default=None
        None is ``ELBO(free_bits=(0, 4, ..., 4))`` for images: the lowest layer needs no floor to
        stay alive, the others do. For tables it is ``ELBO(free_bits=0)``.
    trainer : Trainer, default=None
        Optimiser, validation split, early stopping, callbacks. None is ``Trainer()``.
    max_epochs : int or "auto", default="auto"
        "auto" is as many as give 7,000 steps, between 10 and 2,000.
    batch_size : int, default=128
    learning_rate : float, default=1e-3
    device : str or torch.device, default="auto"
        "auto" is the first GPU if there is one, else the CPU.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 prints a line per epoch.

    See Also
    --------
    HierarchicalLLR : Out-of-distribution detection with it.

    Notes
    -----
    With three layers, inference goes up and generation comes down; ``~>`` are the deterministic
    skip connections, which reach across one layer::

        q(z | x):   x -> z1 -> z2 -> z3        x ~> z2,  z1 ~> z3
        p(x, z):   z3 -> z2 -> z1 -> x        z3 ~> z1,  z2 ~> x

    A skip passes on the features from which the layer in between was computed, so that
    ``q(z | x) = q(z1 | x) q(z2 | z1, x) q(z3 | z2, z1, x)`` and
    ``p(x, z) = p(z3) p(z2 | z3) p(z1 | z2, z3) p(x | z1, z2, z3)``. Section 3.2 and appendices B
    and D of the paper. In its authors' code most skips have no effect, since they are added only
    where shapes differ; here each has a layer of its own. Strided blocks resample by averages and
    nearest neighbours where theirs use strided convolutions.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import HVAE
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> model = HVAE(latent_dims=(4, 2), max_epochs=2, random_state=0).fit(X)
    >>> model.score_samples(X).shape
    (200,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseGenerativeModel._parameter_constraints,
        "latent_dims": [tuple, list, StrOptions({"auto"})],
        "n_spatial_layers": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "network": [StrOptions({"auto", "mlp", "patch", "resnet"})],
        "width": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "likelihood": [StrOptions({"auto", "bernoulli", "gaussian", "discretized_logistic"})],
    }

    def __init__(
        self,
        latent_dims="auto",
        *,
        n_spatial_layers="auto",
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
        self.n_spatial_layers = n_spatial_layers
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
        plan = plan_network(
            shape,
            network=self.network,
            latent_dims=self.latent_dims,
            n_spatial_layers=self.n_spatial_layers,
            width=self.width,
            n_rows=len(X),
        )
        return BottomUpNetwork(shape, plan, build_likelihood(self.likelihood, kind, X))

    def _default_objective(self, network):
        # Of those tried, the best bound on held-out Fashion-MNIST with every unit of every layer
        # active; on small tables the best held-out bound is that without free bits.
        floor = 4.0 if len(network.x_shape) == 3 else 0.0
        return ELBO(free_bits=(0.0,) + (floor,) * (network.n_layers - 1))


class BottomUpNetwork(nn.Module):
    """The network of `HVAE`; a `skood.core.protocols.Network`."""

    def __init__(self, x_shape: Shape, plan: Plan, likelihood: Likelihood):
        super().__init__()
        self.n_layers = len(plan.latents)
        self.x_shape, self.padded, self.latent_shapes = x_shape, plan.padded, plan.latents
        self.likelihood = likelihood
        self.up, self.posterior = nn.ModuleList(), nn.ModuleList()
        self.down, self.prior = nn.ModuleList(), nn.ModuleList()
        below = [plan.padded, *plan.latents]
        for layer, (lower, upper) in enumerate(plan.stages):
            kernel = plan.kernels[min(layer, len(plan.kernels) - 1)]
            options = {"n_blocks": plan.n_blocks, "kernel": kernel, "normalise": plan.normalise}
            # z_l and the features that it was drawn from: the latter reach across it, a skip.
            inputs_up = [below[layer]] + ([plan.stages[layer - 1][1]] if layer else [])
            inputs_down = [plan.latents[layer]]
            if layer + 1 < self.n_layers:
                inputs_down.append(plan.stages[layer + 1][0])
            self.up.append(Stage(inputs_up, lower, upper, **options))
            self.down.append(Stage(inputs_down, upper, lower, **options))
            self.posterior.append(_gaussian_head(upper, plan.latents[layer], plan.normalise))
            if layer:
                self.prior.append(_gaussian_head(lower, plan.latents[layer - 1], plan.normalise))
        parameters = (likelihood.parameters_per_value * x_shape[0], *plan.padded[1:])
        bottom = plan.stages[0][0]
        self.output = nn.Sequential(nn.ReLU(), adapter(bottom, parameters, plan.normalise))

    @property
    def max_log_px(self) -> float:
        return self.likelihood.max_log_px

    def terms(
        self,
        x: Tensor,
        noise: Noise,
        prior_layers: Collection[int] = frozenset(),
        prior_mean: bool = True,
    ) -> Terms:
        observed = self._observe(x, noise)
        posteriors, latents = self._infer(observed, noise, prior_layers)
        layers, parameters = self._generate(posteriors, latents, noise, prior_layers, prior_mean)
        return Terms(self.likelihood.log_prob(observed, parameters), layers)

    def reconstruct(self, x: Tensor, noise: Noise, prior_layers: Collection[int]) -> Tensor:
        """Mean of x given the latents: means of q, and of the prior in ``prior_layers``."""
        observed = self._observe(x, noise)
        every_layer = range(1, self.n_layers + 1)
        posteriors, latents = self._infer(observed, noise, every_layer)
        _, parameters = self._generate(posteriors, latents, noise, prior_layers, True)
        return self.likelihood.mean(parameters)

    def encode(self, x: Tensor, noise: Noise) -> list[Tensor]:
        """Means of q for every layer, each layer seeing the means of those below."""
        observed = self._observe(x, noise)
        return self._infer(observed, noise, range(1, self.n_layers + 1))[1]

    def sample(self, n: int, noise: Noise) -> Tensor:
        every_layer = range(1, self.n_layers + 1)
        latents = [torch.zeros(n, *shape, device=noise.device) for shape in self.latent_shapes]
        _, parameters = self._generate([], latents, noise, every_layer, False)
        return self.likelihood.sample(parameters, noise)

    def _observe(self, x: Tensor, noise: Noise) -> Tensor:
        return self.likelihood.observe(x, noise).to(next(self.parameters()).dtype)

    def _infer(
        self, observed: Tensor, noise: Noise, mean_layers: Collection[int]
    ) -> tuple[list[Normal], list[Tensor]]:
        """Up: q of every layer, and its mean in ``mean_layers``, a sample of it elsewhere."""
        z = self._pad(self.likelihood.encode(observed))
        inputs: list[Tensor] = []
        posteriors, latents = [], []
        for layer, (stage, head) in enumerate(zip(self.up, self.posterior, strict=True), start=1):
            features = stage(z, *inputs)
            q = head(features)
            z = q.mean if layer in mean_layers else _draw(q, layer, noise)
            posteriors.append(q)
            latents.append(z)
            inputs = [features]
        return posteriors, latents

    def _generate(
        self,
        posteriors: list[Normal],
        latents: list[Tensor],
        noise: Noise,
        prior_layers: Collection[int],
        prior_mean: bool,
    ) -> tuple[tuple[LayerTerms, ...], Tensor]:
        """Down: the terms of every layer, and the parameters of p(x | z)."""
        inputs: list[Tensor] = []
        layers: list[LayerTerms] = []
        for layer in range(self.n_layers, 0, -1):
            z = latents[layer - 1]
            p = self.prior[layer - 1](inputs[0]) if inputs else standard_normal(z)
            if layer in prior_layers:
                z = p.mean if prior_mean else _draw(p, layer, noise)
                layers.insert(0, LayerTerms.from_prior(z))
            else:
                q = posteriors[layer - 1]
                layers.insert(0, LayerTerms(p.log_prob(z), q.log_prob(z)))
            inputs = [self.down[layer - 1](z, *inputs)]
        return tuple(layers), self._crop(self.output(inputs[0]))

    def initialise_from_data(self, x: Tensor, noise: Noise) -> None:
        """Data-dependent initialisation of the weight-normalised layers, if there are any."""
        initialise_from_data(self, x, noise)

    def _pad(self, x: Tensor) -> Tensor:
        if self.padded == self.x_shape:
            return x
        return F.pad(x, (0, self.padded[2] - x.shape[3], 0, self.padded[1] - x.shape[2]))

    def _crop(self, parameters: Tensor) -> Tensor:
        if self.padded == self.x_shape:
            return parameters
        return parameters[:, :, : self.x_shape[1], : self.x_shape[2]]


def _draw(distribution: Normal, layer: int, noise: Noise) -> Tensor:
    epsilon = noise.normal(f"z{layer}", distribution.mean.shape)
    return distribution.mean + distribution.stddev * epsilon


def _gaussian_head(features: Shape, latent: Shape, normalise: bool) -> GaussianHead:
    return GaussianHead(nn.ReLU(), adapter(features, (2 * latent[0], *latent[1:]), normalise))
