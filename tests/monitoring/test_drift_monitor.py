"""False alarms are as rare as promised, and changes are found."""

import pickle
import threading

import numpy as np
import pytest
from scipy import stats
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError

from skood import ConformalDetector, DriftMonitor, GradientNorm, KNNDistance
from skood.martingales import ConformalMartingale, log_bets
from skood.testing import small


class ColumnDetector:
    """Fitted on scores: those of X are its column, and those of groups their mean."""

    def __init__(self, calibration_scores):
        self.calibration_scores = np.asarray(calibration_scores)

    def group_ood_score(self, X, group_size):
        return -np.reshape(X, (-1, group_size)).mean(axis=1)

    def calibration_group_scores(self, group_size):
        return -self.group_ood_score(self.calibration_scores, group_size)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def watch(rng):
    """A monitor of standard normal scores."""
    return DriftMonitor(ColumnDetector(rng.normal(size=1_000)), random_state=0)


@pytest.mark.parametrize("group_size", [1, 5])
def test_streams_that_stay_normal_rarely_raise(group_size, rng):
    alpha, n_streams = 0.2, 200
    options = {"alpha": alpha, "group_size": group_size, "max_reference": 60}
    n_alarms = 0
    for seed in range(n_streams):
        scores = np.round(rng.normal(size=(50 + 400) * group_size), 1)  # with ties
        detector = ColumnDetector(scores[: 50 * group_size])
        watch = DriftMonitor(detector, random_state=seed, **options)
        n_alarms += watch.update(scores[50 * group_size :]).alarm
    assert 0 < n_alarms <= stats.binom.ppf(0.999, n_streams, alpha)


def test_the_same_bets_on_p_values_against_a_fixed_set_raise_often(rng):
    n_alarms = 0
    for _ in range(100):
        calibration = np.sort(rng.normal(size=50))
        p = (np.searchsorted(calibration, rng.normal(size=400)) + rng.uniform(size=400)) / 51
        martingale = ConformalMartingale()
        n_alarms += max(martingale.update(row) for row in log_bets(p)) >= -np.log(0.2)
    assert n_alarms > stats.binom.ppf(0.999, 100, 0.2)


CHANGES = {
    "lower scores": lambda rng, n: rng.normal(-1, 1, n),
    "higher scores": lambda rng, n: rng.normal(1, 1, n),
    "a tenth of outliers": lambda rng, n: np.where(
        rng.uniform(size=n) < 0.1, -9, rng.normal(size=n)
    ),
    "one score for ever": lambda rng, n: np.full(n, 0.1),
    "more spread": lambda rng, n: rng.normal(0, 2, n),
}


@pytest.mark.parametrize("n_normal", [0, 5_000])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_found_and_located(change, n_normal, watch, rng):
    if n_normal:
        assert not watch.update(rng.normal(size=n_normal)).alarm
    state = watch.update(change(rng, 500))
    assert state.alarm
    assert n_normal < state.raised_at <= n_normal + 250
    assert (state.n_seen, state.n_alarms) == (n_normal + 500, 1)


def test_an_alarm_stays(watch, rng):
    raised = watch.update(np.full(50, -9.0))
    later = watch.update(rng.normal(size=5_000))
    assert later.alarm and later.raised_at == raised.raised_at
    assert later.n_alarms == 1


def test_with_an_average_run_length_the_monitor_starts_anew_after_each_alarm(rng):
    detector = ColumnDetector(rng.normal(size=2_000))
    watch = DriftMonitor(detector, average_run_length=10_000, random_state=0)
    assert not watch.update(rng.normal(size=500)).alarm
    assert watch.update(rng.normal(-3, size=20)).alarm
    quiet = watch.update(rng.normal(size=500))
    assert not quiet.alarm and 500 < quiet.raised_at <= 520
    again = watch.update(rng.normal(-3, size=20))
    assert again.alarm and 1_020 < again.raised_at <= 1_040
    assert again.n_alarms == len(watch.history.alarms) >= 2


def test_false_alarms_are_as_far_apart_as_the_average_run_length(rng):
    detector = ColumnDetector(rng.normal(size=100))
    watch = DriftMonitor(detector, average_run_length=200, group_size=2, random_state=0)
    n_alarms = watch.update(rng.normal(size=60_000)).n_alarms
    assert 0 < n_alarms <= stats.poisson.ppf(0.999, 60_000 / 200)


