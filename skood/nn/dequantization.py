"""From the values of the data to real coordinates, in which a flow has a density, and back."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from skood.nn.bijections.base import Bijection

__all__ = ["Coordinates", "DequantizedPixels", "StandardizedReals"]


class Coordinates(Bijection):
    """Base of the maps from x, on the scale of the data, to coordinates of about unit variance.

    The context is the `Noise` of the pass.

    Parameters
    ----------
    loc, scale : Tensor
        Mean and standard deviation of the training data, float64: shape (features,) for tables,
        (1, 1, 1) for images.
    """

    def __init__(self, loc: Tensor, scale: Tensor):
        super().__init__()
        self.loc: Tensor
        self.scale: Tensor
        self.register_buffer("loc", loc)
        self.register_buffer("scale", scale)

    @property
    def max_log_px(self) -> float:
        """Largest log-likelihood that a row can have, nats."""
        raise NotImplementedError

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise that training adds to each coordinate."""
        raise NotImplementedError

    def standardize(self, x: Tensor) -> Tensor:
        """Coordinates of x itself, without noise."""
        raise NotImplementedError

    def _log_det(self, x: Tensor, per_value: float = 0.0) -> Tensor:
        """log |dy / dx| of each row, in the type of x; ``per_value`` is added for each value."""
        n_values = x[0].numel()
        log_det = -self.scale.log().sum() * n_values / self.scale.numel() + n_values * per_value
        return log_det.to(x.dtype).expand(x.shape[0])


class DequantizedPixels(Coordinates):
    """Pixels of 256 levels, to each of which a random number in [0, 1) is added.

    The mean log-density of the sums is a lower bound of the log-probability of the levels (Theis et
    al. 2016), so it can be compared with that of a discrete likelihood. In scoring the random
    numbers are the same for all rows and calls.

    Parameters
    ----------
    loc, scale : Tensor
        As in `Coordinates`.
    white : float
        Value of white: 255 for bytes, 1 for pixels in [0, 1].
    """

    max_log_px = 0.0

    def __init__(self, loc: Tensor, scale: Tensor, white: float):
        super().__init__(loc, scale)
        self.white = white

    @property
    def noise_std(self) -> float:
        return self.white / 255 / self.scale.item() / math.sqrt(12)

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        # Not quite 0 or 1: the way back rounds down, and single precision must find the level.
        fraction = context.dither(x.shape).clamp(1e-3, 1 - 1e-3)
        y = self._with_fraction(x, fraction)
        return y, self._log_det(y, math.log(self.white / 255))

    def standardize(self, x: Tensor) -> Tensor:
        return self._with_fraction(x, 0.5)

    def _with_fraction(self, x: Tensor, fraction: Tensor | float) -> Tensor:
        y = (x + self.white / 255 * fraction - self.loc) / self.scale
        return y.to(x.dtype)

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        levels = ((y * self.scale + self.loc) * (255 / self.white)).floor()
        return levels.clamp(0, 255) * (self.white / 255)


class StandardizedReals(Coordinates):
    """Standardised real values; in training a little noise is added.

    Without it the density of a feature with few different values, or of one that follows from the
    others, is not bounded, and would dominate the likelihood.
    """

    max_log_px = math.inf
    noise_std = 0.05
    # Standardised values beyond this count as this. Squares stay finite in float32.
    largest_value = 1e4

    def forward(self, x: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        y = self.standardize(x)
        if self.training:
            y = y + self.noise_std * context.normal("smoothing", y.shape)
        return y, self._log_det(y)

    def standardize(self, x: Tensor) -> Tensor:
        return ((x - self.loc) / self.scale).clamp(-self.largest_value, self.largest_value)

    def inverse(self, y: Tensor, context: Any = None) -> Tensor:
        return y * self.scale + self.loc
