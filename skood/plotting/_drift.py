"""Evidence for a change in a stream, and alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skood.plotting._checks import Monitor, check_monitor
from skood.plotting._matplotlib import axes_to_draw_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DriftDisplay"]


class DriftDisplay:
    """Evidence that a stream has changed, over the rows seen, with the threshold and the alarms.

    Evidence wanders, and sinks slowly, while nothing has changed; after a change it grows in
    proportion to the rows, until these have become part of what is normal. Create the display with
    `from_monitor`.

    Parameters
    ----------
    n_seen : ndarray of shape (n_points,), int64
        Rows seen at the end of each stretch of the stream.
    log_evidence : ndarray of shape (n_points,), float64
        Largest log evidence in each stretch, nats.
    log_threshold : float
        Log evidence at which an alarm rises, nats.
    alarms : ndarray of shape (n_alarms,), int64
        Rows seen when an alarm rose.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    n_seen, log_evidence, log_threshold, alarms
        As given.

    See Also
    --------
    skood.DriftMonitor : What collects the evidence.

    Notes
    -----
    V. Vovk, I. Nouretdinov, A. Gammerman, "Testing Exchangeability On-Line", ICML 2003, figures of
    the section on experiments.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import DriftMonitor, KNNDistance
    >>> from skood.plotting import DriftDisplay
    >>> rng = np.random.default_rng(0)
    >>> watch = DriftMonitor(KNNDistance(random_state=0).fit(rng.normal(size=(500, 3))))
    >>> state = watch.update(rng.normal(size=(100, 3)))
    >>> state = watch.update(rng.normal(3, size=(100, 3)))
    >>> len(DriftDisplay.from_monitor(watch).alarms)
    1
    """

    def __init__(
        self,
        n_seen: NDArray[np.int64],
        log_evidence: NDArray[np.float64],
        *,
        log_threshold: float,
        alarms: NDArray[np.int64],
    ):
        self.n_seen = n_seen
        self.log_evidence = log_evidence
        self.log_threshold = log_threshold
        self.alarms = alarms

    @classmethod
    def from_monitor(
        cls, monitor: Monitor, *, ax: Axes | None = None, **line_options: Any
    ) -> DriftDisplay:
        """Draw what a monitor has seen.

        Parameters
        ----------
        monitor : DriftMonitor
            After an ``update``.
        ax : matplotlib Axes, default=None
            Where to draw; None creates a figure.
        **line_options
            Passed to ``Axes.plot``, such as ``color``.

        Returns
        -------
        DriftDisplay

        Raises
        ------
        ValueError
            If ``monitor`` is not a monitor or has seen no row.
        """
        check_monitor("monitor", monitor)
        n_seen, log_evidence, alarms = monitor.history
        display = cls(n_seen, log_evidence, log_threshold=monitor.log_threshold, alarms=alarms)
        return display.plot(ax, **line_options)

    def plot(self, ax: Axes | None = None, **line_options: Any) -> DriftDisplay:
        """Draw the evidence.

        Parameters
        ----------
        ax, **line_options
            As in `from_monitor`.

        Returns
        -------
        DriftDisplay
            This display.
        """
        self.ax_ = axes_to_draw_on(ax)
        self.figure_ = self.ax_.figure
        self.ax_.plot(self.n_seen, self.log_evidence, **line_options)
        self.ax_.axhline(self.log_threshold, color="black", lw=1, ls="--", label="threshold")
        for alarm in self.alarms:
            label = "alarm" if alarm == self.alarms[0] else None
            self.ax_.axvline(alarm, color="tab:red", lw=1, label=label)
        self.ax_.set(xlabel="rows seen", ylabel="log evidence (nats)")
        self.ax_.legend()
        return self
