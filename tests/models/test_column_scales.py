"""In which unit a model sees a column of a table that hardly varies."""

import numpy as np
import pytest

from skood import HVAE, MAF, Likelihood
from skood.testing import small

N_ROWS = 1000
RARE = 7
# A network that has hardly learned sees a row about where the standardisation puts it.
UNTRAINED = {"max_epochs": 1, "learning_rate": 1e-6, "random_state": 0}
MODELS = pytest.mark.parametrize("model", [MAF, HVAE])
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


def table(column):
    return np.column_stack([np.random.default_rng(0).normal(size=N_ROWS), column])


def untrained(model):
    return small(model, **UNTRAINED)


@MODELS
@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_the_only_other_value_of_a_column_lies_about_ten_deviations_out(model, unit):
    # Its own deviation would put it 32 out, which costs 500 nats.
    X = table(unit * (np.arange(N_ROWS) == RARE))
    scores = untrained(model).fit(X).score_samples(X)
    assert 20 < np.median(scores) - scores[RARE] < 100


def test_a_detector_ranks_a_rare_value_above_one_that_was_never_seen():
    X = table(np.arange(N_ROWS) == RARE)
    detector = Likelihood(untrained(MAF), random_state=0).fit(X)
    rows = np.column_stack([np.full(3, X[0, 0]), [0, 1, 3]])
    common, rare, never = detector.ood_score(rows)
    assert common + 20 < rare < common + 100
    assert never > rare + 100


@MODELS
@pytest.mark.parametrize("value", [0.0, 0.1, -1e9 - 0.1, 1e-9])
def test_the_unit_of_a_constant_column_is_a_tenth_of_its_size(model, value):
    # The mean of 0.1 is not 0.1 to the last digit, nor is the deviation then zero.
    X = table(np.full(N_ROWS, value))
    fitted = untrained(model).fit(X)
    others = np.column_stack([X[:50, 0], X[:50, 1] + 0.1 * (abs(value) or 10)])
    drop = fitted.score_samples(X[:50]) - fitted.score_samples(others)
    assert np.abs(drop).max() < 5


@pytest.mark.parametrize("loc, scale", [(0, 1e-9), (0, 1e9), (1e6, 1e-3), (1, 1e-9)])
def test_a_column_that_varies_a_little_keeps_its_own_unit(loc, scale):
    X = table(np.random.default_rng(1).normal(loc, scale, N_ROWS))
    Z = untrained(MAF).fit(X).transform(X)
    assert 0.3 < Z[:, 1].std() < 3
    assert abs(np.corrcoef(Z[:, 1], X[:, 1])[0, 1]) > 0.8