def test_the_updates_into_which_a_stream_is_cut_do_not_matter(watch, rng):
    other = pickle.loads(pickle.dumps(watch))
    stream = np.concatenate([rng.normal(size=100), rng.normal(-2, size=100)])
    for part in np.array_split(stream, 7):
        watch.update(part)
    assert other.update(stream) == watch.state
    np.testing.assert_array_equal(other.history.log_evidence, watch.history.log_evidence)


def test_scores_that_are_known_need_no_rows(watch, rng):
    other = pickle.loads(pickle.dumps(watch))
    stream = rng.normal(size=100)
    assert other.update_scores(stream) == watch.update(stream)


def test_windows_are_counted_in_rows(rng):
    detector = ColumnDetector(rng.normal(size=1_000))
    watch = DriftMonitor(detector, group_size=4, random_state=0)
    state = watch.update(rng.normal(-3, size=80))
    assert state.n_seen == 80 and state.raised_at % 4 == 0


def test_after_a_reset_a_monitor_is_as_new(watch, rng):
    stream = rng.normal(size=200)
    first = watch.update(stream)
    watch.update(np.full(50, -9.0))
    watch.reset()
    assert watch.state.n_seen == 0 and not watch.state.alarm and not len(watch.history.n_seen)
    assert watch.update(stream) == first


def test_several_threads_lose_no_row(watch, rng):
    parts = np.split(rng.normal(size=8_000), 80)
    threads = [
        threading.Thread(target=lambda mine: [watch.update(part) for part in mine], args=(mine,))
        for mine in (parts[i::4] for i in range(4))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch.state.n_seen == 8_000
    assert watch.history.n_seen[-1] == 8_000


def test_a_real_detector_is_watched_by_rows_and_by_windows(rng):
    detector = KNNDistance(random_state=0).fit(rng.normal(size=(1_000, 3)))
    for group_size in (1, 5):
        watch = DriftMonitor(detector, group_size=group_size, random_state=0)
        assert not watch.update(rng.normal(size=(500, 3))).alarm
        assert watch.update(rng.normal(1, size=(500, 3))).alarm


def test_rows_that_the_detector_refuses_change_nothing(rng):
    detector = KNNDistance(random_state=0).fit(rng.normal(size=(200, 3)))
    watch = DriftMonitor(detector, group_size=2)
    before = watch.update(rng.normal(size=(10, 3)))
    for wrong, message in [
        (np.zeros((2, 4)), "features"),
        (np.zeros((3, 3)), "group_size must be a positive integer that divides the 3 rows"),
        (np.full((2, 3), np.nan), "NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            watch.update(wrong)
    with pytest.raises(ValueError, match=r"scores must have one dimension and no NaN"):
        watch.update_scores([0.0, np.nan])
    assert watch.state == before


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"alpha": 0}, "alpha is 0; give a number between 0 and 1"),
        ({"alpha": np.nan}, "alpha is nan"),
        ({"average_run_length": 3, "group_size": 4}, "average_run_length is 3; give .* above"),
        ({"group_size": 0}, "group_size must be a positive integer; got 0"),
        ({"max_reference": 0.5}, "max_reference must be a positive integer; got 0.5"),
        ({"group_size": 2_000}, "group_size=2000"),
    ],
)
def test_wrong_parameters_are_named(parameters, message, rng):
    detector = ConformalDetector(random_state=0).fit(rng.normal(size=(100, 2)))
    with pytest.raises(ValueError, match=message):
        DriftMonitor(detector, **parameters)


def test_what_is_no_detector_is_named():
    with pytest.raises(ValueError, match="IsolationForest has no calibration_group_scores"):
        DriftMonitor(IsolationForest())
    with pytest.raises(NotFittedError):
        DriftMonitor(KNNDistance())


def test_a_detector_that_knows_groups_of_one_size_refuses_others(rng):
    detector = small(GradientNorm, group_size=2, random_state=0).fit(rng.normal(size=(400, 3)))
    DriftMonitor(detector, group_size=2)
    with pytest.raises(ValueError, match="group_size must be 1 or 2, for which this GradientNorm"):
        DriftMonitor(detector, group_size=3)
