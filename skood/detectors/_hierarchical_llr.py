"""Likelihood ratios within one hierarchical model."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skood.core.validation import check_rows
from skood.detectors._base import BaseDetector
from skood.scores.ratios import (
    adaptive_likelihood_ratio,
    information_ratios,
    layer_contributions,
    likelihood_ratios,
    most_significant_ratio,
    optimal_likelihood_ratio,
    standardised_ratios,
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
    l : int or None, default=None
        With an integer ``k``: the layers from l on come from the prior in the bound that the ratio
        starts from, which is then LLR>k<l = L<l - L>k (Havtorn et al. 2021, eq. 21): it looks at
        the layers below l, and at how well they do without those above. 2 to n_layers; None is
        the ordinary bound, LLR>k.
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
    layer_names_, layer_score_unit_ : list of str, str
        Names of the columns of `score_layers`, and their unit.
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
        "l": [Interval(Integral, 2, None, closed="left"), None],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "below": [StrOptions({"mean", "sample"})],
    }

    def __init__(
        self,
        model=None,
        k="max",
        *,
        l=None,
        fpr=0.05,
        n_importance_samples=8,
        below="mean",
        calibration_fraction=0.2,
        memory=None,
        random_state=None,
    ):
        self.model = model
        self.k = k
        self.l = l
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
                f"{n_layers}. Use Likelihood, Typicality or GradientNorm."
            )
        if isinstance(self.k, Integral) and self.k >= n_layers:
            raise ValueError(
                f"k={self.k} is out of range: {name} has {n_layers} latent layers, so k must be "
                f"from 1 to {n_layers - 1}, or 'ada', 'opt' or 'max'."
            )
        if self.l is not None and not isinstance(self.k, Integral):
            raise ValueError(f"l={self.l} needs an integer k; got k={self.k!r}. Use l=None.")
        if self.l is not None and self.l > n_layers:
            raise ValueError(
                f"l={self.l} is out of range: {name} has {n_layers} latent layers, so l must be "
                f"from 2 to {n_layers}, or None."
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

    @property
    def layer_names_(self) -> list[str]:
        """Names of the columns of `score_layers`."""
        check_is_fitted(self)
        name = "LLR>" if self.k == "max" else "layer "
        return [f"{name}{i}" for i in range(1, self.model_.network_.n_layers)]

    @property
    def layer_score_unit_(self) -> str:
        """Unit of `score_layers`, which depends on ``k``."""
        check_is_fitted(self)
        return "standard deviations" if self.k == "max" else "nats"

    def score_layers(self, X):
        """Where a row is strange: what each latent layer adds to the ratio.

        Parameters
        ----------
        X : array-like of shape (n, ...)

        Returns
        -------
        ndarray of shape (n, n_layers - 1), float64
            Column k - 1 is LLR>k - LLR>k-1 in nats, what is lost when layer k comes from the prior
            as well: the higher, the stranger is what that layer holds. With ``k="ada"`` it has its
            weight, and a row adds up to its `ood_score`; with an integer k and ``l=None`` the
            first k columns do. With ``k="max"`` it is instead the distance of LLR>k from its median
            on normal rows, in standard deviations and with its sign; `ood_score` is the
            largest in size.
        """
        check_is_fitted(self)
        self._check_scoring_parameters()
        X = check_rows(self, X, reset=False)
        bounds, nll = self._bounds(X, every_layer=True)
        if self.k == "max":
            return standardised_ratios(likelihood_ratios(bounds), self.reference_ratios_).T
        weights = information_ratios(nll) if self.k == "ada" else 1.0
        return (weights * layer_contributions(bounds)).T

    def _bounds(self, X, every_layer=False):
        prior_layers = None
        if isinstance(self.k, Integral) and not every_layer:
            n_layers = self.model_.network_.n_layers
            first = () if self.l is None else range(self.l, n_layers + 1)
            prior_layers = [first, range(1, self.k + 1)]
        return self.model_.bounds(
            X,
            n_importance_samples=self.n_importance_samples,
            prior_mean=self.below == "mean",
            prior_layers=prior_layers,
        )
