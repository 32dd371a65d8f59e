"""The bottom-up hierarchical variational autoencoder of Havtorn et al. 2021."""

from __future__ import annotations

from functools import partial

from torch import Tensor
from torch.distributions import Normal

from skood.core.terms import LayerTerms
from skood.models._hierarchical import BaseHierarchicalVAE
from skood.nn.layers import InitialisedFromData, Shape
from skood.nn.likelihoods import Likelihood
from skood.nn.networks.draws import Draws
from skood.nn.networks.evidence import Evidence
from skood.nn.networks.hierarchy import GenerativePath, HierarchicalNetwork, InferencePath, Pass
from skood.nn.plans import Plan

__all__ = ["HVAE"]


class BottomUpNetwork(HierarchicalNetwork):
    """The network of `HVAE`: inference all the way up, then generation all the way down."""

    def __init__(self, x_shape: Shape, plan: Plan, likelihood: Likelihood):
        super().__init__(x_shape, plan.padded, plan.latents, likelihood)
        self.inference = InferencePath(plan)
        self.generative = GenerativePath(plan, plan.latents, self.parameters_shape)

    def evidence_of(self, x: Tensor, n_means: int) -> list[tuple[Tensor, ...]]:
        return self.inference.evidence_of(x, n_means)

    def forward(self, evidence: Evidence | None, draws: Draws) -> Pass:
        posteriors: list[Normal] = []
        if evidence is not None:
            posteriors, inferred, _ = self.inference(evidence, draws)
        features: Tensor | None = None
        latents: list[Tensor] = []
        layers: list[LayerTerms] = []
        for layer in range(self.n_layers, 0, -1):
            p = self.generative.prior(layer, features, draws)
            z = None if evidence is None else inferred[layer - 1]
            z, terms = draws.generate(layer, p, partial(posteriors.__getitem__, layer - 1), z)
            features = self.generative.descend(layer, z, features)
            latents.insert(0, z)
            layers.insert(0, terms)
        return Pass(latents, tuple(layers), self.generative.output(features))


class NormalisedBottomUpNetwork(InitialisedFromData, BottomUpNetwork):
    """With weight normalisation, which a first batch sets."""


class HVAE(BaseHierarchicalVAE):
    """Hierarchical variational autoencoder with bottom-up inference and skip connections.

    Several layers of latent variables, of which the lowest encode detail and the top ones content:
    what `HierarchicalLLR` needs. It is the default for images, fast enough to train on a CPU. Its
    likelihood alone misses simple images; with little training data, or an objective without free
    bits, its top layers may collapse and carry no information.

    Parameters
    ----------
    latent_dims : tuple of int or "auto", default="auto"
        Units (channels) of each latent layer, layer 1 (nearest to x) first. "auto" is (8, 16, 8)
        for images, (128, 64, 32) for colour images and ``network="resnet"``, and (16, 8, 4) for
        tables.
    n_spatial_layers : int or "auto", default="auto"
        How many of the lowest layers are maps with ``latent_dims`` channels, the others being
        vectors. "auto" is 1 for images, 2 for colour images and "resnet"; tables have none.
    network : {"auto", "mlp", "patch", "resnet"}, default="auto"
        ``"mlp"`` for tables; ``"patch"`` for images, which cuts them into patches and works on the
        small map of these, fast enough for a CPU; ``"resnet"`` is the paper's, with residual
        blocks at full resolution and weight normalisation, for a GPU. "auto" is the first or the
        second.
    width : int or "auto", default="auto"
        Channels of the maps, or units of the hidden layers of an MLP. "auto" is 128 for "mlp" (32
        below 400 rows), 32 for "patch" (whose vectors have 8 times as many units) and 64 for
        "resnet".
    likelihood : {"auto", "bernoulli", "discretized_logistic", "discretized_logistic_mixture", \
"gaussian", "levels"}, default="auto"
        p(x | z). ``"bernoulli"`` binarises grey values at random; ``"discretized_logistic"`` has
        256 levels, ``"..._mixture"`` ten of these for each pixel, its colours depending on each
        other; ``"gaussian"`` has one learned standard deviation for each feature of a table or
        for all pixels of images (Li et al. 2022, appendix J, "OverSmooth"). "auto" is "bernoulli"
        for grey images, the mixture for colour, and "gaussian" for tables and for images outside
        [0, 1]; "levels" is the mixture for grey images too.
    data_kind : {"auto", "bytes", "unit", "real"}, default="auto"
        What the values of images are: 8-bit pixels, pixels in [0, 1], or real numbers. "auto" looks
        at the type and the range of X: uint8 is 8-bit, booleans and numbers from 0 to 1 are pixels
        in [0, 1], anything else is real; tables always are.
    objective : Objective, default=None
        None is ``ELBO(free_bits=(0, 4, ..., 4))`` for images: the lowest layer needs no floor to
        stay alive, the others do. For tables it is ``ELBO(free_bits=0)``.
    trainer : Trainer, default=None
        Optimiser, validation split, early stopping, callbacks. None is ``Trainer()``.
    max_epochs : int or "auto", default="auto"
        "auto" is as many as give about 7,000 steps, but at most 100 where these give 500.
    batch_size : int, default=128
    learning_rate : float, default=1e-3
    device : str or torch.device, default="auto"
        "auto" is the first GPU if there is one, else the CPU.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        With 1, the progress of training and of scoring is shown: by a bar on a terminal, by plain
        lines elsewhere.

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

    _network_classes = (BottomUpNetwork, NormalisedBottomUpNetwork)
