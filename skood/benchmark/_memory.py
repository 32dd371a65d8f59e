"""Memory that a fit and scores take of a table that does not fit into it, in sparse files."""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skood.benchmark._run import machine
from skood.detectors import ScoreNorm

__all__ = ["PARTS", "cost_of", "make_sparse_table", "memory_command"]

_N_COLUMNS = 128
# Rows that are not zero, and all that they begin. A file of many small pieces takes minutes to
# delete.
_RUN, _PERIOD = 1_000, 100_000
_STATUS = Path("/proc/self/status")
_SECONDS_BETWEEN_LOOKS = 0.005


def memory_command(words: Sequence[str]) -> None:
    """Fit and score with `ScoreNorm`, each in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m skood.benchmark memory")
    parser.add_argument("--gigabytes", nargs="+", type=float, default=[0.1, 1.0, 10.0])
    parser.add_argument("--folder", type=Path, help="for the files; default: a temporary one")
    parser.add_argument("--output", type=Path, help="write the numbers to this JSON file")
    arguments = parser.parse_args(words)
    if not _STATUS.exists():
        parser.error(f"memory is read from {_STATUS}, which only Linux has")
    log = logging.getLogger("skood.benchmark")
    log.info("Most anonymous memory beyond that before; CPU time")
    log.info("%-8s%12s%24s%24s%24s", "GB", "rows", *PARTS)
    results = []
    for gigabytes in arguments.gigabytes:
        n_rows = int(gigabytes * 1e9) // (8 * _N_COLUMNS)
        found = _costs(arguments.folder, n_rows)
        columns = [f"{cost['MiB']:.0f} MiB, {cost['seconds']:.0f} s" for cost in found.values()]
        log.info("%-8g%12d%24s%24s%24s", gigabytes, n_rows, *columns)
        results.append({"GB": gigabytes, "rows": n_rows, **found})
    if arguments.output:
        written = {"machine": machine(), "memory": results}
        arguments.output.write_text(json.dumps(written, indent=1) + "\n")


def _costs(folder: Path | None, n_rows: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        make_sparse_table(place / "X.npy", n_rows)
        # A process keeps much of what it frees, so that the next part would seem to need nothing.
        new_process = multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1)
        with new_process as pool:
            return {part: pool.apply(cost_of, (part, place)) for part in PARTS}


def make_sparse_table(path: Path, n_rows: int) -> None:
    """A file of float64 rows, all but each hundredth zero, which takes a hundredth of its size.

    Parameters
    ----------
    path : Path
    n_rows : int

    Raises
    ------
    OSError
        If there is no room for all of it, as on a disk that keeps zeros.
    """
    size = 8 * _N_COLUMNS * n_rows
    free = shutil.disk_usage(path.parent).free
    if free < 2 * size:
        raise OSError(f"{path.parent} has {free} bytes left. Make room for {2 * size}.")
    X = np.lib.format.open_memmap(path, "w+", np.float64, (n_rows, _N_COLUMNS))
    rng = np.random.default_rng(0)
    for start in range(0, n_rows, _PERIOD):
        some = X[start : start + _RUN]
        some[:] = rng.normal(size=some.shape)
    X.flush()


def cost_of(part: str, folder: Path) -> dict[str, float]:
    """One of `PARTS` on the table in the folder: mebibytes and CPU seconds."""
    X = np.load(folder / "X.npy", mmap_mode="r")
    detector = ScoreNorm(random_state=0).fit(X[:_RUN])
    detector.score_samples(X[:_RUN])  # what is imported late
    start = time.process_time()
    with _peak() as mebibytes:
        PARTS[part](detector, X, folder)
    return {"MiB": mebibytes(), "seconds": time.process_time() - start}


def _score_into_file(detector: ScoreNorm, X: NDArray[Any], folder: Path) -> None:
    out = np.lib.format.open_memmap(folder / "scores.npy", "w+", np.float64, (len(X),))
    detector.score_samples(X, out=out)


PARTS: dict[str, Callable[[ScoreNorm, NDArray[Any], Path], Any]] = {
    "fit": lambda detector, X, folder: detector.fit(X),
    "score_samples": lambda detector, X, folder: detector.score_samples(X),
    "score_samples(out=)": _score_into_file,
}


@contextmanager
def _peak() -> Iterator[Callable[[], float]]:
    """Look at the memory all the time; the function gives the most there was beyond the first."""
    seen, ended = [_anonymous_memory()], threading.Event()

    def look() -> None:
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            seen[1:] = [max(*seen, _anonymous_memory())]

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: seen[-1] - seen[0]
    finally:
        ended.set()
        thread.join()


def _anonymous_memory() -> float:
    """Of this process, in mebibytes."""
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines["RssAnon"].split()[0]) / 1024
