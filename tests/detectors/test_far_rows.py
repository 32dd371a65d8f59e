"""Ratios of real values far from the training rows, where L falls faster than L>k."""

import numpy as np
import pytest
from scipy import stats
from sklearn.frozen import FrozenEstimator

from skood import HVAE, HierarchicalLLR
from skood.scores.ratios import (
    adaptive_likelihood_ratio,
    likelihood_ratios,
    optimal_likelihood_ratio,
)
from skood.testing import small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
LOC, SCALE = np.array([0.0, 50.0, -3.0, 1e6]), np.array([1.0, 9.0, 0.1, 2e4])
KINDS = {"k=1": {"k": 1}, "ada": {"k": "ada"}, "opt": {"k": "opt"}, "k=1, l=3": {"k": 1, "l": 3}}
KINDS |= {"max": {"k": "max"}}


def rows(n, seed):
    """Correlated columns in other units."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(n, 1))
    return LOC + SCALE * (0.6 * first + 0.8 * rng.normal(size=(n, 4)))


@pytest.fixture(scope="module")
def model():
    options = {"max_epochs": 30, "width": 16, "learning_rate": 3e-3}
    return small(HVAE, random_state=0, **options).fit(rows(1000, 1))


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def detector(request, model):
    return HierarchicalLLR(FrozenEstimator(model), random_state=0, **request.param).fit(
        rows(1000, 2)
    )


@pytest.mark.parametrize("columns", [[0], [1], [2], [3], [0, 1, 2, 3]], ids=str)
@pytest.mark.parametrize("deviations", [30, 1e3, 1e9])
@pytest.mark.parametrize("sign", [-1, 1])
def test_rows_far_from_all_others_are_flagged(deviations, sign, columns, detector):
    far = rows(8, 3)  # of ten rows on it would be warned of their scale
    far[:, columns] = (LOC + sign * deviations * SCALE)[columns]
    assert np.isfinite(detector.ood_score(far)).all()
    assert (detector.predict(far) == -1).all()


def test_the_further_the_more_unusual(detector):
    scores = [detector.ood_score(LOC[None] + d * SCALE)[0] for d in (0, 30, 300, 3000)]
    assert np.all(np.diff(scores) > 0)


def test_fresh_rows_are_flagged_at_the_rate_promised(detector):
    n = len(detector.calibration_scores_)
    rank = int(0.05 * (n + 1))
    flagged = (detector.predict(rows(2000, 4)) == -1).sum()
    low, high = stats.betabinom(2000, rank, n + 1 - rank).ppf([0.0005, 0.9995])
    assert low <= flagged <= high


def papers_number(detector, model, X):
    bounds, nll = model.bounds(X, n_importance_samples=8)
    if detector.k == "ada":
        return adaptive_likelihood_ratio(bounds, nll), bounds[0]
    if detector.k == "opt":
        return optimal_likelihood_ratio(bounds, nll), bounds[0]
    if detector.l is not None:
        prior_layers = [(detector.l,), (1,)]
        below, above = model.bounds(X, n_importance_samples=8, prior_layers=prior_layers)[0]
        return below - above, bounds[0]
    return likelihood_ratios(bounds)[detector.k - 1], bounds[0]


def test_rows_as_likely_as_normal_ones_have_the_papers_number(detector, model):
    if detector.k == "max":
        assert not hasattr(detector, "reference_likelihood_")  # it is two-sided and needs none
        return
    X = rows(1000, 5)
    expected, likelihood = papers_number(detector, model, X)
    usual = likelihood >= detector.reference_likelihood_
    assert usual.mean() > 0.97
    np.testing.assert_array_equal(detector.ood_score(X)[usual], expected[usual])
