"""What a GPU gives: times of every detector there, and whether its scores are those of the CPU."""

from __future__ import annotations

import argparse
import copy
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skood import datasets, detectors
from skood.benchmark._run import machine
from skood.benchmark._speed import seconds
from skood.core.batches import resolve_device

__all__ = ["compare_devices", "gpu_command"]

_COLUMNS = ("fit_s", "rows_per_s", "cpu_rows_per_s", "difference")


def gpu_command(words: Sequence[str]) -> None:
    """Fit every detector that has a model on a GPU, and score there and on the CPU."""
    parser = argparse.ArgumentParser(prog="python -m skood.benchmark gpu")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data-home", help="folder with NAME.npz files; default: bundled digits")
    parser.add_argument("--in", default="fashion_mnist", dest="name", metavar="NAME")
    parser.add_argument("--detectors", nargs="+", metavar="NAME", help="default: all with a model")
    parser.add_argument("--max-epochs", type=int, help="default: the models' own")
    parser.add_argument("--n-train", type=int)
    parser.add_argument("--n-test", type=int, default=2_000)
    parser.add_argument("--output", type=Path, help="write the numbers to this JSON file")
    arguments = parser.parse_args(words)
    try:
        resolve_device(arguments.device)
    except ValueError as error:
        parser.error(str(error))
    X = datasets.load_digit_images()
    if arguments.data_home:
        X = datasets.load(arguments.name, "train", arguments.data_home)[0]
    log = logging.getLogger("skood.benchmark")
    log.info("%-24s%s", arguments.device, "".join(f"{column:>16}" for column in _COLUMNS))
    results = {}
    for name in arguments.detectors or _with_a_model():
        found = compare_devices(
            getattr(detectors, name)(random_state=0),
            X[: arguments.n_train],
            X[-arguments.n_test :],
            arguments.device,
            arguments.max_epochs,
        )
        results[name] = found
        log.info("%-24s%s", name, "".join(f"{found[column]:>16.4g}" for column in _COLUMNS))
    if arguments.output:
        written = {"machine": machine(), "device": arguments.device, "detectors": results}
        arguments.output.write_text(json.dumps(written, indent=1) + "\n")


def compare_devices(
    detector: Any,
    X_train: NDArray[Any],
    X_test: NDArray[Any],
    device: str,
    max_epochs: int | None = None,
) -> dict[str, float]:
    """Times of one detector, and the largest difference of its scores on both devices.

    Returns
    -------
    dict
        ``fit_s``, ``rows_per_s`` on the device, ``cpu_rows_per_s``, and ``difference``: between the
        scores of a row on both, in standard deviations of the scores.
    """
    model = detector._nested_default("model").set_params(device=device)
    if max_epochs is not None and "max_epochs" in model.get_params():
        model.set_params(max_epochs=max_epochs)
    detector.set_params(model=model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of short training, and of few rows
        fit_s = seconds(lambda: detector.fit(X_train))
    on_cpu = copy.deepcopy(detector)
    for part in on_cpu.models_.values():
        part.set_params(device="cpu")
    scores: dict[str, NDArray[np.float64]] = {}

    def score(where: str, fitted: Any) -> None:
        scores[where] = fitted.score_samples(X_test)

    score(device, detector)  # kernels are chosen in the first call
    there = seconds(lambda: score(device, detector))
    here = seconds(lambda: score("host", on_cpu))
    difference = np.abs(scores[device] - scores["host"]).max() / scores["host"].std()
    n = len(X_test)
    values = (fit_s, n / there, n / here, float(difference))
    return dict(zip(_COLUMNS, values, strict=True))


def _with_a_model() -> list[str]:
    return [n for n in detectors.__all__ if "model" in getattr(detectors, n)().get_params()]
