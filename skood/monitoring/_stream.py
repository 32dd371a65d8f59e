"""What is known of one stream: its evidence and its alarms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skood.martingales import ConformalMartingale, OnlinePValues, ShiryaevRoberts, log_bets
from skood.monitoring._history import Recorder

__all__ = ["DriftState", "Stream"]

_COUNTS = ("n_seen", "n_alarms", "n_alarms_before_update", "raised_at")


class DriftState(NamedTuple):
    """What a `skood.DriftMonitor` says of the stream so far.

    Attributes
    ----------
    n_seen : int
        Rows so far.
    log_evidence : float
        Log of the evidence for a change, nats: of a martingale that starts at 1, or of the
        Shiryaev-Roberts statistic where there is an ``average_run_length``.
    alarm : bool
        Whether there is an alarm: from the row at which it rose, for ever; or, where there is an
        ``average_run_length``, only if it rose in the rows of the last update.
    raised_at : int or None
        Rows seen when the alarm rose last, that row included; None if it never did.
    n_alarms : int
        How often it rose.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import DriftMonitor, KNNDistance
    >>> rng = np.random.default_rng(0)
    >>> watch = DriftMonitor(KNNDistance(random_state=0).fit(rng.normal(size=(500, 3))))
    >>> watch.update(rng.normal(5, size=(100, 3))).alarm  # all columns have moved by five sigma
    True
    >>> watch.state.n_seen, watch.state.n_alarms
    (100, 1)
    """

    n_seen: int
    log_evidence: float
    alarm: bool
    raised_at: int | None
    n_alarms: int


class Stream:
    """From scores to alarms.

    Parameters
    ----------
    p_values : OnlinePValues
    log_threshold : float
        The alarm rises where the log evidence reaches it, nats.
    restarts : bool
        Whether evidence is collected anew after each alarm.
    group_size : int
        Rows that each score stands for.
    """

    def __init__(
        self, p_values: OnlinePValues, log_threshold: float, *, restarts: bool, group_size: int
    ):
        self.recorder = Recorder()
        self._p_values, self._log_threshold = p_values, log_threshold
        self._restarts, self._group_size = restarts, group_size
        self._n_seen = self._n_alarms = self._n_alarms_before_update = 0
        self._raised_at: int | None = None
        self._start_betting()

    def update(self, scores: ArrayLike) -> DriftState:
        """Take further scores into account; the lower, the more abnormal."""
        bets = log_bets(self._p_values.update(scores))
        self._n_alarms_before_update = self._n_alarms
        for row in bets:
            self._bet(row)
        return self.state()

    def state(self) -> DriftState:
        """What there is to say after the last update."""
        forgotten = self._n_alarms_before_update if self._restarts else 0
        return DriftState(
            n_seen=self._n_seen,
            log_evidence=self._evidence.log_evidence,
            alarm=self._n_alarms > forgotten,
            raised_at=self._raised_at,
            n_alarms=self._n_alarms,
        )

    def get_state(self) -> dict[str, Any]:
        """All that `update` changes, as plain values."""
        parts = {"p_values": self._p_values, "evidence": self._evidence, "history": self.recorder}
        return {name: getattr(self, f"_{name}") for name in _COUNTS} | {
            name: part.get_state() for name, part in parts.items()
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where a stream with the same parameters was; ValueError for an impossible state."""
        for name in _COUNTS:
            is_count = isinstance(state[name], int) and state[name] >= 0
            if not is_count and (name, state[name]) != ("raised_at", None):
                raise ValueError(f"no stream has {name}={state[name]!r}")
            setattr(self, f"_{name}", state[name])
        self._p_values.set_state(state["p_values"])
        self._evidence.set_state(state["evidence"])
        self.recorder.set_state(state["history"])

    def _start_betting(self) -> None:
        self._evidence = ShiryaevRoberts() if self._restarts else ConformalMartingale()

    def _bet(self, log_bets: NDArray[np.float64]) -> None:
        # Not before, so that the state shows the evidence of an alarm. The p-values go on, and stay
        # independent of those before the alarm; with the calibration scores alone they would not.
        if self._restarts and self._raised_at == self._n_seen:
            self._start_betting()
        log_evidence = self._evidence.update(log_bets)
        self._n_seen += self._group_size
        self.recorder.add(self._n_seen, log_evidence)
        if log_evidence >= self._log_threshold and (self._restarts or not self._n_alarms):
            self._raised_at = self._n_seen
            self._n_alarms += 1
            self.recorder.add_alarm(self._n_seen)
