"""Any outlier detector or density of scikit-learn, at a false positive rate that holds."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted

from skood.core.row_spec import RowSpec
from skood.core.rows import Rows
from skood.detectors._calibrated import CalibratedDetector

__all__ = ["ConformalDetector"]


class ConformalDetector(CalibratedDetector):
    """A scikit-learn estimator with ``score_samples``, with a threshold that keeps its promise.

    An outlier detector or a density scores the rows that it was fitted on as more normal than
    fresh ones, so a threshold set on them flags too many: a Gaussian mixture easily four times as
    many as asked for. Here rows that the estimator has not seen set it (split conformal
    prediction), and give p-values for rows and groups. It sees what the estimator sees.

    Parameters
    ----------
    estimator : estimator, FrozenEstimator or None, default=None
        With ``fit`` and ``score_samples``, the lower, the more abnormal: such as `IsolationForest`,
        `GaussianMixture`, `KernelDensity`, `OneClassSVM`, ``LocalOutlierFactor(novelty=True)``, or
        a `Pipeline` that ends in one; None is ``IsolationForest()``. A `FrozenEstimator` is not
        fitted again, and all rows, which it must not have seen, set the threshold.
    flatten : bool, default=True
        Whether images are handed on as one vector each. False is for a Pipeline that starts with an
        embedding of images.
    fpr : float in (0, 1), default=0.05
        False positive rate: part of normal rows that `predict` may call -1.
    calibration_fraction : float in (0, 1), default=0.2
        Part of the rows that the estimator is not fitted on, to set the threshold.
    random_state : int, RandomState instance or None, default=None
        Rules the split, and the estimator if that has no ``random_state`` of its own.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    rows_ : RowSpec
        Shape, kind and units of the rows; new ones on another scale are refused.
    calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    See Also
    --------
    CombinedDetector : Lets it speak beside other detectors.

    Notes
    -----
    `ood_score` is minus the estimator's ``score_samples``. The threshold is that of R. Laxhammar,
    G. Falkman: "Inductive conformal anomaly detection for sequential detection of anomalous
    sub-trajectories", Annals of Mathematics and Artificial Intelligence 74, 2015; see
    `skood.calibration`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.mixture import GaussianMixture
    >>> from skood import ConformalDetector
    >>> X = np.random.default_rng(0).normal(size=(1000, 20))
    >>> detector = ConformalDetector(GaussianMixture(5), random_state=0).fit(X)
    >>> fresh = np.random.default_rng(1).normal(size=(1000, 20))
    >>> bool(np.mean(detector.predict(fresh) == -1) < 0.08)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CalibratedDetector._parameter_constraints,
        "estimator": [HasMethods(["fit"]), None],
        "flatten": ["boolean"],
    }
    _not_scoring = CalibratedDetector._not_scoring | {"estimator"}

    def __init__(
        self,
        estimator: Any = None,
        *,
        flatten: bool = True,
        fpr: float = 0.05,
        calibration_fraction: float = 0.2,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.flatten = flatten
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    @property
    def _is_frozen(self) -> bool:
        return isinstance(self.estimator, FrozenEstimator)

    def _learn(self, rows: Rows, seed: int, shared: dict[str, Any] | None = None) -> None:
        self.rows_ = RowSpec.of(rows)
        if isinstance(self.estimator, FrozenEstimator):
            check_is_fitted(self.estimator.estimator)
            self.estimator_ = self._checked_estimator(self.estimator.estimator)
            return
        estimator = IsolationForest() if self.estimator is None else clone(self.estimator)
        if estimator.get_params().get("random_state", seed) is None:
            estimator.set_params(random_state=seed % 2**32)
        self.estimator_ = self._checked_estimator(estimator).fit(self._given(rows))

    def _checked_estimator(self, estimator: Any) -> Any:
        if not hasattr(estimator, "score_samples"):
            raise ValueError(
                f"{type(self).__name__} asks its estimator for score_samples, which "
                f"{estimator!r} lacks. Use one that has it, such as IsolationForest() or "
                "LocalOutlierFactor(novelty=True)."
            )
        return estimator

    def _given(self, rows: Rows) -> Any:
        """Rows as the estimator takes them."""
        if rows.ndim == 2:
            return rows.as_given()
        X = np.asarray(rows)
        return X.reshape(len(X), -1) if self.flatten else X

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        self.rows_.check(type(self).__name__, rows)
        return -np.asarray(self.estimator_.score_samples(self._given(rows)), dtype=np.float64)
