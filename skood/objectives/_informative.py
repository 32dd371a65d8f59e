"""The informative objective: reconstructions from every set of upper layers.

Notation: L is the number of latent layers, z_1 nearest to x, and L>k the evidence lower bound with
layers 1 to k taken from the prior given the layers above them.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, cast

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skood.core.noise import Noise
from skood.core.protocols import DensityNetwork, LatentNetwork, Progress
from skood.core.terms import Terms
from skood.objectives.schedules import linear_warmup

__all__ = ["InformativeELBO"]


class InformativeELBO(BaseEstimator):
    """Negative mean of the bounds L>k, which prevents the upper layers from collapsing.

    The loss of a row is minus the mean of L>k over k = 0, ..., L - 1: x has to be reconstructed not
    only from all layers but also from those above each k alone, the others coming from the prior.
    So the upper layers must encode x, without free bits.

    It trades the ordinary bound L for the bounds L>k: L is lower than that of `ELBO`, and lower
    layers carry less. It fails with top-down inference (`LadderVAE`, `SeReVAE`), where no other
    layer needs the lowest ones and they collapse: take `ELBO` there.

    Parameters
    ----------
    n_bounds : int or "all", default=1
        How many of the L bounds a step takes, drawn at random without replacement; their mean is an
        unbiased estimate of the mean of all, at a fraction of the time. "all" is the paper's.
    divergences : {"each", "printed"}, default="each"
        ``"each"``: every reconstruction is charged the divergences of the layers that it uses, so
        that the mean is over the bounds L>k themselves. ``"printed"`` is eq. 10 as printed: the L
        reconstructions are averaged, while every layer's divergence counts once. It needs
        ``n_bounds="all"``.
    below : {"mean", "sample"}, default="mean"
        Whether the layers up to k are the prior's mean, as in the scores, or samples of it, as in
        eq. 10.
    warmup : float in [0, 1], default=0.1
        Part of the planned training over which the weight of the divergences rises to 1; 0 is the
        paper's.

    See Also
    --------
    ELBO : The ordinary bound, with free bits against collapse.

    Notes
    -----
    Y. Li et al., "Out-of-Distribution Detection with an Adaptive Likelihood Ratio on Informative
    Hierarchical VAE", NeurIPS 2022, eq. 10; with one layer it is the ordinary bound.

    Two of the defaults depart from eq. 10, for one reason each. As printed, layer l takes part in l
    of the L reconstructions, each of weight 1/L, while its divergence counts in full: an effective
    beta of L/l, under which the lowest layers collapse, and with them the ratios. And where the
    layers up to k are samples, the decoder learns to ignore the lowest layers, which are noise in
    L - 1 of the L reconstructions. docs/results.md has the experiment.

    All passes for a row share their noise, and see the same binarised x.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import HVAE, InformativeELBO
    >>> X = np.random.default_rng(0).normal(size=(100, 5))
    >>> objective = InformativeELBO(n_bounds="all")
    >>> model = HVAE(latent_dims=(4, 2), objective=objective, max_epochs=2, random_state=0).fit(X)
    >>> model.score_samples(X[:3]).shape
    (3,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_bounds": [Interval(Integral, 1, None, closed="left"), StrOptions({"all"})],
        "divergences": [StrOptions({"each", "printed"})],
        "below": [StrOptions({"mean", "sample"})],
        "warmup": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        *,
        n_bounds: int | str = 1,
        divergences: str = "each",
        below: str = "mean",
        warmup: float = 0.1,
    ):
        self.n_bounds = n_bounds
        self.divergences = divergences
        self.below = below
        self.warmup = warmup

    def check(self, n_layers: int) -> None:
        """Validate the parameters; any number of latent layers will do.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or ``divergences="printed"`` goes without
            ``n_bounds="all"``.
        """
        self._validate_params()
        if self.divergences == "printed" and self.n_bounds != "all":
            raise ValueError(
                f"divergences='printed' needs all bounds; got n_bounds={self.n_bounds!r}. Use "
                "n_bounds='all'."
            )

    def __call__(
        self, network: DensityNetwork, x: Tensor, noise: Noise, progress: Progress
    ) -> Tensor:
        """Loss of a batch x of shape (n, ...): a scalar, nats per row."""
        noise = noise.pinned()
        n_bounds = len(network.latent_shapes) if isinstance(network, LatentNetwork) else 1
        passes = [self._terms(network, x, noise, k) for k in self._chosen(n_bounds, noise)]
        log_px = torch.stack([terms.log_px for terms in passes]).mean()
        return linear_warmup(progress, self.warmup) * self._divergences(passes) - log_px

    def _terms(self, network: DensityNetwork, x: Tensor, noise: Noise, k: int) -> Terms:
        """Of a pass with the k lowest layers from the prior."""
        if k == 0:
            return network.terms(x, noise)
        return cast(LatentNetwork, network).terms(x, noise, range(1, k + 1), self.below)

    def _chosen(self, n_layers: int, noise: Noise) -> list[int]:
        """The values of k that a step takes."""
        if self.n_bounds == "all" or int(self.n_bounds) >= n_layers:
            return list(range(n_layers))
        order = noise.uniform("k", (n_layers,)).argsort()
        return order[: int(self.n_bounds)].tolist()

    def _divergences(self, passes: list[Terms]) -> Tensor:
        """Summed over layers, averaged over rows, nats."""
        if self.divergences == "printed":
            return passes[0].log_ratios().sum(0).mean()
        return torch.stack([terms.log_ratios().sum(0) for terms in passes]).mean()
