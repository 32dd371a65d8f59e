"""The map to the principal axes, in double precision."""

import pytest
import torch

from skood.nn.bijections.principal_axes import PrincipalAxes

RNG = torch.Generator().manual_seed(0)
X = torch.randn(50, 3, 2, dtype=torch.float64, generator=RNG)
ROOT = torch.randn(6, 6, dtype=torch.float64, generator=RNG)
MEAN, COVARIANCE = torch.arange(6.0, dtype=torch.float64), ROOT @ ROOT.mT


@pytest.fixture
def axes():
    axes = PrincipalAxes(6).double()
    axes.set_moments(MEAN, COVARIANCE, noise_std=0.0)
    return axes


def test_the_mean_goes_to_zero_and_the_covariance_to_the_identity(axes):
    jacobian = torch.autograd.functional.jacobian(lambda x: axes(x[None])[0][0], MEAN)
    torch.testing.assert_close(jacobian @ COVARIANCE @ jacobian.mT, torch.eye(6).double())
    torch.testing.assert_close(axes(MEAN[None])[0], torch.zeros(1, 6).double())


def test_the_log_determinant_is_that_of_the_jacobian(axes):
    jacobian = torch.autograd.functional.jacobian(lambda x: axes(x[None])[0][0], MEAN)
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(axes(X)[1], expected.expand(50))


def test_inverse_inverts_up_to_the_shape_of_a_row(axes):
    torch.testing.assert_close(axes.inverse(axes(X)[0]), X.flatten(1))


def test_a_covariance_that_rounding_made_indefinite_keeps_the_variance_of_the_noise(axes):
    axes.set_moments(MEAN, -1e-6 * torch.eye(6).double(), noise_std=0.1)
    torch.testing.assert_close(axes.log_std.exp(), torch.full((6,), 0.1).double())
