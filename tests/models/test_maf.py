"""The masked autoregressive flow as an estimator."""

import numpy as np
import pytest
from scipy import stats

from skood import MAF, Trainer

UNIVARIATE = pytest.mark.parametrize("univariate", ["affine", "spline"])
RNG = np.random.default_rng(0)


def curved(n, seed):
    """A parabola with noise: its variables are hardly correlated."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return np.column_stack([x, x**2 + 0.3 * rng.normal(size=n)])


def small(univariate="affine", **options):
    defaults = {"n_transforms": 2, "width": 16, "max_epochs": 1, "random_state": 0}
    return MAF(univariate, **(defaults | options))


@UNIVARIATE
def test_held_out_rows_of_a_curve_are_more_likely_than_under_a_gaussian(univariate):
    X, fresh = curved(600, 0), curved(500, 1)
    model = small(univariate, max_epochs=30, batch_size=32, learning_rate=5e-3).fit(X)
    gaussian = stats.multivariate_normal(X.mean(0), np.cov(X.T)).logpdf(fresh).mean()
    assert model.score(fresh) > gaussian + 0.5


@UNIVARIATE
def test_one_feature_of_any_scale_gets_a_density_that_integrates_to_one(univariate):
    model = small(univariate, max_epochs=20).fit(RNG.normal(5e6, 1e3, (100, 1)))
    x = np.linspace(5e6 - 2e4, 5e6 + 2e4, 2001)[:, None]
    assert np.exp(model.score_samples(x)).sum() * 20 == pytest.approx(1, abs=0.01)


@UNIVARIATE
def test_inverse_transform_gives_the_rows_back(univariate):
    X = RNG.normal([0, 100], [1e-3, 20], (50, 2))
    model = small(univariate).fit(X)
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)) / X, 1, atol=1e-4)


def test_samples_are_distributed_like_the_rows():
    X = curved(1000, 0)
    model = small(max_epochs=30, batch_size=32, learning_rate=5e-3).fit(X)
    draws = model.sample(2000, random_state=0)
    np.testing.assert_allclose(draws.mean(0), X.mean(0), atol=0.25)
    np.testing.assert_allclose(np.corrcoef(draws[:, 0] ** 2, draws[:, 1])[0, 1], 1, atol=0.2)


@UNIVARIATE
@pytest.mark.parametrize("shape", [(20, 3, 4), (20, 3, 4, 3), (20, 3, 3, 4)])
def test_images_of_any_size_and_layout_can_be_fitted(univariate, shape):
    X = RNG.integers(0, 256, shape, dtype=np.uint8)
    model = small(univariate).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.sample(2).shape == (2, *shape[1:])


def test_rows_far_out_have_finite_low_scores():
    X = RNG.normal(size=(50, 4))
    model = small(trainer=Trainer(patience=None)).fit(X)
    with pytest.warns(UserWarning, match="values from -.*If the units differ"):
        scores = model.score_samples(np.concatenate([X, 1e3 * X, 1e12 * X]))
    assert np.isfinite(scores).all() and scores[:50].min() > scores[50:].max()


@pytest.mark.parametrize("name", ["univariate", "n_transforms", "width", "n_hidden_layers"])
def test_a_wrong_parameter_is_refused(name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of MAF"):
        small().set_params(**{name: 0}).fit(np.zeros((5, 2)))
