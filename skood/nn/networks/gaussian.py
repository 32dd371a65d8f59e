"""The network of a Gaussian: a flow with one linear map, whose scores are known in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skood.nn.bijections.principal_axes import PrincipalAxes
from skood.nn.dequantization import Coordinates
from skood.nn.layers import Shape
from skood.nn.networks.flow import FlowNetwork

__all__ = ["GaussianNetwork", "ScoreNorms"]


class GaussianNetwork(FlowNetwork):
    """Gaussian in real coordinates; also a `skood.core.protocols.ScoreNetwork`.

    Parameters
    ----------
    x_shape : tuple of int
        (features,) or (channels, height, width).
    coordinates : Coordinates
    n_values : int
        Numbers in a row.
    """

    bijection: PrincipalAxes

    def __init__(self, x_shape: Shape, coordinates: Coordinates, n_values: int):
        super().__init__(x_shape, coordinates, PrincipalAxes(n_values), "normal")

    def inverse(self, epsilon: Tensor) -> Tensor:
        y: Tensor = self.bijection.inverse(epsilon)
        return self.coordinates.inverse(y.reshape(y.shape[0], *self.x_shape))

    def score_norms(self, x: Tensor, noise_levels: Sequence[float]) -> Tensor:
        """As in the protocol: the density with noise of level sigma is N(mean, C + sigma^2 I).

        Along a principal axis of variance v, at distance z from the mean, its score is
        -z / (v + s^2).
        """
        y = self.coordinates.standardize(x).to(self.bijection.mean.dtype)
        z = self.bijection.project(y).double()
        variances = (2 * self.bijection.log_std.double()).exp()
        scores = [level * z / (variances + level**2) for level in noise_levels]
        return torch.stack([torch.linalg.vector_norm(score, dim=1) for score in scores])


class ScoreNorms(nn.Module):
    """`skood.core.protocols.ScoreNetwork.score_norms` as a module.

    Parameters
    ----------
    network : GaussianNetwork
    noise_levels : sequence of positive floats
    """

    def __init__(self, network: nn.Module, noise_levels: Sequence[float]):
        super().__init__()
        self.network: Any = network
        self.noise_levels = tuple(noise_levels)

    def forward(self, x: Tensor) -> Tensor:
        """Norms of each row, (n, n_levels), float64."""
        return self.network.score_norms(x, self.noise_levels).mT
