"""The informative objective of Li et al. 2022."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skood.core.noise import Noise
from skood.core.protocols import Network, Progress
from skood.objectives._elbo import ELBO
from skood.objectives.schedules import linear_warmup

__all__ = ["InformativeELBO"]


class InformativeELBO(BaseEstimator):
    """Every layer must rebuild x by itself: keeps the top layers of a hierarchy alive.

    The loss of a row is ``-sum_k w_k log p(x | z>k) + beta sum_l KL_l`` over k = 0 to L - 1, the
    layers below being samples of the prior.

    Notes
    -----
    Li et al. 2022, eq. 10.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "weight": [StrOptions({"sum", "mean", "bounds"})],
        "warmup": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self, *, weight: str = "sum", warmup: float = 0.0, free_bits=0.0, prior_mean=False
    ):
        self.weight = weight
        self.warmup = warmup
        self.free_bits = free_bits
        self.prior_mean = prior_mean

    def __call__(self, network: Network, x: Tensor, noise: Noise, progress: Progress) -> Tensor:
        """Loss of a batch, nats per row; see the class."""
        noise = noise.pinned()
        L = max(1, network.n_layers)
        passes = [network.terms(x, noise, range(1, k + 1), self.prior_mean) for k in range(L)]
        beta = linear_warmup(progress, self.warmup)
        if self.weight == "bounds":
            elbo = ELBO(free_bits=self.free_bits)
            return sum(-t.log_px.mean() + beta * elbo.regularisation(t) for t in passes) / L
        log_px = torch.stack([t.log_px for t in passes]).mean(1)
        w = 1.0 if self.weight == "sum" else 1 / L
        return -w * log_px.sum() + beta * ELBO(free_bits=self.free_bits).regularisation(passes[0])
