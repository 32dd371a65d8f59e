"""Diagonal Gaussians parametrised by a network."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

__all__ = ["GaussianHead", "gaussian"]

# Keeps log densities finite for inputs far from anything seen in training.
_SMALLEST_STD = 1e-3


def gaussian(parameters: Tensor) -> Normal:
    """Independent normals whose raw parameters are stacked along axis 1.

    Parameters
    ----------
    parameters : Tensor of shape (n, 2 * units, ...)

    Returns
    -------
    Normal with batch shape (n, units, ...)

    Notes
    -----
    Raw zeros give the standard normal: the scale is a softplus with beta = log 2
    (Havtorn et al. 2021, appendix B.1).
    """
    mean, raw = parameters.chunk(2, dim=1)
    std = F.softplus(raw, beta=math.log(2)).clamp(min=_SMALLEST_STD)
    return Normal(mean, std, validate_args=False)


class GaussianHead(nn.Sequential):
    """A layer that ends in the raw parameters of a Gaussian."""

    def forward(self, features: Tensor) -> Normal:
        for layer in self:
            features = layer(features)
        return gaussian(features)
