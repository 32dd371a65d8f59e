"""Norms of the score of the density at several noise levels."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from joblib import Memory
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import nn

from skood.core.estimator_protocols import ExportableScoreModel, ScoreModel
from skood.core.rows import Rows
from skood.detectors._model_detector import ModelDetector
from skood.detectors._scoring_modules import Mahalanobis, ScoringModule
from skood.models import Gaussian

__all__ = ["ScoreNorm"]

_FEW_ROWS_PER_LEVEL = 10
# With one feature all norms are proportional, and how they differ is a matter of rounding.
_ABOVE_ROUNDING = 1e-10


class ScoreNorm(ModelDetector):
    """Out-of-distribution detection by how steep the log density is, at several noise levels.

    The norm of the score (the gradient of the log density with respect to the row) says how far a
    row is from what is normal, at the scale of the noise: a low level sees sharpness and noise, a
    high one contrast and colour. How the norms of a row go together is compared with normal rows,
    on both sides. Over the default model it is fitted in seconds and good at changes of texture, on
    colour images above all; it is blind to what a Gaussian does not know, such as flips and
    inversions. On tables it is weak: of one or two columns, rows near the mean count as OOD.
    Where rows are fewer than their values, those that the model was fitted on count as OOD too, as
    they lie too near its fit.

    Parameters
    ----------
    model : estimator, FrozenEstimator or None, default=None
        A model that knows its score, as `skood.core.estimator_protocols.ScoreModel` says; None is
        ``Gaussian()``.
    noise_levels : sequence of positive floats, default=(0.04, 0.1, 0.2, 0.4, 1.0, 2.0)
        Standard deviations of the noise, in those of the training values.
    fpr, calibration_fraction, memory, random_state, verbose
        As in `Likelihood`. Half of the calibration rows say how norms go together, the others set
        the threshold.

    Attributes
    ----------
    mean_ : ndarray of shape (n_levels,)
    precision_ : ndarray of shape (n_levels, n_levels)
        Mean and inverse covariance of the log norms of normal rows.
    shrinkage_ : float in [0, 1]
        How far that covariance was moved to a multiple of the identity: far, if rows are few.
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    See Also
    --------
    GradientNorm : Gradients with respect to the parameters instead.

    Notes
    -----
    `ood_score` is the squared Mahalanobis distance of
    ``log(sigma ||grad log p_sigma(x)||)``, over the noise levels sigma, from normal rows (Mahmood,
    Oliva, Styner: "Multiscale Score Matching for Out-of-Distribution Detection", ICLR 2021,
    arXiv:2010.13132, who fit a Gaussian mixture to the norms, of a network trained by score
    matching, at ten levels). One level alone fails: images blurred and images with noise lie on
    opposite sides of normal ones.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import ScoreNorm
    >>> X = np.random.default_rng(0).normal(size=(900, 3)) @ [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    >>> detector = ScoreNorm(random_state=0).fit(X)
    >>> detector.predict([[1, 1, 1], [3, -3, 0]])
    array([ 1, -1])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ModelDetector._parameter_constraints,
        "noise_levels": ["array-like"],
    }
    _model_protocol = ScoreModel

    def __init__(
        self,
        model: Any = None,
        *,
        noise_levels: Sequence[float] = (0.04, 0.1, 0.2, 0.4, 1.0, 2.0),
        fpr: float = 0.05,
        calibration_fraction: float = 0.2,
        memory: str | Memory | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.model = model
        self.noise_levels = noise_levels
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def _check_learnable(self, rows: Rows) -> None:
        levels = list(self.noise_levels)
        if not levels or not all(isinstance(s, Real) and 0 < s < np.inf for s in levels):
            raise ValueError(
                f"noise_levels must be positive numbers, at least one; got {self.noise_levels!r}."
            )
        super()._check_learnable(rows)

    def _nested_default(self, name: str) -> Any:
        return Gaussian()

    @property
    def _reference_fraction(self) -> float:
        return 0.5

    @property
    def _fewest_calibration_rows(self) -> int:
        return 4  # half of them for a covariance, which one row does not have

    def _log_norms(self, rows: Rows) -> NDArray[np.float64]:
        norms = self.model_.score_norms(self._of_model(rows), tuple(self.noise_levels))
        # The mean of the data has a score of zero.
        return np.log(np.maximum(norms, np.finfo(np.float64).tiny))

    def _fit_reference(self, rows: Rows) -> None:
        from sklearn.covariance import OAS, ShrunkCovariance

        log_norms, self.shrinkage_ = self._log_norms(rows), _ABOVE_ROUNDING
        # Norms at neighbouring levels are nearly the same, and shrinkage hides how they differ.
        if len(rows) < _FEW_ROWS_PER_LEVEL * len(self.noise_levels):
            self.shrinkage_ = float(OAS().fit(log_norms).shrinkage_)
        covariance = ShrunkCovariance(shrinkage=self.shrinkage_).fit(log_norms)
        self.mean_, self.precision_ = covariance.location_, covariance.precision_

    def _restore(self, attributes: dict[str, Any]) -> None:
        n_levels = len(attributes["mean_"])
        if attributes["precision_"].shape != (n_levels, n_levels):  # SciPy reads past its end
            raise ValueError(f"the precision of {n_levels} norms has another shape")
        super()._restore(attributes)

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        log_norms = self._log_norms(rows)
        distances = cdist(log_norms, self.mean_[None], "mahalanobis", VI=self.precision_)
        return np.square(distances[:, 0])

    def scoring_module(self) -> nn.Module:
        """`ood_score` as a torch module, for `skood.export`."""
        model = self._exportable_model(ExportableScoreModel)
        norms = model.score_norms_module(tuple(self.noise_levels))
        distance = Mahalanobis(self.mean_, self.precision_)
        return ScoringModule(model.rows_, norms, distance)
