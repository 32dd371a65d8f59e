"""How far a long computation has come, for people who wait: a bar on a terminal, else lines."""

from __future__ import annotations

import functools
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from tqdm import tqdm  # which skorch needs as well

__all__ = ["QUIET_SECONDS", "progress", "shows_progress"]

# Of scoring, before its progress is shown: nobody waits for a few rows.
QUIET_SECONDS = 5.0

_Method = TypeVar("_Method", bound=Callable[..., Any])

# What is shown in this thread is the work of this estimator; None where nothing is shown, and
# _SHOWN inside of what is shown already.
_SHOWN = ""
_label: ContextVar[str | None] = ContextVar("label", default=None)


def shows_progress(method: _Method) -> _Method:
    """For methods of estimators: in them `progress` is shown if ``verbose`` is not 0.

    What a method calls is shown as well, also of estimators inside that are not verbose.
    """

    @functools.wraps(method)
    def showing(self: Any, *args: Any, **kwargs: Any) -> Any:
        name, outer = type(self).__name__, _label.get()
        if outer is None:
            label = name if getattr(self, "verbose", 0) else None
        elif outer == _SHOWN:
            label = _SHOWN
        else:
            label = outer if outer.split(", ")[-1] == name else f"{outer}, {name}"
        token = _label.set(label)
        try:
            return method(self, *args, **kwargs)
        finally:
            _label.reset(token)

    return cast(_Method, showing)


@contextmanager
def progress(
    total: int, unit: str, *, n_done: int = 0, quiet_seconds: float = 0.0
) -> Iterator[Callable[..., None]]:
    """Show how far the block has come, where `shows_progress` says so, and nothing inside of it.

    Standard output gets a bar if it is a terminal, and plain lines otherwise, so that files hold no
    control characters.

    Parameters
    ----------
    total : int
    unit : str
        What is counted.
    n_done : int, default=0
        How many of them are done already.
    quiet_seconds : float, default=0
        Time before the first line and between two, or before the bar; 0 is a line at each update.

    Yields
    ------
    callable
        To be told how many are done, and other numbers by name.
    """
    label, stream = _label.get(), sys.stdout
    if not label or stream is None:  # a window without a console has no standard output
        yield lambda n, **numbers: None
        return
    token = _label.set(_SHOWN)
    try:
        if stream.isatty():
            # tqdm shows nothing on a terminal that does not know its size, as in some containers.
            width, height = shutil.get_terminal_size()
            options = {"unit": unit, "delay": quiet_seconds, "ncols": width, "nrows": height}
            with _Bar(total=total, initial=n_done, desc=label, file=stream, **options) as bar:
                yield bar.show
        else:
            yield _Lines(label, total, unit, n_done, quiet_seconds).show
    finally:
        _label.reset(token)


class _Bar(tqdm):
    """A bar without the thread that tqdm otherwise starts."""

    monitor_interval = 0

    def show(self, n_done: int, **numbers: float) -> None:
        if numbers:
            self.set_postfix_str(_listed(numbers), refresh=False)
        self.update(n_done - self.n)


class _Lines:
    """One line after another."""

    def __init__(self, label: str, total: int, unit: str, n_done: int, quiet_seconds: float):
        self.label, self.total, self.unit = label, total, unit
        self.first, self.quiet_seconds = n_done, quiet_seconds
        self.start = self.last = time.monotonic()

    def show(self, n_done: int, **numbers: float) -> None:
        now = time.monotonic()
        if now - self.last < self.quiet_seconds:
            return
        self.last = now
        spent = now - self.start
        left = spent * (self.total - n_done) / max(1, n_done - self.first)
        times = f"{tqdm.format_interval(spent)} spent, {tqdm.format_interval(left)} left"
        known = f"{_listed(numbers)}, " if numbers else ""
        sys.stdout.write(f"{self.label}: {self.unit} {n_done}/{self.total}, {known}{times}\n")
        sys.stdout.flush()


def _listed(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in numbers.items())
