"""Evidence: closed forms, and the guarantees by simulation."""

import numpy as np
import pytest
from scipy import stats

from skood.martingales import ConformalMartingale, ShiryaevRoberts, log_bets


def evidence(statistic, p):
    return np.array([statistic.update(row) for row in log_bets(p)])


def products(p):
    """Mean over bets of the product from each step to the last."""
    factors = np.exp(log_bets(p))
    return [factors[start:].prod(axis=0).mean() for start in range(len(p))]


def test_the_martingale_is_the_mean_over_bets_and_times_of_a_change():
    p = np.random.default_rng(0).uniform(size=40)
    reserve = 1 / np.log2(np.arange(41) + 2)
    expected = reserve[-1] - np.diff(reserve) @ products(p)
    assert evidence(ConformalMartingale(), p)[-1] == pytest.approx(np.log(expected))


def test_shiryaev_roberts_is_the_sum_over_times_of_a_change():
    p = np.random.default_rng(0).uniform(size=40)
    assert evidence(ShiryaevRoberts(), p)[-1] == pytest.approx(np.log(np.sum(products(p))))


def test_evidence_before_the_first_p_value():
    assert ConformalMartingale().log_evidence == 0
    assert ShiryaevRoberts().log_evidence == -np.inf


def test_the_martingale_rarely_exceeds_one_over_alpha():
    rng, n_streams = np.random.default_rng(0), 300
    highest = [evidence(ConformalMartingale(), rng.uniform(size=500)).max() for _ in range(300)]
    for alpha in (0.05, 0.2):
        n_alarms = np.sum(np.array(highest) >= -np.log(alpha))
        assert n_alarms <= stats.binom.ppf(0.999, n_streams, alpha)
    assert max(highest) > 1  # it does bet


def test_shiryaev_roberts_runs_as_long_as_promised():
    rng, average_run_length = np.random.default_rng(0), 50
    runs, start = [], 0
    statistic = ShiryaevRoberts()
    for step, row in enumerate(log_bets(rng.uniform(size=40_000)), start=1):
        if statistic.update(row) >= np.log(average_run_length):
            runs.append(step - start)
            statistic, start = ShiryaevRoberts(), step
    error = np.std(runs) / np.sqrt(len(runs))
    assert np.mean(runs) + 3 * error >= average_run_length
    assert np.mean(runs) < 5 * average_run_length


@pytest.mark.parametrize("n_normal", [0, 1_000, 20_000])
def test_the_evidence_that_a_late_change_needs_grows_with_the_logarithm(n_normal):
    rng = np.random.default_rng(0)
    martingale = ConformalMartingale()
    evidence(martingale, rng.uniform(size=n_normal))
    n_needed = np.argmax(evidence(martingale, rng.uniform(0, 0.05, 60)) >= np.log(1_000)) + 1
    assert 2 <= n_needed <= 25
