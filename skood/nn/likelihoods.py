"""Distributions of x given the last features of a network.

A likelihood knows the scale of the data (bytes stay 0 to 255 up to here), what the encoder should
see of it, and how many parameters each value needs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skood.core.noise import Noise

__all__ = [
    "Bernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Gaussian",
    "Likelihood",
]


class Likelihood(nn.Module):
    """Base of the likelihoods.

    Attributes
    ----------
    parameters_per_value : int
        Channels of the parameters for each channel of x.
    max_log_px : float
        Largest value that log p(x | z) can take for one row, nats.
    """

    parameters_per_value = 1
    max_log_px = 0.0

    def n_parameters(self, n_channels: int) -> int:
        """Channels of the parameters for x of ``n_channels``, or features."""
        return self.parameters_per_value * n_channels

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        """What is modelled, from x on the scale of the data: shape of x; ``noise`` may enter."""
        raise NotImplementedError

    def encode(self, observed: Tensor) -> Tensor:
        """What the encoder sees: about zero mean and unit scale, shape of x."""
        raise NotImplementedError

    def forward(self, observed: Tensor, parameters: Tensor) -> Tensor:
        """`log_prob`, as a call that hooks can see."""
        return self.log_prob(observed, parameters)

    def log_prob(self, observed: Tensor, parameters: Tensor) -> Tensor:
        """log p(x | z) of each row, shape (n,), nats."""
        return self.log_prob_of_values(observed, parameters).flatten(1).sum(1)

    def log_prob_of_values(self, observed: Tensor, parameters: Tensor) -> Tensor:
        """Its terms, nats: shape of x, or one channel where those of a pixel have no terms apart.

        Not all likelihoods have them.
        """
        raise NotImplementedError

    def mean(self, parameters: Tensor) -> Tensor:
        """Mean of x, on the scale of the data."""
        raise NotImplementedError

    def sample(self, parameters: Tensor, noise: Noise) -> Tensor:
        """Draw x, on the scale of the data."""
        raise NotImplementedError


class Bernoulli(Likelihood):
    """Black or white pixels; grey ones are binarised at random, anew at each pass in training.

    Parameters
    ----------
    scale : float
        Value of white: 255 for bytes, 1 for pixels in [0, 1].

    Notes
    -----
    Dynamic binarisation (Salakhutdinov & Murray 2008). In scoring the noise is shared: all bounds
    of a row, and all rows, are binarised with one and the same draw.
    """

    def __init__(self, scale: float):
        super().__init__()
        self.scale = scale

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        return (x / self.scale > noise.dither(x.shape)).to(x.dtype)

    def encode(self, observed: Tensor) -> Tensor:
        return 2 * observed - 1

    def log_prob_of_values(self, observed: Tensor, parameters: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(parameters, observed, reduction="none")

    def mean(self, parameters: Tensor) -> Tensor:
        return self.scale * parameters.sigmoid()

    def sample(self, parameters: Tensor, noise: Noise) -> Tensor:
        uniform = noise.uniform("sample", parameters.shape)
        return self.scale * (parameters.sigmoid() > uniform).float()


class Gaussian(Likelihood):
    """Real values, standardised inside, with one learned standard deviation per feature.

    Parameters
    ----------
    loc, scale : Tensor
        Mean and standard deviation of the training data, float64: shape (features,) for tables,
        (1, 1, 1) for images.
    n_values : int
        Values in one row.
    """

    # A network can overfit a feature with few different values and drive its standard deviation to
    # zero; one such value in a fresh row would then cost thousands of nats.
    smallest_std = 0.1
    # An Adam step moves a parameter by about the learning rate, whatever its gradient: at 1e-3 it
    # would take thousands of steps to learn that one feature nearly follows from the others.
    log_std_speed = 10.0
    # Standardised values beyond this count as this. Squares stay finite in float32.
    largest_value = 1e4

    def __init__(self, loc: Tensor, scale: Tensor, n_values: int):
        super().__init__()
        self.loc: Tensor
        self.scale: Tensor
        self.register_buffer("loc", loc)
        self.register_buffer("scale", scale)
        self.raw_log_std = nn.Parameter(torch.zeros(loc.shape))
        self.values_per_std = n_values // loc.numel()

    def std(self) -> Tensor:
        """Learned standard deviation of the standardised values, shape of ``loc``."""
        return torch.exp(self.log_std_speed * self.raw_log_std).clamp(self.smallest_std, 10.0)

    @property
    def max_log_px(self) -> float:  # type: ignore[override]
        """Density at the mean, which is largest."""
        return self._log_peak().item()

    def _log_peak(self) -> Tensor:
        return self.values_per_std * self._log_peak_of_values().double().sum()

    def _log_peak_of_values(self) -> Tensor:
        return -(self.std().log() + self.scale.log() + 0.5 * math.log(2 * math.pi))

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        return ((x - self.loc) / self.scale).clamp(-self.largest_value, self.largest_value)

    def encode(self, observed: Tensor) -> Tensor:
        return observed

    def log_prob(self, observed: Tensor, parameters: Tensor) -> Tensor:
        # The peak of a row, the same for all, is added up in double precision.
        squares = ((observed - parameters) / self.std()).square().flatten(1).sum(1)
        return self._log_peak().to(squares.dtype) - 0.5 * squares

    def log_prob_of_values(self, observed: Tensor, parameters: Tensor) -> Tensor:
        squares = ((observed - parameters) / self.std()).square()
        return self._log_peak_of_values().to(squares.dtype) - 0.5 * squares

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters * self.scale + self.loc

    def sample(self, parameters: Tensor, noise: Noise) -> Tensor:
        return self.mean(parameters + self.std() * noise.normal("sample", parameters.shape))


class DiscretizedLogistic(Likelihood):
    """256 levels: the mass of a logistic distribution in each bin.

    Parameters
    ----------
    scale : float
        Value of white: 255 for bytes, 1 for pixels in [0, 1] (then rounded to 256 levels).

    Notes
    -----
    Kingma et al. 2016; Salimans et al. 2017, eq. 2, with one component. The outermost bins reach
    to infinity.
    """

    parameters_per_value = 2

    def __init__(self, scale: float):
        super().__init__()
        self.scale = scale

    def observe(self, x: Tensor, noise: Noise) -> Tensor:
        return (x * (255 / self.scale)).round().clamp(0, 255) / 127.5 - 1

    def encode(self, observed: Tensor) -> Tensor:
        return 2 * observed

    def log_prob_of_values(self, observed: Tensor, parameters: Tensor) -> Tensor:
        mean, raw = parameters.chunk(2, dim=1)
        return _log_mass(observed, mean, _log_scale(raw))

    def mean(self, parameters: Tensor) -> Tensor:
        return (parameters.chunk(2, dim=1)[0].clamp(-1, 1) + 1) / 2 * self.scale

    def sample(self, parameters: Tensor, noise: Noise) -> Tensor:
        mean, raw = parameters.chunk(2, dim=1)
        uniform = noise.uniform("sample", mean.shape).clamp(1e-5, 1 - 1e-5)
        x = mean + torch.exp(_log_scale(raw)) * uniform.logit()
        return ((x.clamp(-1, 1) + 1) * 127.5).round() * (self.scale / 255)


class DiscretizedLogisticMixture(DiscretizedLogistic):
    """256 levels: a mixture of logistic distributions for each pixel, all its channels together.

    Within a component, the mean of each channel is linear in the channels before it.

    Notes
    -----
    Salimans et al. 2017, section 2.1 and eq. 3, with ten components, for any number of channels c:
    a pixel has 10 (1 + 2 c + c (c - 1) / 2) parameters, 100 for c = 3.
    """

    n_components = 10

    def n_parameters(self, n_channels: int) -> int:
        n_coefficients = n_channels * (n_channels - 1) // 2
        return self.n_components * (1 + 2 * n_channels + n_coefficients)

    def log_prob_of_values(self, observed: Tensor, parameters: Tensor) -> Tensor:
        logits, means, log_scales, coefficients = self._split(parameters, observed.shape[1])
        x = observed[:, :, None]
        total = torch.log_softmax(logits, dim=1)
        for channel in range(observed.shape[1]):
            mean = self._mean(means, coefficients, x, channel)
            total = total + _log_mass(x[:, channel], mean, log_scales[:, channel])
        return torch.logsumexp(total, dim=1, keepdim=True)

    def mean(self, parameters: Tensor) -> Tensor:
        n_channels = self._n_channels(parameters)
        logits, means, _, coefficients = self._split(parameters, n_channels)
        x = means  # each component's own mean takes the place of the channels before
        for channel in range(n_channels):
            mean = self._mean(means, coefficients, x, channel).clamp(-1, 1)
            x = torch.cat([x[:, :channel], mean[:, None], x[:, channel + 1 :]], dim=1)
        mean = (torch.softmax(logits, dim=1)[:, None] * x).sum(2)
        return (mean + 1) / 2 * self.scale

    def sample(self, parameters: Tensor, noise: Noise) -> Tensor:
        n_channels = self._n_channels(parameters)
        logits, means, log_scales, coefficients = self._split(parameters, n_channels)
        uniform = noise.uniform("component", logits.shape).clamp(1e-7, 1 - 1e-7)
        chosen = (logits - torch.log(-torch.log(uniform))).argmax(1, keepdim=True)
        uniform = noise.uniform("sample", means[:, :, 0].shape).clamp(1e-5, 1 - 1e-5)
        x = means.new_zeros(uniform.shape)[:, :, None]
        for channel in range(n_channels):
            mean = self._mean(means, coefficients, x, channel).gather(1, chosen)[:, 0]
            scale = log_scales[:, channel].gather(1, chosen)[:, 0].exp()
            value = (mean + scale * uniform[:, channel].logit()).clamp(-1, 1)
            x[:, channel, 0] = ((value + 1) * 127.5).round() / 127.5 - 1
        # Rounded once more: 99.99999 would become 99 in bytes.
        return ((x[:, :, 0] + 1) * 127.5).round() * (self.scale / 255)

    def _n_channels(self, parameters: Tensor) -> int:
        n_parameters = parameters.shape[1]
        return next(c for c in range(1, n_parameters) if self.n_parameters(c) == n_parameters)

    def _split(self, parameters: Tensor, n_channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits (n, K, ...), and means, log scales, coefficients, each (n, channels, K, ...)."""
        shape = parameters.shape
        per_pixel = parameters.reshape(shape[0], -1, self.n_components, *shape[2:])
        logits, means = per_pixel[:, 0], per_pixel[:, 1 : 1 + n_channels]
        raw = per_pixel[:, 1 + n_channels : 1 + 2 * n_channels]
        return logits, means, _log_scale(raw), torch.tanh(per_pixel[:, 1 + 2 * n_channels :])

    @staticmethod
    def _mean(means: Tensor, coefficients: Tensor, x: Tensor, channel: int) -> Tensor:
        """Mean of one channel given those before it in x, shape (n, K, ...)."""
        mean = means[:, channel]
        first = channel * (channel - 1) // 2
        for before in range(channel):
            mean = mean + coefficients[:, first + before] * x[:, before]
        return mean


def _log_mass(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log of the mass of a logistic distribution in the bin of 1/127.5 around x in [-1, 1]."""
    inverse_scale = torch.exp(-log_scale)
    upper = (x - mean + 1 / 255) * inverse_scale
    lower = (x - mean - 1 / 255) * inverse_scale
    log_cdf, log_survival = F.logsigmoid(upper), F.logsigmoid(-lower)
    # log(sigmoid(upper) - sigmoid(lower)) without cancellation in either tail. The width of a bin
    # is known; upper - lower would lose it beside a large mean.
    inside = log_cdf + log_survival + torch.log(-torch.expm1(-2 / 255 * inverse_scale))
    log_mass = torch.where(x < -0.999, log_cdf, inside)
    return torch.where(x > 0.999, log_survival, log_mass)


def _log_scale(raw: Tensor) -> Tensor:
    # Raw zeros start at a standard deviation of a quarter of the range; the floor is far
    # narrower than a bin, and the ceiling far wider than the range.
    return (raw - 2).clamp(min=-7, max=50)
