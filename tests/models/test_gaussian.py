"""The Gaussian against scipy, scikit-learn and gradients by autograd."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import oas
from torch.distributions import MultivariateNormal

from skood import Gaussian
from skood.models import _gaussian
from skood.testing import easy_images, image_layouts

RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(4, 4)) * [1, 10, 100, 1e-3]
LEVELS = (0.05, 0.3, 2.0)


def table(n, dtype=np.float64, seed=1):
    return (np.random.default_rng(seed).normal(size=(n, 4)) @ MIXING + 3).astype(dtype)


def colour(n):
    return image_layouts(n)["colour bytes, channels last"]


def moments(model, X):
    """Standardised X, its mean, and its shrunk covariance plus that of the noise, by NumPy."""
    Y = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float64)
    covariance = np.cov(Y.T, bias=True)
    s, n = model.shrinkage_, len(covariance)
    shrunk = (1 - s) * covariance + (s * np.trace(covariance) / n + 0.05**2) * np.eye(n)
    return Y, Y.mean(axis=0), shrunk


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_log_likelihood_of_a_table_is_that_of_scipy(dtype):
    X = table(300, dtype)
    model = Gaussian().fit(X)
    Y, mean, covariance = moments(model, X)
    expected = multivariate_normal(mean, covariance).logpdf(Y) - np.log(X.std(axis=0)).sum()
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_score_norms_are_those_of_autograd_of_a_noisy_gaussian(dtype, level):
    X = table(300, dtype)
    model = Gaussian().fit(X)
    Y, mean, covariance = (torch.tensor(v, dtype=torch.float64) for v in moments(model, X))
    noisy = MultivariateNormal(mean, covariance + level**2 * torch.eye(4, dtype=torch.float64))
    Y.requires_grad_()
    (score,) = torch.autograd.grad(noisy.log_prob(Y).sum(), Y)
    expected = level * torch.linalg.vector_norm(score, dim=1)
    np.testing.assert_allclose(model.score_norms(X, [level])[:, 0], expected, rtol=1e-4)


def test_the_shrinkage_is_equation_23_of_chen_and_others():
    X = RNG.normal(size=(50, 30)) + 0.5 * RNG.normal(size=(50, 1))
    shrinkage = Gaussian().fit(X).shrinkage_
    C, p, n = np.corrcoef(X.T), 30, 50
    squares, trace = np.trace(C @ C), np.trace(C)
    top = (1 - 2 / p) * squares + trace**2
    bottom = (n + 1 - 2 / p) * (squares - trace**2 / p)
    assert shrinkage == pytest.approx(top / bottom)
    # scikit-learn leaves the terms 2 / p out.
    expected = oas((X - X.mean(axis=0)) / X.std(axis=0))[1]
    assert shrinkage == pytest.approx(expected, rel=2 / p) and 0.1 < shrinkage < 0.9


def test_fewer_rows_than_values_give_a_density_all_the_same():
    X = RNG.normal(size=(20, 60))
    model = Gaussian().fit(X)
    assert 0.9 < model.shrinkage_ <= 1
    assert np.isfinite(model.score_samples(X)).all()
    assert model.score(X) > model.score(X + 1)


def test_rows_that_are_all_the_same_are_the_likeliest():
    X = np.full((30, 3), 7.0)
    model = Gaussian().fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.score(X) > model.score(X + 1)
    np.testing.assert_array_equal(model.score_norms(X, LEVELS), np.zeros((30, 3)))


def test_transform_whitens():
    X = RNG.normal(size=(2000, 3)) @ [[1, 3, 0], [0, 10, 0.003], [0, 0, 0.01]]
    Z = Gaussian().fit(X).transform(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(Z.T), np.eye(3), atol=0.02)  # shrunk, and noise added


def test_inverse_transform_inverts_a_table():
    X = table(300)
    model = Gaussian().fit(X)
    error = model.inverse_transform(model.transform(X)) - X
    np.testing.assert_allclose(error / X.std(axis=0), 0, atol=1e-5)


def test_inverse_transform_finds_the_levels_of_colour_images():
    X = colour(60)
    model = Gaussian().fit(X)
    np.testing.assert_array_equal(model.inverse_transform(model.transform(X)), X)


def test_samples_have_the_mean_and_covariance_of_the_data():
    X = table(3000)
    drawn = Gaussian().fit(X).sample(20_000, random_state=0)
    unit = X.std(axis=0)
    np.testing.assert_allclose((drawn.mean(axis=0) - X.mean(axis=0)) / unit, 0, atol=0.03)
    covariances = [np.cov((rows / unit).T) for rows in (drawn, X)]
    np.testing.assert_allclose(*covariances, atol=0.05)


def test_rows_in_several_parts_have_the_moments_of_one(monkeypatch):
    X = table(300)
    whole = Gaussian(random_state=0).fit(X).score_samples(X)
    monkeypatch.setattr(_gaussian, "_ROWS_AT_A_TIME", 64)
    parts = Gaussian(random_state=0).fit(X).score_samples(X)
    np.testing.assert_allclose(parts, whole, rtol=1e-4)


def test_a_bright_pixel_that_never_varies_has_the_variance_of_its_noise():
    X = np.zeros((3000, 32, 32), np.uint8)
    X[:, 0, 0] = 250
    X[:, 5, 5] = RNG.integers(0, 30, 3000)
    network = Gaussian().fit(X).network_
    smallest = (2 * network.bijection.log_std.double()).exp().min().item()
    assert smallest >= network.coordinates.noise_std**2 * (1 - 1e-3)


@pytest.mark.parametrize("layout", ["first", "last"])
def test_the_place_of_the_channels_changes_no_score_norm(layout):
    X = colour(60)
    given = np.moveaxis(X, -1, 1).copy() if layout == "first" else X.copy()
    norms = Gaussian().fit(given).score_norms(given, LEVELS)
    np.testing.assert_array_equal(norms, Gaussian().fit(X).score_norms(X, LEVELS))


def test_images_of_bytes_and_in_0_to_1_have_the_same_scores():
    X = easy_images(60)
    of_bytes = Gaussian(random_state=0).fit(X)
    of_units = Gaussian(random_state=0).fit(X / 255)
    expected = of_bytes.score_samples(X)
    np.testing.assert_allclose(of_units.score_samples(X / 255), expected, rtol=1e-4)
    norms = [of_bytes.score_norms(X, LEVELS), of_units.score_norms(X / 255, LEVELS)]
    np.testing.assert_allclose(*norms, rtol=1e-3)


def test_a_change_of_units_changes_no_score_norm():
    X = table(300)
    norms = Gaussian().fit(X).score_norms(X, LEVELS)
    other = X * [1e-6, 2, 1e6, -1] + 5
    np.testing.assert_allclose(Gaussian().fit(other).score_norms(other, LEVELS), norms, rtol=1e-3)


def test_too_many_values_are_refused_with_a_remedy():
    X = easy_images(3, side=101)
    with pytest.raises(ValueError, match=r"at most 10000 values.* X has 10201\. Scale images down"):
        Gaussian().fit(X)


def test_score_norms_before_fit_say_so():
    with pytest.raises(ValueError, match="is not fitted yet"):
        Gaussian().score_norms(table(3), LEVELS)
