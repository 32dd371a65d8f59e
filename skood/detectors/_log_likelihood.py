"""What detectors share whose score is made of log-likelihoods."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from skood.core.estimator_protocols import LatentModel
from skood.core.rows import Rows
from skood.detectors._model_detector import ModelDetector
from skood.models._density import BaseDensity

__all__ = ["LogLikelihoodDetector"]


class LogLikelihoodDetector(ModelDetector):
    """Base of the detectors that ask one model or several for log p(x), or its lower bound."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ModelDetector._parameter_constraints,
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
    }
    n_importance_samples: int

    def _log_likelihood(self, rows: Rows, name: str = "model") -> NDArray[np.float64]:
        """Of each row under one of ``models_``, nats; all of them see the noise of ``model_``."""
        model, X = self.models_[name], self._of_model(rows, name)
        if isinstance(model, BaseDensity) and isinstance(self.model_, BaseDensity):
            model = model.with_scoring_noise_of(self.model_)
        if not isinstance(model, LatentModel):
            return np.asarray(model.score_samples(X), dtype=np.float64)
        return model.score_samples(X, n_importance_samples=self.n_importance_samples)
