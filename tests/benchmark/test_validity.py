"""Rates of p-values over splits of a table."""

import json

import numpy as np

from skood.benchmark._validity import LEVELS, rates, validity_command


def test_rates_grow_with_the_level_and_differ_between_splits():
    normal = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    first, second = rates(normal, 0), rates(normal, 1)
    assert first == sorted(first) and first[-1] < 0.5
    assert first != second


def test_the_command_takes_normal_rows_only_and_writes_what_it_found(tmp_path):
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(400, 3)), np.full((100, 3), np.nan)]  # which no detector takes
    np.savez(tmp_path / "made.npz", X=X, y=np.repeat([0, 1], [400, 100]))
    output = tmp_path / "rates.json"
    validity_command(["--tables", str(tmp_path), "--splits", "3", "--output", str(output)])
    found = json.loads(output.read_text())["tables"]["made"]
    assert len(found["rate"]) == len(found["standard_error"]) == len(LEVELS)
