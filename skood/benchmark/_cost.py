"""What the scores of a million rows cost: CPU time of every detector with its default model."""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from skood import detectors
from skood.benchmark._run import machine

__all__ = ["cost_command", "seconds_per_million"]


class _Kind(NamedTuple):
    """Rows of noise: what they hold does not change what a score costs."""

    shape: tuple[int, ...]
    n_train: int
    as_table: bool = False

    def rows(self, n: int) -> NDArray[Any]:
        rng = np.random.default_rng(0)
        if self.as_table:
            return rng.normal(size=(n, *self.shape))
        return rng.integers(0, 256, (n, *self.shape), dtype=np.uint8)


# Nearest neighbours, on tables, take the longer the more rows they are among.
KINDS = {
    "table, 20 columns": _Kind((20,), 10_000, as_table=True),
    "grey, 28 x 28": _Kind((28, 28), 1_000),
}


def cost_command(words: Sequence[str]) -> None:
    """Fit every detector, its model for one epoch if it has one, and time its scores."""
    parser = argparse.ArgumentParser(prog="python -m skood.benchmark cost")
    parser.add_argument("--detectors", nargs="+", default=detectors.__all__, metavar="NAME")
    parser.add_argument("--n-rows", type=int, default=512, help="rows to score")
    parser.add_argument("--output", type=Path, help="write the numbers to this JSON file")
    arguments = parser.parse_args(words)
    log = logging.getLogger("skood.benchmark")
    log.info("CPU seconds per million rows, one thread")
    log.info("%-28s%s", "", "".join(f"{kind:>20}" for kind in KINDS))
    results: dict[str, dict[str, float]] = {}
    with threadpool_limits(1):
        for name in arguments.detectors:
            costs = results[name] = _costs(name, arguments.n_rows)
            columns = (f"{costs[kind]:>20.0f}" if kind in costs else f"{'-':>20}" for kind in KINDS)
            log.info("%-28s%s", name, "".join(columns))
        written = {"machine": machine(), "seconds_per_million": results}
    if arguments.output:
        arguments.output.write_text(json.dumps(written, indent=1) + "\n")


def _costs(name: str, n_rows: int) -> dict[str, float]:
    """By kind of rows, without those that the detector refuses."""
    costs = {}
    for label, kind in KINDS.items():
        with suppress(ValueError):
            costs[label] = seconds_per_million(_fitted(name, kind), kind.rows(n_rows))
    return costs


def _fitted(name: str, kind: _Kind) -> Any:
    detector: Any = getattr(detectors, name)(random_state=0)
    with suppress(ValueError):  # one without a model, or whose model has no epochs
        detector.set_params(model__max_epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model after one epoch
        return detector.fit(kind.rows(kind.n_train))


def seconds_per_million(detector: Any, X: NDArray[Any], repeats: int = 3) -> float:
    """CPU time of `score_samples`, the least of some calls: other programs only add to it."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        detector.score_samples(X)
        times.append(time.process_time() - start)
    return 1e6 * min(times) / len(X)
