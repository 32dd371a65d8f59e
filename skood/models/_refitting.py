"""Posteriors that are fitted to each row alone, in place of those that the encoder gives."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Normal

from skood.core.modes import own_modes
from skood.core.noise import Noise
from skood.core.protocols import LatentNetwork
from skood.scores.bounds import importance_weighted_bound
from skood.training.optimizers import Adam

__all__ = ["refit_posteriors", "refitted_bounds_of_batch"]


def refitted_bounds_of_batch(
    network: nn.Module,
    x: Tensor,
    *,
    noise: Noise,
    n_steps: int,
    learning_rate: float,
    n_samples: int,
) -> NDArray[np.float64]:
    """Bound of each row under the posterior fitted to it, shape (n,), nats."""
    latent = cast(LatentNetwork, network)
    with own_modes(grad=True):
        x = x.clone()  # autograd may not keep tensors made in inference mode
        posteriors = refit_posteriors(latent, x, noise, n_steps, learning_rate)
    with own_modes(grad=False):
        terms = (latent.terms_under(posteriors, x, noise.fork(i)) for i in range(n_samples))
        log_weights = torch.stack([each.log_weight for each in terms])
    return importance_weighted_bound(log_weights.double().cpu().numpy())


def refit_posteriors(
    network: LatentNetwork, x: Tensor, noise: Noise, n_steps: int, learning_rate: float
) -> dict[str, Normal]:
    """The posterior of each row that `LatentNetwork.infer_posteriors` leads to by gradient ascent.

    The loss is the sum over rows, and Adam treats each number alone, so no row sees another.

    Parameters
    ----------
    network : LatentNetwork
    x : Tensor of shape (n, ...)
    noise : Noise
        Shared by the rows; the steps see other forks of it than the importance samples do.
    n_steps : int
    learning_rate : float
    """
    leaves = _Leaves(network.infer_posteriors(x, noise))
    optimizer = Adam(leaves.parameters(), learning_rate)
    of_steps = noise.fork(0)
    for step in range(n_steps):
        bound = network.terms_under(leaves.posteriors(), x, of_steps.fork(step)).log_weight.sum()
        gradients = torch.autograd.grad(-bound, leaves.parameters())
        for leaf, gradient in zip(leaves.parameters(), gradients, strict=True):
            leaf.grad = gradient
        optimizer.step()
    return leaves.posteriors()


class _Leaves:
    """Means and logarithms of the standard deviations of Gaussians, for gradients."""

    def __init__(self, posteriors: dict[str, Normal]):
        self.means = {name: self._leaf(q.mean) for name, q in posteriors.items()}
        self.log_stds = {name: self._leaf(q.stddev.log()) for name, q in posteriors.items()}

    @staticmethod
    def _leaf(values: Tensor) -> Tensor:
        return values.detach().clone().requires_grad_()

    def parameters(self) -> list[Tensor]:
        return [*self.means.values(), *self.log_stds.values()]

    def posteriors(self) -> dict[str, Normal]:
        return {
            name: Normal(mean, self.log_stds[name].exp(), validate_args=False)
            for name, mean in self.means.items()
        }
