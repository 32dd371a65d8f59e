"""Any outlier detector or density of scikit-learn, at a false positive rate that holds."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted

from skood.core.row_spec import RowSpec
from skood.core.rows import Rows
from skood.detectors._calibrated import CalibratedDetector
from skood.detectors._isolation_trees import IsolationTrees
from skood.detectors._shared_models import SharedModels

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
        The fitted estimator; after saving and loading, the `IsolationTrees` of an isolation forest.
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

    def _learn(self, rows: Rows, seed: int, shared: SharedModels | None = None) -> None:
        if isinstance(self.estimator, FrozenEstimator):
            self.estimator_ = self.estimator.estimator
            return
        self.rows_ = RowSpec.of(rows)
        estimator = _forest_class()() if self.estimator is None else clone(self.estimator)
        seeds = [name for name in estimator.get_params() if _is_seed(name)]  # of its parts, too
        unset = [name for name in seeds if estimator.get_params()[name] is None]
        estimator.set_params(**dict.fromkeys(unset, seed % 2**32))
        self.estimator_ = estimator.fit(self._given(rows, estimator))

    def _check_learnable(self, rows: Rows) -> None:
        estimator = self.estimator.estimator if self._is_frozen else self.estimator
        if estimator is not None and not hasattr(estimator, "score_samples"):
            raise ValueError(
                f"{type(self).__name__} asks its estimator for score_samples, which "
                f"{estimator!r} lacks. Use one that has it, such as IsolationForest() or "
                "LocalOutlierFactor(novelty=True)."
            )
        if self._is_frozen:
            check_is_fitted(estimator)

    def _calibrate(self, rows: Rows) -> None:
        if self._is_frozen:  # what it was fitted on is not known
            self.rows_ = RowSpec.of(rows)
        super()._calibrate(rows)

    def _to_save(self) -> dict[str, Any]:
        attributes = super()._to_save()
        # The trees of scikit-learn crash the process where a file has wrong numbers in them.
        if type(self.estimator_) is _forest_class():
            attributes["estimator_"] = IsolationTrees.of(self.estimator_)
        return attributes

    def _given(self, rows: Rows, estimator: Any) -> Any:
        """Rows as the estimator takes them."""
        if rows.ndim == 2:
            return rows.as_known_to(estimator)
        return rows.as_vectors() if self.flatten else np.asarray(rows)

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        self.rows_.check(type(self).__name__, rows)
        X = self._given(rows, self.estimator_)
        return -np.asarray(self.estimator_.score_samples(X), dtype=np.float64)


def _forest_class() -> type:
    """The default, imported where it is needed: a process that only scores needs it not."""
    from sklearn.ensemble import IsolationForest

    forest: type = IsolationForest
    return forest


def _is_seed(name: str) -> bool:
    return name.rpartition("__")[2] == "random_state"
