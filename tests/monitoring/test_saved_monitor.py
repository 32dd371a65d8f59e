"""A monitor that is saved and loaded goes on with its stream as if nothing had been between."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest

import skood
from skood import DriftMonitor, KNNDistance, LoadError, Typicality
from skood.core.saved_files import read, write
from skood.martingales import OnlinePValues
from skood.monitoring._stream import Stream
from skood.testing import small

NORMAL = np.random.default_rng(0).normal(size=(500, 3))
STREAM = np.random.default_rng(1).normal(size=(240, 3))
STREAM[160:] += 1.5
OPTIONS = {
    "alpha": {"alpha": 0.01},
    "average_run_length": {"average_run_length": 100},
    "windows": {"group_size": 4, "alpha": 0.05},
    "forgetful": {"max_reference": 60},
}


@pytest.fixture(scope="module")
def detector():
    return KNNDistance(random_state=0).fit(NORMAL)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "monitor.safetensors"


def assert_same(found, expected):
    assert found.state == expected.state
    for one, other in zip(found.history, expected.history, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_loaded_monitor_continues_its_stream(name, detector, path):
    expected = DriftMonitor(detector, random_state=3, **OPTIONS[name])
    watch = DriftMonitor(detector, random_state=3, **OPTIONS[name])
    for part in np.split(STREAM, 12):
        expected.update(part)
        watch.update(part)
        watch.save(path)
        watch = skood.load(path)  # a restart after each update
        assert_same(watch, expected)
    assert watch.state.n_alarms >= 1
    assert watch.get_params() | {"detector": None} == expected.get_params() | {"detector": None}


def test_so_does_one_in_another_process(detector, path):
    watch = DriftMonitor(detector, random_state=3)
    watch.update(STREAM[:100])
    watch.save(path)
    code = (
        "import sys, numpy as np, skood\n"
        "watch = skood.load(sys.argv[1])\n"
        "X = np.random.default_rng(1).normal(size=(240, 3))\n"
        "print(watch.update(X[100:160]).log_evidence.hex())"
    )
    run = [sys.executable, "-c", code, str(path)]
    printed = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert printed.strip() == watch.update(STREAM[100:160]).log_evidence.hex()


def test_without_a_seed_the_stream_is_continued_too(detector, path):
    watch = DriftMonitor(detector)
    watch.update(STREAM[:50])
    watch.save(path)
    assert skood.load(path).update(STREAM[50:]) == watch.update(STREAM[50:])


def test_the_detector_is_in_the_file_with_its_device_and_its_scores(path):
    fitted = small(Typicality, random_state=0).fit(NORMAL)
    watch = DriftMonitor(fitted, group_size=5, random_state=0)
    watch.save(path)
    found = skood.load(path, device="cpu")
    assert found.detector.model_.device == "cpu"
    np.testing.assert_array_equal(
        found.detector.group_ood_score(STREAM, 5), fitted.group_ood_score(STREAM, 5)
    )


def test_a_reset_after_loading_starts_another_stream(detector, path):
    watch = DriftMonitor(detector, random_state=3)
    watch.update(STREAM)
    watch.save(path)
    loaded = skood.load(path)
    loaded.reset()
    assert_same(loaded, DriftMonitor(detector, random_state=3))


def test_what_is_saved_during_updates_is_the_stream_between_two_of_them(detector, path):
    watch = DriftMonitor(detector, random_state=0)
    scores = detector.score_samples(STREAM)
    thread = threading.Thread(target=lambda: [watch.update_scores(scores) for _ in range(20)])
    thread.start()
    try:
        for _ in range(5):
            watch.save(path)
            assert skood.load(path).state.n_seen % len(scores) == 0
    finally:
        thread.join()


@pytest.mark.parametrize(
    "part, name, value, message",
    [
        (None, "n_seen", -1, "n_seen=-1"),
        (None, "n_alarms", None, "n_alarms=None"),
        (None, "raised_at", "yesterday", "raised_at='yesterday'"),
        ("p_values", "reference", np.array([2.0, 1.0]), "ascending order"),
        ("p_values", "reference", np.array([np.nan]), "no NaN"),
        ("p_values", "reference", np.zeros(1_001), "at most 1000 long; got 1001"),
        ("p_values", "generator", {"bit_generator": "MT19937"}, "PCG64"),
        ("evidence", "n_seen", None, "no state of ConformalMartingale"),
        ("evidence", "log_capital", np.zeros(1), "no state of ConformalMartingale"),
        ("history", "n_in_stretch", 5, "stretches of 1, 5 seen"),
    ],
)
def test_a_state_that_cannot_be_is_refused(part, name, value, message):
    p_values = OnlinePValues(np.arange(50.0), max_reference=1_000)
    stream = Stream(p_values, 3.0, restarts=False, group_size=1)
    stream.update([1.0, 2.0])
    state = stream.get_state()
    (state if part is None else state[part])[name] = value
    with pytest.raises(ValueError, match=message):
        stream.set_state(state)


def test_a_file_with_such_a_state_is_refused(detector, path):
    DriftMonitor(detector).save(path)
    document, tensors = read(path)
    text = json.dumps(document).replace('["n_alarms", 0]', '["n_alarms", -3]')
    write(path, json.loads(text), tensors)
    with pytest.raises(LoadError, match="n_alarms=-3"):
        skood.load(path)


def test_a_detector_that_cannot_be_saved_is_named(path):
    class Column:
        def group_ood_score(self, X, group_size):
            return np.ravel(X)

        def calibration_group_scores(self, group_size):
            return np.arange(50.0)

    with pytest.raises(ValueError, match=r"DriftMonitor\.detector"):
        DriftMonitor(Column()).save(path)
    assert not path.exists()
