"""Models that several detectors use, so that none is trained twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["SharedModels"]


@dataclass
class SharedModels:
    """What detectors that learn from the same rows have in common.

    Attributes
    ----------
    fitted : dict from str to estimator
        Models by a key, which is the same for models whose training gives the same.
    interrupt : BaseException or None
        A Ctrl-C that ended one of the trainings: no other one begins.
    """

    fitted: dict[str, Any] = field(default_factory=dict)
    interrupt: BaseException | None = None
