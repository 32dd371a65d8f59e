"""Evidence and alarms of a stream."""

import numpy as np
import pytest

from skood import DriftMonitor, KNNDistance
from skood.plotting import DriftDisplay


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def watch(rng):
    detector = KNNDistance(random_state=0).fit(rng.normal(size=(500, 3)))
    return DriftMonitor(detector, average_run_length=1_000, random_state=0)


def test_the_lines_are_evidence_threshold_and_alarms(watch, rng):
    watch.update(rng.normal(size=(100, 3)))
    watch.update(rng.normal(3, size=(30, 3)))
    display = DriftDisplay.from_monitor(watch)
    evidence, threshold, *alarms = display.ax_.lines
    np.testing.assert_array_equal(evidence.get_xdata(), np.arange(1, 131))
    np.testing.assert_array_equal(evidence.get_ydata(), watch.history.log_evidence)
    assert threshold.get_ydata()[0] == np.log(1_000)
    assert [line.get_xdata()[0] for line in alarms] == list(watch.history.alarms)
    assert len(alarms) > 1
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["threshold", "alarm"]


def test_line_options_reach_the_line(watch, rng):
    watch.update(rng.normal(size=(10, 3)))
    assert DriftDisplay.from_monitor(watch, color="green").ax_.lines[0].get_color() == "green"


def test_a_monitor_that_has_seen_nothing_is_refused(watch):
    with pytest.raises(ValueError, match="monitor has seen no row"):
        DriftDisplay.from_monitor(watch)


def test_a_detector_is_no_monitor(watch):
    with pytest.raises(ValueError, match="monitor must be a monitor of a stream; KNNDistance has"):
        DriftDisplay.from_monitor(watch.detector)
