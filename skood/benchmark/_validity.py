"""Whether p-values of normal rows are what they promise, over many splits of real tables."""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skood import CombinedDetector
from skood.benchmark._run import machine
from skood.calibration import CalibrationWarning

__all__ = ["LEVELS", "rates", "validity_command"]

LEVELS = (0.01, 0.05, 0.1, 0.2)
_MOST_ROWS = 1_000


def validity_command(words: Sequence[str]) -> None:
    """For each table, the part of fresh normal rows whose p-value is at most each level."""
    parser = argparse.ArgumentParser(prog="python -m skood.benchmark validity")
    parser.add_argument("--tables", type=Path, required=True, help="folder of NAME.npz, X and y")
    parser.add_argument("--in", nargs="+", dest="names", metavar="NAME", help="default: all")
    parser.add_argument("--splits", type=int, default=200, metavar="N")
    parser.add_argument("--output", type=Path, help="write the numbers to this JSON file")
    arguments = parser.parse_args(words)
    log = logging.getLogger("skood.benchmark")
    results: dict[str, Any] = {}
    log.info("%-14s%s", "rate at", "".join(f"{level:>16}" for level in LEVELS))
    for path in sorted(arguments.tables.glob("*.npz")):
        if arguments.names and path.stem not in arguments.names:
            continue
        with np.load(path) as table:
            normal = table["X"][table["y"] == 0]
        found = np.array([rates(normal, split) for split in range(arguments.splits)])
        error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        results[path.stem] = {"rate": list(found.mean(axis=0)), "standard_error": list(error)}
        pairs = zip(found.mean(axis=0), error, strict=True)
        log.info("%-14s%s", path.stem, "".join(f"{rate:>8.4f} ±{e:.4f}" for rate, e in pairs))
    if arguments.output:
        results = {"machine": machine(), "splits": arguments.splits, "tables": results}
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")


def rates(normal: NDArray[np.floating], split: int) -> list[float]:
    """Fit the default detector to a random half, at most 1,000 rows; rates on the others."""
    order = np.random.default_rng(split).permutation(len(normal))
    half = len(normal) // 2
    detector = CombinedDetector(random_state=split)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)  # small tables cannot give p = 0.01
        detector.fit(normal[order[:half][:_MOST_ROWS]])
    p = detector.p_values(normal[order[half:][:_MOST_ROWS]])
    return [float(np.mean(p <= level)) for level in LEVELS]
