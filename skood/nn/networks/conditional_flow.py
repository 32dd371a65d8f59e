"""p(x | z) as a flow: residual Gaussian base variables, and transforms conditioned on z."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skood.core.noise import Noise
from skood.nn.bijections.autoregressive import Autoregressive, alternating_order
from skood.nn.bijections.base import Bijection
from skood.nn.bijections.rank_one import RankOneParameters, RankOneStandardization
from skood.nn.dequantization import Coordinates, StandardizedReals
from skood.nn.encoders import mlp
from skood.nn.layers import Shape
from skood.nn.likelihoods import Likelihood

__all__ = ["ConditionalFlow", "ResidualConditioner"]


class ResidualConditioner(nn.Module):
    """Parameters of Gaussian base variables, corrected layer by layer from the top down.

    Parameters
    ----------
    n_values : int
        Base variables, D.
    dims : sequence of int
        Units of each latent layer, layer 1 first.
    width : int

    Notes
    -----
    gamma_l = r_l(h_l(gamma_l+1), z_l) + gamma_l+1, beginning with r_L(z_L); gamma_1 gives mean,
    diagonal and direction (Self-Reflective Variational Autoencoder, section 4.2 and figure 5a).
    The features h_l are 20.
    """

    def __init__(self, n_values: int, dims: Sequence[int], width: int):
        super().__init__()
        n_parameters = 3 * n_values
        *lower, top = dims
        self.features = nn.ModuleList(mlp(n_parameters, width, 20) for _ in lower)
        self.residuals = nn.ModuleList(mlp(20 + dim, width, n_parameters) for dim in lower)
        self.top = mlp(top, width, n_parameters)

    def forward(self, latents: Sequence[Tensor]) -> RankOneParameters:
        """From the latents of each layer, (n, units)."""
        *lower, top = latents
        gamma = self.top(top)
        for z, features, residual in reversed(
            list(zip(lower, self.features, self.residuals, strict=True))
        ):
            gamma = gamma + residual(torch.cat([features(gamma), z], dim=1))
        loc, raw, direction = gamma.chunk(3, dim=1)
        diagonal = F.softplus(raw, beta=math.log(2)).clamp(min=1e-3)  # raw zeros give 1
        return RankOneParameters(loc, diagonal, direction)


class ConditionalFlow(Likelihood):
    """Likelihood whose "parameters" are the latents themselves, side by side, layer 1 first.

    Parameters
    ----------
    x_shape : tuple of int
    coordinates : Coordinates
        The flow is one of its coordinates.
    dims : sequence of int
        Units of each latent layer, layer 1 first.
    n_transforms, width : int
        Each transform has an affine `Autoregressive` for each latent layer; on the way to x those
        of the top come first.
    """

    def __init__(
        self,
        x_shape: Shape,
        coordinates: Coordinates,
        dims: Sequence[int],
        *,
        n_transforms: int,
        width: int,
    ):
        super().__init__()
        self.x_shape, self.dims = x_shape, tuple(dims)
        self.coordinates = coordinates
        n_values = math.prod(x_shape)
        self.base = RankOneStandardization(ResidualConditioner(n_values, dims, width))
        self.transforms = nn.ModuleList(
            Autoregressive(
                alternating_order(n_values, i),
                "affine",
                width=width,
                n_hidden_layers=2,
                n_context=self.dims[i % len(dims)],
            )
            for i in range(n_transforms * len(dims))
        )
        # The same for all x.
        _, log_det = coordinates(torch.zeros(1, *x_shape, dtype=torch.float64), Noise(0))
        self.log_det_of_coordinates = log_det.item()

    @property
    def max_log_px(self) -> float:  # type: ignore[override]
        """0 for pixels; for real values that of data smoothed by the noise of training.

        The density of such data is nowhere larger than that of the noise at 0, although that of a
        flow has no limit.
        """
        if not isinstance(self.coordinates, StandardizedReals):
            return self.coordinates.max_log_px
        log_peak = -math.log(self.coordinates.noise_std) - 0.5 * math.log(2 * math.pi)
        return self.log_det_of_coordinates + math.prod(self.x_shape) * log_peak

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        return self.coordinates(x, noise)[0]

    def encode(self, observed: Tensor) -> Tensor:
        return observed

    def log_prob(self, observed: Tensor, parameters: Tensor) -> Tensor:
        y, total = observed.flatten(1), self.log_det_of_coordinates
        for bijection, context in self._conditioned(parameters):
            y, log_det = bijection(y, context)
            total = total + log_det
        return total - 0.5 * (y.square() + math.log(2 * math.pi)).sum(1)

    def mean(self, parameters: Tensor) -> Tensor:
        """The mean of the base variables, through the inverse of the flow: not the mean of x."""
        return self._from_normal(parameters.new_zeros(self._shape(parameters)), parameters)

    def sample(self, parameters: Tensor, noise: Noise) -> Tensor:
        epsilon = noise.normal("sample", self._shape(parameters)).to(parameters)
        return self._from_normal(epsilon, parameters)

    def _from_normal(self, epsilon: Tensor, parameters: Tensor) -> Tensor:
        """x on the scale of the data, from values that are standard normal under the model."""
        y = epsilon
        for bijection, context in reversed(list(self._conditioned(parameters))):
            y = bijection.inverse(y, context)
        return self.coordinates.inverse(y.reshape(-1, *self.x_shape))

    def _shape(self, parameters: Tensor) -> Shape:
        return len(parameters), math.prod(self.x_shape)

    def _conditioned(self, parameters: Tensor) -> Iterator[tuple[Bijection, Any]]:
        """The bijections from coordinates to standard normal values, each with its context."""
        latents = parameters.split(self.dims, dim=1)
        for i, transform in enumerate(self.transforms):
            yield transform, latents[i % len(latents)]  # type: ignore[misc]
        yield self.base, latents
