"""The command line of ``python -m skood.benchmark suite``."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skood import detectors
from skood.benchmark._run import machine
from skood.benchmark._suite import run_suite
from skood.benchmark._suite_data import Source
from skood.benchmark._suite_report import in_set_tables, suite_summary

__all__ = ["suite_command"]

_QUICK = {"n_train": 1_000, "n_test": 40, "max_minutes_per_model": 0.04}


def suite_command(words: Sequence[str]) -> None:
    """Run what the words ask for; numbers are kept after each seed, tables after each data set."""
    arguments = _parse(words)
    log = logging.getLogger("skood.benchmark")
    source = Source(arguments.data_home, arguments.tables, arguments.n_train, arguments.n_test)
    runs = run_suite(
        source,
        arguments.in_sets or source.names(),
        seeds=arguments.seeds,
        max_minutes=arguments.max_minutes_per_model,
        only=arguments.detectors,
    )
    results: dict[str, Any] = {}
    for name, result in runs:
        results[name] = result
        if arguments.output:
            _write(arguments, results)
        if len(result["runs"]) == arguments.seeds:
            log.info("\n%s\n", in_set_tables(name, result))
    log.info("%s", suite_summary(results))


def _write(arguments: argparse.Namespace, results: dict[str, Any]) -> None:
    unsaid = ("data_home", "tables", "output")
    settings = {key: value for key, value in vars(arguments).items() if key not in unsaid}
    content = {"machine": machine(), "settings": settings, "in_sets": results}
    arguments.output.write_text(json.dumps(content, indent=1) + "\n")


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m skood.benchmark suite")
    add = parser.add_argument
    add("--data-home", help="folder with NAME.npz files; see skood.datasets")
    add("--tables", type=Path, help="folder of NAME.npz files with X and y, 1 for anomalies")
    add("--in", nargs="+", dest="in_sets", metavar="NAME", help="normal data; default: all")
    add("--detectors", nargs="+", choices=detectors.__all__, metavar="NAME", help="default: all")
    add("--seeds", type=int, default=1, metavar="N", help="seeds 0 to N-1")
    add("--n-train", type=int, help="at most so many training rows")
    add("--n-test", type=int, help="at most so many rows of each test set")
    add(
        "--max-minutes-per-model",
        type=float,
        default=5.0,
        metavar="M",
        help="models that would train longer get fewer epochs; default: 5",
    )
    add(
        "--quick",
        action="store_true",
        help=f"other defaults: {_QUICK}; some minutes for each data set",
    )
    add("--output", type=Path, help="write the numbers to this JSON file")
    if parser.parse_args(words).quick:
        parser.set_defaults(**_QUICK)
    return parser.parse_args(words)
