"""P-values of a stream are uniform and independent, whatever is kept of it."""

import pickle

import numpy as np
import pytest
from scipy import stats

from skood.calibration import p_values
from skood.martingales import OnlinePValues


def scores(rng, n, kind):
    return rng.normal(size=n) if kind == "continuous" else rng.integers(0, 3, n).astype(float)


def p_of_cells_being_equal(p, n_bins=3):
    """P-value of all combinations of thirds being equally frequent in the rows of p."""
    cells = np.ravel_multi_index((p * n_bins).astype(int).T, (n_bins,) * p.shape[1])
    return stats.chisquare(np.bincount(cells, minlength=n_bins ** p.shape[1])).pvalue


@pytest.mark.parametrize("max_reference", [4, 50_000])
@pytest.mark.parametrize("kind", ["continuous", "tied"])
def test_p_values_are_uniform_and_independent(kind, max_reference):
    rng = np.random.default_rng(0)
    p = np.empty((5_000, 8))
    for row in p:
        online = OnlinePValues(
            scores(rng, 4, kind), max_reference=max_reference, random_state=rng.integers(2**32)
        )
        row[:] = online.update(scores(rng, 8, kind))
    assert stats.kstest(p.ravel(), "uniform").pvalue > 0.01
    for together in ([0, 1, 2], [5, 6, 7], [0, 3, 7]):
        assert p_of_cells_being_equal(p[:, together]) > 0.01


def test_the_check_finds_that_p_values_against_a_fixed_set_are_dependent():
    rng = np.random.default_rng(0)
    fixed = [p_values(rng.normal(size=3), rng.normal(size=29)) for _ in range(5_000)]
    assert p_of_cells_being_equal(np.array(fixed) - 1e-9) < 1e-4


def test_a_p_value_is_the_rank_among_all_scores_before():
    rng = np.random.default_rng(0)
    calibration, stream = rng.integers(0, 5, 20), rng.integers(0, 5, 200)
    p = OnlinePValues(calibration).update(stream)
    for i, score in enumerate(stream):
        before = np.concatenate([calibration, stream[:i]])
        lower, equal = (before < score).sum(), (before == score).sum()
        assert lower < p[i] * (len(before) + 1) < lower + equal + 1


def test_the_calls_into_which_a_stream_is_cut_do_not_matter():
    calibration, stream = np.random.default_rng(0).normal(size=(2, 100))
    online = OnlinePValues(calibration, max_reference=70, random_state=1)
    parts = [online.update(part) for part in np.split(stream, [1, 30, 30])]
    whole = OnlinePValues(calibration, max_reference=70, random_state=1).update(stream)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_what_is_kept_does_not_grow():
    rng = np.random.default_rng(0)
    online = OnlinePValues(rng.normal(size=300), max_reference=100)
    before = len(pickle.dumps(online))
    online.update(rng.normal(size=2_000))
    assert len(pickle.dumps(online)) == before


def test_infinite_scores_have_ranks():
    online = OnlinePValues(np.zeros(99))
    low, high = online.update([-np.inf, np.inf])
    assert low < 0.01 and high > 0.99


def test_a_score_that_is_missing_changes_nothing():
    online, other = (OnlinePValues(np.arange(10.0)) for _ in range(2))
    with pytest.raises(ValueError, match=r"scores must .* got shape \(2,\) with 1 NaN"):
        online.update([1.0, np.nan])
    assert online.update([3.0]) == other.update([3.0])


@pytest.mark.parametrize("wrong", [[np.nan], [[1.0]]])
def test_wrong_calibration_scores_are_named(wrong):
    with pytest.raises(ValueError, match="calibration_scores must have one dimension and no NaN"):
        OnlinePValues(wrong)
