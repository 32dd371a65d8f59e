"""Likelihood ratios within one hierarchical model."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from skood.detectors._base import BaseDetector
from skood.scores.ratios import (
    adaptive_likelihood_ratio,
    likelihood_ratios,
    most_significant_ratio,
    optimal_likelihood_ratio,
)

__all__ = ["HierarchicalLLR"]


class HierarchicalLLR(BaseDetector):
    """Out-of-distribution detection by the likelihood ratio between a model's layers.

    A hierarchical model rebuilds strange inputs well from its lowest layers, which know edges and
    strokes, but badly from its top layers, which know what normal things look like. The ratio
    compares the two: it is large where the top layers do not explain what the bottom ones saw.

    Parameters
    ----------
    model : estimator, FrozenEstimator or None, default=None
        A hierarchical model of at least two latent layers, such as `HVAE`; None is ``HVAE()``. In
        ``FrozenEstimator`` it is not trained again, and the rows given to `fit` only calibrate.
    k : int or {"max", "ada", "opt"}, default="max"
        How many of the layers nearest to x are taken from the prior: 1 to n_layers - 1. ``"max"``
        takes for each row the one whose ratio is most unusual compared with normal rows (Havtorn et
        al. 2021, section 5); ``"ada"`` sums over all of them, weighted by the information lost at
        each (Li et al. 2022, eq. 11); ``"opt"`` takes the one at which most is lost (their
        appendix L).
    fpr : float in (0, 1), default=0.05
        False positive rate: part of normal rows that `predict` may call -1.
    n_importance_samples : int, default=8
        Samples of the latent variables in every bound: the more, the sharper and the slower.
    below : {"mean", "sample"}, default="mean"
        Whether layers taken from the prior are its mean, as in the code of Havtorn et al., or a
        sample, as in their eq. 5. Means separate better at few samples.
    calibration_fraction : float in (0, 1), default=0.2
        Part of the rows kept out of training to set the threshold. Not used with `FrozenEstimator`.
    memory : str, joblib.Memory or None, default=None
        Where trained models are kept, as in `sklearn.pipeline.Pipeline`: other values of ``k`` or
        ``fpr`` on the same rows then train nothing.
    random_state : int, RandomState instance or None, default=None
        Rules the split, and the model if that has no ``random_state`` of its own. With ``memory``,
        None is 0.

    Attributes
    ----------
    reference_ratios_ : ndarray of shape (n_layers - 1, n_reference)
        LLR>k of the normal rows that ``k="max"`` refers to, nats: half of the calibration rows.
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `BaseDetector`.

    See Also
    --------
    Likelihood : The plain likelihood, which this method mends.

    References
    ----------
    Havtorn, Frellsen, Hauberg, Maaloe: Hierarchical VAEs Know What They Don't Know, ICML 2021.
    Li et al.: Out-of-Distribution Detection with an Adaptive Likelihood Ratio on Informative
    Hierarchical VAE, NeurIPS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import HVAE, HierarchicalLLR
    >>> X = np.random.default_rng(0).normal(size=(300, 5))
    >>> detector = HierarchicalLLR(HVAE(max_epochs=2), k=1, random_state=0).fit(X)
    >>> detector.predict(X[:3]).shape
    (3,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseDetector._parameter_constraints,
        "k": [Interval(Integral, 1, None, closed="left"), StrOptions({"ada", "opt", "max"})],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "below": [StrOptions({"mean", "sample"})],
    }

    def __init__(
        self,
        model=None,
        k="max",
        *,
        fpr=0.05,
        n_importance_samples=8,
        below="mean",
        calibration_fraction=0.2,
        memory=None,
        random_state=None,
    ):
        self.model = model
        self.k = k
        self.fpr = fpr
        self.n_importance_samples = n_importance_samples
        self.below = below
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.random_state = random_state

    def _check_layers(self, name, n_layers):
        if n_layers < 2:
            raise ValueError(
                f"HierarchicalLLR needs a model with at least 2 latent layers; {name} has "
                f"{n_layers}. Use Likelihood or Typicality."
            )
        if isinstance(self.k, Integral) and self.k >= n_layers:
            raise ValueError(
                f"k={self.k} is out of range: {name} has {n_layers} latent layers, so k must be "
                f"from 1 to {n_layers - 1}, or 'ada', 'opt' or 'max'."
            )

    @property
    def _reference_fraction(self):
        return 0.5 if self.k == "max" else 0.0

    def _fit_reference(self, X):
        self.reference_ratios_ = likelihood_ratios(self._bounds(X)[0])

    def _statistic(self, X):
        bounds, nll = self._bounds(X)
        if self.k == "ada":
            return adaptive_likelihood_ratio(bounds, nll)
        if self.k == "opt":
            return optimal_likelihood_ratio(bounds, nll)
        if self.k == "max":
            return most_significant_ratio(likelihood_ratios(bounds), self.reference_ratios_)
        return likelihood_ratios(bounds)[-1]

    def _bounds(self, X):
        return self.model_.bounds(
            X,
            n_importance_samples=self.n_importance_samples,
            prior_mean=self.below == "mean",
            layers=(0, self.k) if isinstance(self.k, Integral) else None,
        )
