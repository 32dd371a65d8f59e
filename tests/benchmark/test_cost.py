"""What a million rows cost."""

import json
import logging
import time

import numpy as np
import pytest

from skood.benchmark import _cost


def test_the_cost_is_that_of_a_million_rows(monkeypatch):
    times = iter([0.0, 5.0, 5.0, 7.0, 7.0, 10.0])
    monkeypatch.setattr(time, "process_time", lambda: next(times))

    class Detector:
        def score_samples(self, X):
            return X

    assert _cost.seconds_per_million(Detector(), np.ones(1_000)) == pytest.approx(2_000)


def test_the_command_leaves_out_rows_that_a_detector_refuses(tmp_path, caplog, monkeypatch):
    kinds = {
        "table": _cost._Kind((3,), 60, as_table=True),
        "images": _cost._Kind((8, 8), 60),
    }
    monkeypatch.setattr(_cost, "KINDS", kinds)
    path = tmp_path / "cost.json"
    words = ["--detectors", "ScoreNorm", "InputComplexity", "--n-rows", "8"]
    with caplog.at_level(logging.INFO):
        _cost.cost_command([*words, "--output", str(path)])
    costs = json.loads(path.read_text())["seconds_per_million"]
    assert costs["ScoreNorm"].keys() == {"table", "images"}
    assert costs["InputComplexity"].keys() == {"images"}
    assert "InputComplexity" in caplog.text
