"""Whose line a warning is about."""

from __future__ import annotations

import inspect
from pathlib import Path

import joblib
import sklearn

__all__ = ["stacklevel_of_user"]

_NOT_THE_USER = (
    str(Path(__file__).parents[1]),
    *(str(Path(module.__file__).parent) for module in (sklearn, joblib)),
)


def stacklevel_of_user() -> int:
    """The ``stacklevel`` with which a function that warns names the line outside of skood.

    How many frames there are depends on the class, on members, and on scikit-learn's callbacks.
    """
    frame, level = inspect.currentframe(), 0  # 1 is the function that asks, 2 its caller
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_THE_USER):
        frame, level = frame.f_back, level + 1
    return level
