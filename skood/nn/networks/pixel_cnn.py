"""The network of a PixelCNN: the distribution of each pixel given those before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skood.core.noise import Noise
from skood.core.terms import Terms
from skood.nn.causal import HorizontalStack, VerticalStack
from skood.nn.layers import Shape
from skood.nn.likelihoods import Likelihood

__all__ = ["PixelCNNNetwork"]


class PixelCNNNetwork(nn.Module):
    """A `skood.core.protocols.DensityNetwork`: the likelihood in one pass, samples by pixels.

    Parameters
    ----------
    x_shape : tuple of int
        (channels, height, width); or (features,), a row of a table, which is a line of pixels here.
    likelihood : Likelihood
        Of a pixel with its channels, given features of those before it.
    width : int
        Channels of the features.
    n_layers : int
        Of each of the two stacks.
    """

    def __init__(self, x_shape: Shape, likelihood: Likelihood, *, width: int, n_layers: int):
        super().__init__()
        self.x_shape = x_shape
        self.is_table = len(x_shape) == 1
        self.likelihood = likelihood
        n_channels, *sides = (1, 1, *x_shape) if self.is_table else x_shape
        self.vertical = VerticalStack(n_channels, sides, width, n_layers)
        self.horizontal = HorizontalStack(n_channels, width, n_layers)
        n_parameters = likelihood.n_parameters(n_channels)
        self.output = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, n_parameters, 1)
        )

    def terms(self, x: Tensor, noise: Noise) -> Terms:
        observed = self._observe(x, noise)
        return Terms(self.likelihood(observed, self(observed)))

    def log_px_map(self, x: Tensor, noise: Noise) -> Tensor:
        """The terms of log p(x): (n, height, width), one for each pixel, or (n, features)."""
        observed = self._observe(x, noise)
        terms = self.likelihood.log_prob_of_values(observed, self(observed))
        return terms if self.is_table else terms.sum(1)

    @torch.no_grad()
    def sample(self, n: int, noise: Noise) -> Tensor:
        weights = next(self.parameters())
        # Real values may have digits that only double precision holds.
        x = torch.zeros(n, *self.x_shape, dtype=torch.float64, device=weights.device)
        pixels = self._as_image(x)
        for i in range(pixels.shape[2]):
            above = self.vertical(self._encoded(pixels[:, :, : i + 1], noise))
            above = [features[:, :, i:] for features in above]
            for j in range(pixels.shape[3]):
                line = self._encoded(pixels[:, :, i : i + 1], noise)
                parameters = self.output(self.horizontal(line, above))
                place = noise.fork(i * pixels.shape[3] + j)
                drawn = self.likelihood.sample(self._as_rows(parameters), place)
                pixels[:, :, i, j] = self._as_image(drawn)[:, :, 0, j]
        return x

    def forward(self, observed: Tensor) -> Tensor:
        """Parameters of each pixel's distribution, as the likelihood takes them."""
        image = self._as_image(self.likelihood.encode(observed))
        return self._as_rows(self.output(self.horizontal(image, self.vertical(image))))

    def _observe(self, x: Tensor, noise: Noise) -> Tensor:
        return self.likelihood.observe(x, noise).to(next(self.parameters()).dtype)

    def _encoded(self, pixels: Tensor, noise: Noise) -> Tensor:
        """What the stacks see of some lines of pixels that were drawn."""
        observed = self._observe(self._as_rows(pixels), noise)
        return self._as_image(self.likelihood.encode(observed))

    def _as_image(self, x: Tensor) -> Tensor:
        return x[:, None, None] if self.is_table else x

    def _as_rows(self, image: Tensor) -> Tensor:
        return image.flatten(1) if self.is_table else image
