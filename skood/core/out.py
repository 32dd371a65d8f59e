"""Scores written into an array that the caller gives, such as a memory map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skood.core.progress import QUIET_SECONDS, progress
from skood.core.rows import Rows

__all__ = ["write_scores"]

_Floats = NDArray[np.float64]

# Whatever a score is made of is in memory for so many rows at a time.
_ROWS_AT_ONCE = 2**14


def write_scores(score: Callable[[Rows], _Floats], rows: Rows, out: Any) -> _Floats:
    """Write the score of each row to ``out``, and return it; memory does not grow with the rows.

    Parameters
    ----------
    score : callable
        From some of the rows (m, ...) to their scores (m,), each of which does not depend on the
        others.
    rows : Rows
    out : ndarray of shape (n,), float64
        What is in it after an error is not defined.

    Raises
    ------
    ValueError
        If ``out`` is another array, or cannot be written to.
    """
    scores = _checked(out, len(rows))
    with progress(len(rows), "rows", quiet_seconds=QUIET_SECONDS) as show:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            stop = min(start + _ROWS_AT_ONCE, len(rows))
            scores[start:stop] = score(rows[start:stop])
            show(stop)
    return scores


def _checked(out: Any, n_rows: int) -> _Floats:
    if not isinstance(out, np.ndarray) or out.shape != (n_rows,) or out.dtype != np.float64:
        raise ValueError(
            f"out must be a float64 array of shape ({n_rows},), one number for each row of X; got "
            f"{_described(out)}. Make one by np.empty({n_rows}), or on disk by "
            f"np.lib.format.open_memmap(path, 'w+', np.float64, ({n_rows},))."
        )
    if not out.flags.writeable:
        raise ValueError(
            "out is an array that cannot be written to. Open a memory map with mode='r+'."
        )
    return out


def _described(out: Any) -> str:
    if not isinstance(out, np.ndarray):
        return f"a {type(out).__name__}"
    return f"one of shape {out.shape} and type {out.dtype}"
