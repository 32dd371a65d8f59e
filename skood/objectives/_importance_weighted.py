"""The importance-weighted objective of Burda et al. 2016."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skood.core.noise import Noise
from skood.core.protocols import DensityNetwork, Progress

__all__ = ["ImportanceWeightedELBO"]


class ImportanceWeightedELBO(BaseEstimator):
    """Minimise the negative importance-weighted bound, tighter than that of `ELBO`.

    The loss of a row is ``-log mean_s exp(log w_s)`` with ``w = p(x, z) / q(z | x)``.

    Parameters
    ----------
    n_samples : int, default=5
        Samples of the latent variables; a step takes so many times as long. 1 is `ELBO` without
        free bits and warm-up.

    Notes
    -----
    Burda et al. 2016, eq. 8. All samples of a row see one and the same x, also where pixels are
    binarised at random.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, *, n_samples: int = 5):
        self.n_samples = n_samples

    def check(self, n_layers: int) -> None:
        """Raise ValueError for a parameter out of its range."""
        self._validate_params()

    def __call__(self, network: DensityNetwork, x: Tensor, noise: Noise, progress: Progress) -> Tensor:
        """Loss of a batch, nats per row; see the class."""
        noise = noise.pinned()
        weights = [network.terms(x, noise.sample(s)).log_weight for s in range(self.n_samples)]
        bound = torch.logsumexp(torch.stack(weights), dim=0) - math.log(self.n_samples)
        return -bound.mean()
