"""Memory for tables in files: what is measured, and that zeros take no disk."""

import json
import logging
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from skood.benchmark import _memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from Linux's /proc")


def test_a_table_is_mostly_holes_with_rows_in_between(tmp_path):
    path = tmp_path / "X.npy"
    _memory.make_sparse_table(path, 150_000)
    X = np.load(path, mmap_mode="r")
    assert X.shape == (150_000, 128)
    for start in (0, 100_000):
        assert X[start : start + 1_000].std() == pytest.approx(1, abs=0.02)
        assert not X[start + 1_000 : start + 2_000].any()
    assert 512 * path.stat().st_blocks < 0.05 * path.stat().st_size


def test_a_table_for_which_there_is_no_room_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(OSError, match=r"has 10 bytes left\. Make room for 2048000"):
        _memory.make_sparse_table(tmp_path / "X.npy", 1_000)
    assert not list(tmp_path.iterdir())


def test_the_peak_is_what_was_held_for_a_moment():
    with _memory._peak() as mebibytes:
        for _ in range(20):
            np.ones(2**24).sum()
    assert 120 < mebibytes() < 200


@pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
@pytest.mark.parametrize("part", _memory.PARTS)
def test_each_part_does_what_it_says(part, tmp_path):
    _memory.make_sparse_table(tmp_path / "X.npy", 10_000)
    cost = _memory.cost_of(part, tmp_path)
    assert cost["seconds"] > 0 and cost["MiB"] >= 0
    if part == "score_samples(out=)":
        assert len(np.unique(np.load(tmp_path / "scores.npy"))) > 100


def test_the_command_writes_all_parts_of_each_size(tmp_path, caplog, monkeypatch):
    def costs(folder, n_rows):
        return {part: {"MiB": n_rows, "seconds": 1} for part in _memory.PARTS}

    monkeypatch.setattr(_memory, "_costs", costs)
    path = tmp_path / "memory.json"
    with caplog.at_level(logging.INFO):
        _memory.memory_command(["--gigabytes", "0.001", "0.002", "--output", str(path)])
    found = json.loads(path.read_text())["memory"]
    assert [size["rows"] for size in found] == [976, 1953]
    assert found[1]["fit"] == {"MiB": 1953, "seconds": 1}
    assert "score_samples(out=)" in caplog.text and "1953 MiB" in caplog.text
