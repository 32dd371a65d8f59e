"""The informative objective of Li et al. 2022."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, cast

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skood.core.noise import Noise
from skood.core.protocols import LatentNetwork, Network, Progress
from skood.core.terms import Terms
from skood.objectives.schedules import linear_warmup

__all__ = ["InformativeELBO"]


class InformativeELBO(BaseEstimator):
    """Every layer must rebuild x without those below it: keeps the top of a hierarchy alive.

    The loss of a row is minus the mean of the bounds L>k over k = 0, ..., L - 1: besides x from all
    layers it asks for x from the layers above k only, those below coming from the prior. There are
    no free bits.

    Parameters
    ----------
    n_bounds : int or "all", default=1
        How many of the L bounds a step takes, drawn at random; their mean is an unbiased estimate
        of the whole, at a fraction of the time. "all" is the paper's.
    divergences : {"each", "printed"}, default="each"
        ``"each"``: every reconstruction pays for the layers that it uses, so that the mean is over
        the bounds L>k themselves. ``"printed"`` is eq. 10 to the letter: the L reconstructions are
        averaged, while every layer's divergence counts once. It needs ``n_bounds="all"``.
    below : {"mean", "sample"}, default="mean"
        Whether the layers up to k are the prior's mean, as in the scores, or samples of it, as in
        eq. 10.
    warmup : float in [0, 1], default=0.1
        Part of the planned training over which the weight of the divergences rises to 1; 0 is the
        paper's. With top-down inference (`LadderVAE`, `SeReVAE`) the lowest layers may die with
        or without it, see docs/results.md: take `ELBO` there.

    Notes
    -----
    Li et al. 2022, eq. 10; with one layer it is the ordinary bound. As printed, layer l takes part
    in l of the L reconstructions, each of weight 1/L, but pays for its divergence in full, which is
    a beta of L/l: the lowest layer is squeezed out, and with it the ratios. With samples below, the
    decoder learns besides to ignore the lowest layers, whose samples disturb L - 1 of the L
    reconstructions. Two defaults undo one each; docs/results.md has the experiment. All passes for
    a row share their noise, and see the same binarised x.
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
        """Raise ValueError for a parameter out of its range."""
        self._validate_params()
        if self.divergences == "printed" and self.n_bounds != "all":
            raise ValueError(
                f"divergences='printed' needs all bounds; got n_bounds={self.n_bounds!r}. Use "
                "n_bounds='all'."
            )

    def __call__(self, network: DensityNetwork, x: Tensor, noise: Noise, progress: Progress) -> Tensor:
        """Loss of a batch, nats per row; see the class."""
        noise = noise.pinned()
        n_bounds = network.n_layers if isinstance(network, LatentNetwork) else 1
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
