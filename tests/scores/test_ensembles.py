"""What several models say together."""

import numpy as np
import pytest

from skood.scores.ensembles import waic


def test_the_criterion_is_the_mean_less_the_unbiased_variance():
    values = np.array([[-1.0, -9.0], [-2.0, -9.0], [-6.0, -9.0]])
    np.testing.assert_allclose(waic(values), [-3 - 7, -9])


def test_it_is_that_of_a_normal_distribution_of_log_likelihoods():
    values = np.random.default_rng(0).normal(-100, 3, size=(200_000, 2))
    np.testing.assert_allclose(waic(values), -100 - 9, rtol=1e-3)


@pytest.mark.parametrize("n_models", [2, 9])
def test_a_row_has_the_same_criterion_alone(n_models):
    values = np.random.default_rng(0).normal(size=(n_models, 20))
    alone = [waic(values[:, i : i + 1])[0] for i in range(20)]
    np.testing.assert_array_equal(waic(values), alone)


@pytest.mark.parametrize("values", [np.ones((1, 5)), np.ones(5)])
def test_one_model_is_refused(values):
    with pytest.raises(ValueError, match=r"at least two models, .* of shape \((1, )?5,?\)"):
        waic(values)
