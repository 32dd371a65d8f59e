"""The evidence of long streams is kept in bounded memory."""

import numpy as np

from skood.monitoring._history import Recorder


def test_a_short_history_is_kept_as_it_is():
    recorder = Recorder()
    for n in (2, 4, 6):
        recorder.add(n, -n / 2)
    recorder.add_alarm(4)
    n_seen, log_evidence, alarms = recorder.history()
    np.testing.assert_array_equal(n_seen, [2, 4, 6])
    np.testing.assert_array_equal(log_evidence, [-1, -2, -3])
    np.testing.assert_array_equal(alarms, [4])


def test_a_long_history_keeps_the_highest_evidence_of_each_stretch():
    values = np.random.default_rng(0).normal(size=9_001)
    recorder = Recorder()
    for n, value in enumerate(values, start=1):
        recorder.add(n, value)
        recorder.add_alarm(n)
    n_seen, log_evidence, alarms = recorder.history()
    assert 1_000 <= len(n_seen) <= 2_000
    assert n_seen[-1] == 9_001
    starts = np.concatenate([[0], n_seen[:-1]])
    np.testing.assert_array_equal(log_evidence, np.maximum.reduceat(values, starts))
    np.testing.assert_array_equal(alarms, np.arange(8_002, 9_002))
