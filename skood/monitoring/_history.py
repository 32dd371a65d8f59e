"""The evidence of a stream of any length, in memory that does not grow."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["DriftHistory", "Recorder"]

_MOST_POINTS = 2_000
_MOST_ALARMS = 1_000


class DriftHistory(NamedTuple):
    """What a `skood.DriftMonitor` has seen: curves for a picture.

    Attributes
    ----------
    n_seen : ndarray of shape (n_points,), int64
        Rows seen at the end of each stretch of the stream; at most 2,000 stretches of equal length,
        of which the last may be shorter.
    log_evidence : ndarray of shape (n_points,), float64
        Largest log evidence in each stretch, nats.
    alarms : ndarray of shape (n_alarms,), int64
        Rows seen when the alarm rose: the last 1,000 times.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import DriftMonitor, KNNDistance
    >>> rng = np.random.default_rng(0)
    >>> watch = DriftMonitor(KNNDistance(random_state=0).fit(rng.normal(size=(500, 3))))
    >>> state = watch.update(rng.normal(5, size=(100, 3)))
    >>> int(watch.history.n_seen[-1]), len(watch.history.log_evidence), len(watch.history.alarms)
    (100, 100, 1)
    """

    n_seen: NDArray[np.int64]
    log_evidence: NDArray[np.float64]
    alarms: NDArray[np.int64]


class Recorder:
    """Keeps the largest evidence of each stretch; joins stretches in pairs when there are many."""

    def __init__(self) -> None:
        self._stride = 1
        self._n_in_stretch = 0
        self._points: list[tuple[int, float]] = []
        self._alarms: deque[int] = deque(maxlen=_MOST_ALARMS)

    def add(self, n_seen: int, log_evidence: float) -> None:
        """Record the evidence after one more row or window."""
        if self._n_in_stretch == 0:
            self._points.append((n_seen, log_evidence))
        else:
            self._points[-1] = n_seen, max(log_evidence, self._points[-1][1])
        self._n_in_stretch = (self._n_in_stretch + 1) % self._stride
        if self._n_in_stretch == 0 and len(self._points) == _MOST_POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [(n, max(first, last)) for (_, first), (n, last) in pairs]
            self._stride *= 2

    def add_alarm(self, n_seen: int) -> None:
        """Record that the alarm rose."""
        self._alarms.append(n_seen)

    def get_state(self) -> dict[str, Any]:
        """All that there is, as plain values."""
        stretches = {"stride": self._stride, "n_in_stretch": self._n_in_stretch}
        return stretches | self.history()._asdict()

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with a state of `get_state`; ValueError if it is none."""
        n_seen, log_evidence = state["n_seen"].tolist(), state["log_evidence"].tolist()
        stride, n_in_stretch = state["stride"], state["n_in_stretch"]
        if len(n_seen) > _MOST_POINTS or not 0 <= n_in_stretch < stride:
            raise ValueError(f"no history has stretches of {stride!r}, {n_in_stretch!r} seen")
        self._points = list(zip(n_seen, log_evidence, strict=True))
        self._alarms.extend(state["alarms"].tolist())
        self._stride, self._n_in_stretch = stride, n_in_stretch

    def history(self) -> DriftHistory:
        """A copy of what is kept."""
        return DriftHistory(
            np.array([n for n, _ in self._points], dtype=np.int64),
            np.array([value for _, value in self._points], dtype=np.float64),
            np.array(self._alarms, dtype=np.int64),
        )
