"""Kernel density of normal scores."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import gaussian_kde

from skood.scores.density import LogDensity

SCORES = np.random.default_rng(0).normal(3, 2, size=300)


def test_it_is_the_estimate_of_scipy():
    x = np.linspace(-10, 20, 50)
    np.testing.assert_allclose(LogDensity.fit(SCORES)(x), gaussian_kde(SCORES).logpdf(x))


def test_a_score_has_bitwise_the_same_density_alone_and_among_others():
    log_density, x = LogDensity.fit(SCORES), np.linspace(-10, 20, 50)
    alone = [log_density(x[i : i + 1])[0] for i in range(50)]
    np.testing.assert_array_equal(log_density(x), alone)


def test_the_density_integrates_to_one():
    x = np.linspace(-20, 30, 5_000)
    assert trapezoid(np.exp(LogDensity.fit(SCORES)(x)), x) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("scores", [[], [1.0], [2.0, 2.0], [1.0, np.nan], [[1.0, 2.0]]])
def test_what_has_no_density_is_refused(scores):
    with pytest.raises(ValueError, match="at least two finite numbers"):
        LogDensity.fit(scores)
