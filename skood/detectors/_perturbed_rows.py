"""Normal rows of which a part of the values says nothing any more."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from skood.core.rows import Rows

__all__ = ["perturbed"]

_STEP = {"bytes": 1, "unit": 1 / 255}  # of 256 levels
_ROWS_AT_A_TIME = 1_000


def perturbed(rows: Rows, rate: float, kind: str, rng: Generator) -> Rows:
    """A copy in which each value is replaced by a random one with probability ``rate``.

    A pixel becomes any of the 256 levels, all equally likely. A real number becomes that of another
    row at the same place, so that each column keeps its distribution.
    """
    given = np.asarray(rows)
    array = given.copy()
    for start in range(0, len(array), _ROWS_AT_A_TIME):
        part = array[start : start + _ROWS_AT_A_TIME]
        replaced = np.nonzero(rng.random(part.shape) < rate)
        n_replaced = len(replaced[0])
        if kind == "real":
            places = (rng.integers(len(given), size=n_replaced), *replaced[1:])
            part[replaced] = given[places]
        else:
            part[replaced] = rng.integers(256, size=n_replaced) * _STEP[kind]
    return Rows(array, rows.origin, rows.names)
