"""What parameters of methods must be, and the seed that ``random_state`` stands for."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

__all__ = ["check_count", "check_group_size", "draw_seed"]


def check_count(name: str, value: Any) -> int:
    """``value`` as an int; ValueError unless it is a positive integer."""
    if not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be a positive integer; got {value!r}.")
    return int(value)


def check_group_size(group_size: Any, n_rows: int) -> int:
    """``group_size`` as an int; ValueError if it does not divide the number of rows."""
    if not isinstance(group_size, numbers.Integral) or group_size < 1 or n_rows % group_size:
        raise ValueError(
            f"group_size must be a positive integer that divides the {n_rows} rows of X; "
            f"got {group_size!r}. Cut X to a multiple."
        )
    return int(group_size)


def draw_seed(random_state: Any) -> int:
    """An integer seed from scikit-learn's ``random_state``.

    None is fresh entropy from the operating system, not NumPy's global generator as elsewhere in
    scikit-learn: nothing here reads or advances global state.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0] // 2)
    if isinstance(random_state, numbers.Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
