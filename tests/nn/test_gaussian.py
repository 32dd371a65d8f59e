"""Gaussians from the raw numbers of a network."""

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from skood.nn.gaussian import GaussianHead, gaussian


def test_raw_zeros_give_the_standard_normal():
    distribution = gaussian(torch.zeros(3, 8, dtype=torch.float64))
    torch.testing.assert_close(distribution.mean, torch.zeros(3, 4, dtype=torch.float64))
    torch.testing.assert_close(distribution.stddev, torch.ones(3, 4, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(3, 8), (3, 8, 5, 5)])
def test_the_first_half_of_the_channels_is_the_mean_and_the_other_the_scale(shape):
    raw = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    distribution = gaussian(raw)
    torch.testing.assert_close(distribution.mean, raw[:, :4])
    torch.testing.assert_close(distribution.stddev, softplus(raw[:, 4:] * 0.693147) / 0.693147)


def test_the_scale_has_a_floor_so_that_densities_stay_finite():
    distribution = gaussian(torch.tensor([[0.0, -1e4]]))
    assert distribution.stddev.item() == pytest.approx(1e-3)
    assert distribution.log_prob(torch.tensor([[1e6]])).isfinite().all()


def test_a_head_is_its_layers_followed_by_the_gaussian():
    head = GaussianHead(nn.ReLU(), nn.Linear(5, 6))
    x = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head(x).mean, head[1](x.relu())[:, :3])
