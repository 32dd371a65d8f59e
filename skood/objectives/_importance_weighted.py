"""The importance-weighted bound as an objective."""

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
    """Negative importance-weighted bound, tighter than the evidence lower bound.

    The loss of a row is ``-log mean_s w_s`` with the weights ``w_s = p(x, z_s) / q(z_s | x)`` of S
    independent samples z_s of q.

    More samples bring the bound nearer to log p(x), so the model is chosen by its likelihood and
    less by how well q fits; the price is S passes a step. The approximate posterior is trained the
    worse for it: the signal-to-noise ratio of its gradients falls as S grows (Rainforth et al.,
    "Tighter Variational Bounds are Not Necessarily Better", ICML 2018, arXiv:1802.04537). There are
    no free bits and no warm-up, so upper layers of a hierarchy may collapse: take `ELBO` for
    likelihood ratios.

    Parameters
    ----------
    n_samples : int, default=5
        Number S of samples of the latent variables; a step takes so many times as long. 1 is `ELBO`
        without free bits and warm-up.

    See Also
    --------
    skood.scores.bounds.importance_weighted_bound : The same bound of given weights, for scoring.

    Notes
    -----
    Y. Burda, R. Grosse, R. Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016,
    arXiv:1509.00519, eq. 8. All samples of a row see one and the same x, also where pixels are
    binarised at random.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import VAE, ImportanceWeightedELBO
    >>> X = np.random.default_rng(0).normal(size=(100, 5))
    >>> objective = ImportanceWeightedELBO(n_samples=3)
    >>> model = VAE(objective=objective, max_epochs=2, random_state=0).fit(X)
    >>> model.score_samples(X[:3]).shape
    (3,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, *, n_samples: int = 5):
        self.n_samples = n_samples

    def check(self, n_layers: int) -> None:
        """Validate the parameters; any number of latent layers will do.

        Raises
        ------
        ValueError
            If ``n_samples`` is no positive integer.
        """
        self._validate_params()

    def __call__(
        self, network: DensityNetwork, x: Tensor, noise: Noise, progress: Progress
    ) -> Tensor:
        """Loss of a batch x of shape (n, ...): a scalar, nats per row."""
        noise = noise.pinned()
        weights = [network.terms(x, noise.fork(s)).log_weight for s in range(self.n_samples)]
        bound = torch.logsumexp(torch.stack(weights), dim=0) - math.log(self.n_samples)
        return -bound.mean()
