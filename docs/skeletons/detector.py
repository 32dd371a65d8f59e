"""A detector to copy: the distance of the log-likelihood from that of the median normal row.

In skood it would be ``skood/detectors/_my_detector.py``, and a line in
``skood/detectors/__init__.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import Memory
from numpy.typing import NDArray

from skood.core.rows import Rows
from skood.detectors._model_detector import ModelDetector


class MyDetector(ModelDetector):
    """One line: what it is. Then, in two or three sentences, what it sees and when it fails.

    Parameters
    ----------
    model, fpr, calibration_fraction, memory, random_state, verbose
        As in `Likelihood`.

    Attributes
    ----------
    median_ : float
        Median log-likelihood of normal rows, nats.

    Notes
    -----
    `ood_score` is |log p(x) - median_|, nats. Paper (title, year, arXiv number or venue) and
    equation; departures from it.

    Examples
    --------
    One that runs.
    """

    def __init__(
        self,
        model: Any = None,
        *,
        fpr: float = 0.05,
        calibration_fraction: float = 0.2,
        memory: str | Memory | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.model = model
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _reference_fraction(self) -> float:
        """Part of the calibration rows for `_fit_reference`; the rest set the threshold."""
        return 0.25

    def _fit_reference(self, rows: Rows) -> None:
        self.median_ = float(np.median(self._log_likelihood(rows)))

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        """The paper's number for each row: the higher, the more OOD."""
        return np.abs(self._log_likelihood(rows) - self.median_)

    def _log_likelihood(self, rows: Rows) -> NDArray[np.float64]:
        return np.asarray(self.model_.score_samples(self._of_model(rows)))
