"""An alarm for streams of rows, on top of any fitted detector."""

from __future__ import annotations

import copy
import inspect
import math
import os
import threading
from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor

from skood.core.encoding import encode
from skood.core.estimator_protocols import GroupScorer, missing_members
from skood.core.modes import own_modes
from skood.core.parameters import check_count, draw_seed
from skood.core.savable import Savable
from skood.core.saved_files import write
from skood.martingales import OnlinePValues
from skood.monitoring._history import DriftHistory
from skood.monitoring._stream import DriftState, Stream

__all__ = ["DriftMonitor"]


class DriftMonitor(Savable):
    """Raises an alarm when rows of a stream are no longer distributed as the normal ones were.

    A detector judges rows one by one. The monitor judges the stream: it adds up what single rows
    would never show, such as scores that are all a little low, and does not raise because one row
    in twenty is at the 5 % quantile, as it should be. On a stream that stays normal, the
    probability that it *ever* raises is at most ``alpha``, however long the stream is, whatever the
    detector and the data (Ville's inequality).

    It sees what the detector's score sees, in both directions, and nothing else: a change that
    leaves the distribution of the scores as it was is invisible. It also raises when rows depend on
    one another, as frames of a video do, since this too makes a stream not exchangeable: give it
    every n-th frame, or windows. The normal rows are known from the calibration rows of the
    detector alone, so that small changes need many of them: with n calibration rows and a change
    soon after the start, one of less than about 10 / n nats per row is not found. A slow change
    becomes part of what later rows are compared with.

    Parameters
    ----------
    detector : fitted detector
        One of `skood.detectors`. Put other estimators into a `ConformalDetector`.
    alpha : float in (0, 1), default=0.01
        Probability of a false alarm in the whole life of the monitor. Not used if there is an
        ``average_run_length``.
    average_run_length : float, default=None
        If given, the monitor starts to collect evidence anew after each alarm, and on a normal
        stream this is the smallest mean number of rows from one alarm to the next. For changes that
        come again, and for streams so old that evidence at ``alpha`` takes too long.
    group_size : int, default=1
        Rows in a window. Above 1 the evidence is the group score of each window, which is more
        powerful where the detector's group score is (`Typicality`, `GradientNorm`).
    max_reference : int, default=50_000
        Largest number of earlier scores that new ones are compared with. More cost memory and time,
        and find smaller changes; the guarantee holds for any number.
    random_state : int, RandomState instance or None, default=None
        Seed of the numbers that break ties, and of what is forgotten. Do not choose it by its
        result.

    Attributes
    ----------
    log_threshold : float
        The alarm rises where the log evidence reaches it, nats.

    Raises
    ------
    ValueError
        If a parameter is not valid, or ``detector`` is not a detector.
    NotFittedError
        If ``detector`` is not fitted.

    See Also
    --------
    skood.plotting.DriftDisplay : The picture.
    skood.martingales : The parts, for scores from elsewhere.

    Notes
    -----
    Each score is ranked among those of the calibration rows *and of the stream before it*
    (`OnlinePValues`), which makes the p-values independent; those of ``detector.p_values`` are not,
    and bets on them raise false alarms. `log_bets` are placed on low, high, central and extreme
    p-values at once, and `ConformalMartingale` (or `ShiryaevRoberts`) adds up what they win.
    The guarantee is over the draw of the calibration rows, the stream and the random numbers. It
    needs calibration rows that are exchangeable with the stream: drawn from the same source, not
    an earlier time of day.

    Updates may come from several threads; scores are computed side by side. With a given seed the
    same rows in the same order give the same alarms, however they are cut into updates.

    References
    ----------
    V. Vovk, I. Nouretdinov, A. Gammerman, "Testing Exchangeability On-Line", ICML 2003, and the
    others in `skood.martingales`.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import DriftMonitor, KNNDistance
    >>> rng = np.random.default_rng(0)
    >>> detector = KNNDistance(random_state=0).fit(rng.normal(size=(2000, 3)))
    >>> watch = DriftMonitor(detector, alpha=0.01, random_state=0)
    >>> watch.update(rng.normal(size=(1000, 3))).alarm
    False
    >>> state = watch.update(rng.normal(1, size=(200, 3)))  # each column moves by one sigma
    >>> state.alarm, state.raised_at
    (True, 1021)
    """

    def __init__(
        self,
        detector: GroupScorer,
        *,
        alpha: float = 0.01,
        average_run_length: float | None = None,
        group_size: int = 1,
        max_reference: int = 50_000,
        random_state: Any = None,
    ):
        _check_detector(detector)
        self.detector = detector
        self.alpha = alpha
        self.average_run_length = average_run_length
        self.group_size = check_count("group_size", group_size)
        self.max_reference = check_count("max_reference", max_reference)
        self.random_state = random_state
        self.log_threshold = self._log_threshold()
        self._lock = threading.Lock()
        self._stream = self._new_stream()

    def update(self, X: ArrayLike | Tensor) -> DriftState:
        """Watch further rows.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            The next rows of the stream, in order; n must be a multiple of ``group_size``.

        Returns
        -------
        DriftState

        Raises
        ------
        ValueError
            If the detector refuses X, or a score is NaN. The monitor is then as it was before.
        """
        return self.update_scores(-self.detector.group_ood_score(X, self.group_size))

    def update_scores(self, scores: ArrayLike) -> DriftState:
        """Watch further rows whose scores are known: nothing is computed twice.

        Parameters
        ----------
        scores : array-like of shape (n,)
            ``detector.score_samples(X)``; for windows ``-detector.group_ood_score(X, group_size)``.

        Returns
        -------
        DriftState

        Raises
        ------
        ValueError
            If a score is NaN, or there is more than one dimension.
        """
        with self._lock:
            return self._stream.update(scores)

    def reset(self) -> None:
        """Forget the stream, as if the monitor had just been made: for the start of another one.

        The guarantee is for each stream by itself. All are compared with the same calibration rows,
        so that where these happen to be unusual, one false alarm is likely to be followed by more:
        fit the detector again, with recent normal rows.
        """
        with self._lock:
            self._stream = self._new_stream()

    @property
    def state(self) -> DriftState:
        """What the last `update` returned."""
        with self._lock:
            return self._stream.state()

    @property
    def history(self) -> DriftHistory:
        """Curves for a picture, in bounded memory; see `skood.plotting.DriftDisplay`."""
        with self._lock:
            return self._stream.recorder.history()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the monitor, its detector and the stream so far to a file, without pickle.

        After `skood.load` the next `update` continues the stream as if nothing had been between: a
        service that saves after each update, and loads when it starts, keeps the guarantee. Rows
        seen after the last `save` are not in the file; give them again.

        Parameters
        ----------
        path : str or path
            A file that is there is replaced at once, when the new one is complete.

        Raises
        ------
        ValueError
            If the detector holds something that cannot be saved; the message names it.
        """
        with own_modes(grad=True):
            write(path, *encode(self))

    def get_params(self, deep: bool = False) -> dict[str, Any]:
        """Arguments of the constructor by name, for `save`; ``deep`` is not used."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def _to_save(self) -> dict[str, Any]:
        with self._lock:
            return {"stream_": self._stream.get_state()}

    def _restore(self, attributes: dict[str, Any]) -> None:
        self._stream.set_state(attributes["stream_"])

    def _log_threshold(self) -> float:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; give a number between 0 and 1.")
        if self.average_run_length is None:
            return -math.log(self.alpha)
        if not self.average_run_length > self.group_size:
            raise ValueError(
                f"average_run_length is {self.average_run_length}; give a number of rows above "
                f"group_size={self.group_size}, such as the number of rows in a month."
            )
        return math.log(self.average_run_length / self.group_size)

    def _new_stream(self) -> Stream:
        p_values = OnlinePValues(
            self.detector.calibration_group_scores(self.group_size),
            max_reference=self.max_reference,
            random_state=draw_seed(self.random_state),
        )
        restarts = self.average_run_length is not None
        return Stream(p_values, self.log_threshold, restarts=restarts, group_size=self.group_size)

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            state = {**vars(self), "_stream": copy.deepcopy(self._stream)}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())


def _check_detector(detector: Any) -> None:
    missing = missing_members(GroupScorer, detector)
    if missing:
        raise ValueError(
            f"detector must be one of skood.detectors; {type(detector).__name__} has no "
            f"{missing[0]}. Give ConformalDetector(estimator), fitted, for other estimators."
        )
