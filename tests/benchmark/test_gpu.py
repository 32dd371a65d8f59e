"""The comparison with a GPU, with the CPU in its place."""

import json
import logging

import numpy as np
import pytest
import torch

from skood import HVAE, Likelihood
from skood.benchmark._gpu import compare_devices, gpu_command

X = np.random.default_rng(0).integers(0, 256, (300, 8, 8), dtype=np.uint8)


def test_a_device_is_compared_with_the_host():
    found = compare_devices(Likelihood(random_state=0), X, X[:64], "cpu", max_epochs=1)
    assert found["difference"] == 0 and found["fit_s"] > 0
    assert found["rows_per_s"] > 0 and found["cpu_rows_per_s"] > 0


def test_scores_that_differ_are_seen(monkeypatch):
    def other(self, X, **options):
        scores = np.arange(len(X), dtype=np.float64)
        return scores + (self.device == "cpu:0")

    monkeypatch.setattr(HVAE, "score_samples", other)
    found = compare_devices(Likelihood(random_state=0), X, X[:64], "cpu:0", max_epochs=1)
    assert found["difference"] == pytest.approx(1 / np.arange(64).std())


def test_the_command_writes_a_line_for_each_detector(tmp_path, caplog):
    words = ["--device", "cpu", "--n-train", "300", "--n-test", "20", "--max-epochs", "1"]
    path = tmp_path / "gpu.json"
    with caplog.at_level(logging.INFO):
        gpu_command([*words, "--detectors", "ScoreNorm", "Likelihood", "--output", str(path)])
    assert json.loads(path.read_text())["detectors"].keys() == {"ScoreNorm", "Likelihood"}
    assert "Likelihood" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_machine_without_a_gpu_is_told_so(capsys):
    with pytest.raises(SystemExit):
        gpu_command([])
    assert "device='cuda' cannot be used here" in capsys.readouterr().err
