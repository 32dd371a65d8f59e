"""The plain likelihood as a detector."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import Memory
from numpy.typing import NDArray
from torch import nn

from skood.core.estimator_protocols import ExportableDensityModel
from skood.core.rows import Rows
from skood.detectors._log_likelihood import LogLikelihoodDetector
from skood.detectors._scoring_modules import NegativeBound, ScoringModule

__all__ = ["Likelihood"]


class Likelihood(LogLikelihoodDetector):
    """Out-of-distribution detection by the negative log-likelihood: the baseline.

    A row is OOD if the model finds it improbable. On tables of real numbers, where unusual rows lie
    far out, that is a good detector, with a flow such as ``MAF``. On images it fails: simple ones
    are *more* likely than normal ones, whatever they show.

    Parameters
    ----------
    model : estimator, FrozenEstimator or None, default=None
        Any generative model, or another density estimator with ``score_samples`` and ``score``,
        such as `sklearn.mixture.GaussianMixture`; None is ``HVAE()``.
    fpr : float in (0, 1), default=0.05
        False positive rate: part of normal rows that `predict` may call -1.
    n_importance_samples : int, default=8
        Samples of the latent variables in the bound, for models that have them.
    calibration_fraction : float in (0, 1), default=0.2
        Part of the rows kept out of training to set the threshold.
    memory : str, joblib.Memory or None, default=None
        Where trained models are kept, as in `sklearn.pipeline.Pipeline`.
    random_state : int, RandomState instance or None, default=None
        Rules the split, and the model if that has no ``random_state`` of its own. With ``memory``,
        or a ``checkpoint`` of the model's trainer, None is 0.
    verbose : int, default=0
        With 1, the progress of training and of scoring is shown.

    Attributes
    ----------
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    See Also
    --------
    HierarchicalLLR : Use this for images: simple images are *more* likely than normal ones.

    Notes
    -----
    `ood_score` is -log p(x), or minus its lower bound, in nats (Bishop 1994). Nalisnick et al.
    2019 showed that it fails on images.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import MAF, Likelihood
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> detector = Likelihood(MAF(max_epochs=5), random_state=0).fit(X)
    >>> detector.predict([[0, 0, 0], [9, 9, 9]])
    array([ 1, -1])
    """

    def __init__(
        self,
        model: Any = None,
        *,
        fpr: float = 0.05,
        n_importance_samples: int = 8,
        calibration_fraction: float = 0.2,
        memory: str | Memory | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.model = model
        self.fpr = fpr
        self.n_importance_samples = n_importance_samples
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        return -self._log_likelihood(rows)

    def scoring_module(self) -> nn.Module:
        """`ood_score` as a torch module, for `skood.export`."""
        model = self._exportable_model(ExportableDensityModel)
        bound = model.bounds_module(
            n_importance_samples=self.n_importance_samples, prior_layers=[()]
        )
        return ScoringModule(model.rows_, bound, NegativeBound(), *self._modules_of_score())

    def _modules_of_score(self) -> tuple[nn.Module, ...]:
        """From the statistic of each row to its score: `_combine`, for single rows."""
        return ()
