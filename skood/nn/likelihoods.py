"""Distributions of x given the last features of a network.

A likelihood knows the scale of the data (bytes stay 0 to 255 up to here), what the encoder should
see of it, and how many parameters each value needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

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

_Maps = tuple[Tensor, ...]


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
        x = observed[:, :, None].unbind(1)
        total = torch.log_softmax(logits, dim=1)
        for channel, (value, log_scale) in enumerate(zip(x, log_scales, strict=True)):
            mean = self._mean(means, coefficients, x, channel)
            total = total + _log_mass(value, mean, log_scale)
        return torch.logsumexp(total, dim=1, keepdim=True)

    def mean(self, parameters: Tensor) -> Tensor:
        logits, means, _, coefficients = self._split(parameters, self._n_channels(parameters))
        x: list[Tensor] = []  # of each component, whose own mean is that of the channels before
        for channel in range(len(means)):
            x.append(self._mean(means, coefficients, x, channel).clamp(-1, 1))
        mean = (torch.softmax(logits, dim=1)[:, None] * torch.stack(x, dim=1)).sum(2)
        return (mean + 1) / 2 * self.scale

    def sample(self, parameters: Tensor, noise: Noise) -> Tensor:
        n_channels = self._n_channels(parameters)
        logits, means, log_scales, coefficients = self._split(parameters, n_channels)
        uniform = noise.uniform("component", logits.shape).clamp(1e-7, 1 - 1e-7)
        chosen = (logits - torch.log(-torch.log(uniform))).argmax(1, keepdim=True)
        shape = (len(logits), n_channels, *logits.shape[2:])
        uniform = noise.uniform("sample", shape).clamp(1e-5, 1 - 1e-5)
        x: list[Tensor] = []
        for channel, log_scale in enumerate(log_scales):
            mean = self._mean(means, coefficients, x, channel).gather(1, chosen)
            scale = log_scale.gather(1, chosen).exp()
            value = (mean + scale * uniform[:, channel, None].logit()).clamp(-1, 1)
            x.append(((value + 1) * 127.5).round() / 127.5 - 1)
        # Rounded once more: 99.99999 would become 99 in bytes.
        return ((torch.cat(x, dim=1) + 1) * 127.5).round() * (self.scale / 255)

    def _n_channels(self, parameters: Tensor) -> int:
        n_parameters = parameters.shape[1]
        return next(c for c in range(1, n_parameters) if self.n_parameters(c) == n_parameters)

    def _split(self, parameters: Tensor, n_channels: int) -> tuple[Tensor, _Maps, _Maps, _Maps]:
        """Logits, and means, log scales and coefficients of each channel, all (n, K, ...).

        Not by indexing: on the way back, each index would fill all that it leaves out with zeros.
        """
        n_coefficients = n_channels * (n_channels - 1) // 2
        logits, means, raw, coefficients = parameters.unflatten(1, (-1, self.n_components)).split(
            (1, n_channels, n_channels, n_coefficients), dim=1
        )
        log_scales, coefficients = _log_scale(raw), torch.tanh(coefficients)
        return logits.squeeze(1), means.unbind(1), log_scales.unbind(1), coefficients.unbind(1)

    @staticmethod
    def _mean(means: _Maps, coefficients: _Maps, x: Sequence[Tensor], channel: int) -> Tensor:
        """Mean of one channel given those before it in x, shape (n, K, ...)."""
        first = channel * (channel - 1) // 2
        of_channel = coefficients[first : first + channel]
        products = [c * before for c, before in zip(of_channel, x[:channel], strict=True)]
        return reduce(torch.add, products, means[channel])


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
