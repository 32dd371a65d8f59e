"""Ctrl-C and SIGTERM during training: it ends in good order, and then so does the program."""

from __future__ import annotations

import signal
import threading
import warnings
from types import FrameType, TracebackType
from typing import Any

from skood.core.callers import stacklevel_of_user
from skood.core.exceptions import InterruptedFitWarning

__all__ = ["Interruptions", "raise_again", "warn_of_interruption"]


class Interruptions:
    """Turn SIGTERM into a KeyboardInterrupt for the block, if nobody else handles it.

    Attributes
    ----------
    terminated : bool
        Whether SIGTERM came.
    """

    def __init__(self) -> None:
        self.terminated = False
        self._previous: Any = None
        self._handles = False

    def __enter__(self) -> Interruptions:
        # Only the main thread gets signals, and only it may say what happens then.
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._handles = in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if self._handles:
            self._previous = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handles:
            signal.signal(signal.SIGTERM, self._previous)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self.terminated = True
        raise KeyboardInterrupt("SIGTERM")


def raise_again(terminated: bool) -> None:
    """What ends the program once the estimator has kept what it learned."""
    if terminated:
        raise SystemExit(128 + signal.SIGTERM)  # the exit status of a terminated program
    raise KeyboardInterrupt("training was interrupted")


def warn_of_interruption(n_epochs: int) -> None:
    """What is said where training goes on as if it had ended."""
    warnings.warn(
        f"Training was interrupted after {n_epochs} epochs. The estimator is fitted with what it "
        "had learned and can be used; fit again to train to the end.",
        InterruptedFitWarning,
        stacklevel=stacklevel_of_user(),
    )
