"""The typicality test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from skood.core.rows import Rows
from skood.detectors._likelihood import Likelihood
from skood.detectors._scoring_modules import DistanceFrom

__all__ = ["Typicality"]


class Typicality(Likelihood):
    """Out-of-distribution detection by the distance of the likelihood from its typical value.

    A row may be abnormal because it is too likely as well as because it is not likely enough, so
    the test sees images that are too simple, which `Likelihood` calls normal. It fails for single
    rows whose likelihood happens to be ordinary, and is at its best with groups of rows from one
    source: see `group_ood_score` and `group_p_values`.

    Parameters
    ----------
    model, fpr, n_importance_samples, calibration_fraction, memory, random_state, verbose
        As in `Likelihood`. A quarter of the calibration rows estimate the entropy, the others set
        the threshold.

    Attributes
    ----------
    entropy_ : float
        Mean of -log p(x) over normal rows, nats: an estimate of the model's entropy.
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    Notes
    -----
    `ood_score` is ``|-mean log p(x) - entropy_|`` in nats, the mean being over the row or the group
    (Nalisnick et al. 2019b, "Detecting out-of-distribution inputs to deep generative models using
    typicality", arXiv:1906.02994, eq. 4).

    Examples
    --------
    >>> import numpy as np
    >>> from skood import MAF, Typicality
    >>> X = np.random.default_rng(0).normal(size=(900, 3))
    >>> detector = Typicality(MAF(max_epochs=5), random_state=0).fit(X)
    >>> detector.group_p_values(X[:20], group_size=5).shape
    (4,)
    """

    @property
    def _reference_fraction(self) -> float:
        return 0.25  # one mean needs fewer rows than a tail

    def _fit_reference(self, rows: Rows) -> None:
        self.entropy_ = float(np.mean(self._statistic(rows)))

    def _combine(self, statistics: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs(statistics.mean(axis=1) - self.entropy_)

    def _modules_of_score(self) -> tuple[nn.Module, ...]:
        return (DistanceFrom(self.entropy_),)
