"""Affine maps of rank one: inverse, determinant, and what they do to Gaussians."""

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from skood.nn.bijections.rank_one import RankOneParameters

N = 6
UNITS = pytest.mark.parametrize("n_units", [1, 2, 7])


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rank_one_affine(n_units):
    shift, raw, direction = draw(3, N, n_units)
    return RankOneParameters(3 * shift, raw.exp(), direction)


def jacobians(bijection, epsilon):
    """d z / d epsilon of each row, shape (n, units, units)."""
    return torch.stack([jacobian(bijection.multiply, epsilon)[i, :, i] for i in range(N)])


def pushed_forward(normal, bijection):
    """The distribution of z where epsilon has independent normal units."""
    matrices = jacobians(bijection, normal.mean)
    covariance = matrices @ torch.diag_embed(normal.variance) @ matrices.mT
    return MultivariateNormal(bijection.multiply(normal.mean), covariance)


@UNITS
def test_the_inverse_undoes_the_map_and_the_map_the_inverse(n_units):
    bijection, epsilon = rank_one_affine(n_units), draw(N, n_units, seed=1)
    options = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(bijection.solve(bijection.multiply(epsilon)), epsilon, **options)
    torch.testing.assert_close(bijection.multiply(bijection.solve(epsilon)), epsilon, **options)


@UNITS
def test_the_map_is_the_matrix_of_each_row_times_epsilon_plus_the_shift(n_units):
    bijection, epsilon = rank_one_affine(n_units), draw(N, n_units, seed=1)
    for row, z in enumerate(bijection.multiply(epsilon)):
        u = bijection.direction[row]
        matrix = torch.diag(bijection.diagonal[row]) + torch.outer(u, u)
        torch.testing.assert_close(z, bijection.shift[row] + matrix @ epsilon[row])


@UNITS
def test_the_log_determinant_is_that_of_the_jacobian_of_each_row(n_units):
    bijection = rank_one_affine(n_units)
    sign, log_det = torch.linalg.slogdet(jacobians(bijection, draw(N, n_units, seed=1)))
    assert (sign == 1).all() and log_det.shape == (N,)
    torch.testing.assert_close(bijection.log_det(), log_det, rtol=1e-10, atol=1e-10)


@UNITS
def test_the_density_of_z_is_that_of_epsilon_less_the_log_determinant(n_units):
    bijection, z = rank_one_affine(n_units), draw(N, n_units, seed=1)
    base = Normal(draw(N, n_units, seed=2), draw(N, n_units, seed=3).exp())
    expected = base.log_prob(bijection.solve(z)).sum(1) - bijection.log_det()
    torch.testing.assert_close(pushed_forward(base, bijection).log_prob(z), expected)


@UNITS
def test_the_divergence_of_two_latents_is_that_of_their_base_variables(n_units):
    """Why the self-reflective VAE never needs the density of z: q and p share the bijection."""
    bijection = rank_one_affine(n_units)
    q = Normal(draw(N, n_units, seed=2), draw(N, n_units, seed=3).exp())
    p = Normal(draw(N, n_units, seed=4), draw(N, n_units, seed=5).exp())
    in_base_space = kl_divergence(Independent(q, 1), Independent(p, 1))
    in_latent_space = kl_divergence(pushed_forward(q, bijection), pushed_forward(p, bijection))
    torch.testing.assert_close(in_latent_space, in_base_space, rtol=1e-8, atol=1e-8)


def test_without_a_direction_the_map_scales_each_unit():
    shift, raw = draw(2, N, 3)
    bijection, epsilon = RankOneParameters(shift, raw.exp(), 0 * shift), draw(N, 3, seed=1)
    torch.testing.assert_close(bijection.multiply(epsilon), shift + raw.exp() * epsilon)
    torch.testing.assert_close(bijection.log_det(), raw.sum(1))
