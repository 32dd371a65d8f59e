"""Watching a stream with a fitted detector: an alarm when what comes in has changed."""

from skood.monitoring._drift_monitor import DriftMonitor
from skood.monitoring._history import DriftHistory
from skood.monitoring._stream import DriftState

__all__ = ["DriftHistory", "DriftMonitor", "DriftState"]
