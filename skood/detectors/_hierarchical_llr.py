"""Likelihood ratios within one hierarchical model."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from joblib import Memory
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skood.core.callers import stacklevel_of_user
from skood.core.estimator_protocols import DensityModel, ExportableDensityModel, LatentModel
from skood.core.progress import shows_progress
from skood.core.rows import Rows
from skood.detectors._model_detector import ModelDetector
from skood.detectors._scoring_modules import (
    AdaptiveRatio,
    LastRatio,
    MostSignificantRatio,
    OptimalRatio,
    RatioWithFloor,
    ScoringModule,
)
from skood.detectors._shared_models import SharedModels
from skood.scores.likelihood_floor import with_likelihood_floor
from skood.scores.ratios import (
    adaptive_likelihood_ratio,
    centre_and_spread,
    information_ratios,
    layer_contributions,
    likelihood_ratios,
    most_significant_ratio,
    optimal_likelihood_ratio,
    standardised_ratios,
)

__all__ = ["HierarchicalLLR"]


class HierarchicalLLR(ModelDetector):
    """Out-of-distribution detection by the likelihood ratio between a model's layers.

    A hierarchical model reconstructs OOD images well from its lowest latent layers, which encode
    edges and strokes, but badly from its top layers, which encode what normal images look like.
    The likelihood ratio compares the two, so it sees images of other *content* that the likelihood
    itself takes for normal. It fails where the top layers carry no information (posterior
    collapse, see `CollapseWarning`), and on images with nothing in them, such as black ones, which
    both reconstruct well. For tables, `Likelihood` with a flow is the better choice. Larger ``k``
    leaves out more detail; ``"max"`` needs no choice of it.

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
        or a ``checkpoint`` of the model's trainer, None is 0.
    verbose : int, default=0
        With 1, the progress of training and of scoring is shown.

    Attributes
    ----------
    reference_ratios_ : ndarray of shape (n_layers - 1, n_reference)
        LLR>k of the normal rows that ``k="max"`` refers to, nats: half of the calibration rows.
    reference_ratio_, reference_likelihood_ : float
        For real values and other ``k``: largest ratio and smallest likelihood, in nats, of a
        quarter of the calibration rows; see Notes.
    layer_names_, layer_score_unit_ : list of str, str
        Of `score_layers`.
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    See Also
    --------
    Likelihood : The plain likelihood, which this method mends.

    Notes
    -----
    On real values, such as tables, LLR>k = L - L>k has a blind spot: far from the training rows L
    falls faster than L>k, so the ratio of a row at 10^9 standard deviations is that of the most
    normal of rows. ``k="max"`` is two-sided and sees it. For other ``k`` a row that is less likely
    than every one of some normal rows has a score beyond the largest of these, by as many nats as
    its likelihood lacks; all other rows have the papers' number.

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
        **ModelDetector._parameter_constraints,
        "k": [Interval(Integral, 1, None, closed="left"), StrOptions({"ada", "opt", "max"})],
        "l": [Interval(Integral, 2, None, closed="left"), None],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "below": [StrOptions({"mean", "sample"})],
    }

    def __init__(
        self,
        model: Any = None,
        k: int | str = "max",
        *,
        l: int | None = None,
        fpr: float = 0.05,
        n_importance_samples: int = 8,
        below: str = "mean",
        calibration_fraction: float = 0.2,
        memory: str | Memory | None = None,
        random_state: Any = None,
        verbose: int = 0,
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
        self.verbose = verbose

    _model_protocol = LatentModel

    def _learn(
        self, rows: Rows, seed: int, shared: SharedModels | None = None
    ) -> BaseException | None:
        if rows.ndim == 2:
            warnings.warn(
                "HierarchicalLLR is made for images: on tables it detects worse than the distance "
                "to the nearest neighbours. Use CombinedDetector() there.",
                stacklevel=stacklevel_of_user(),
            )
        return super()._learn(rows, seed, shared)

    def _check_model(self, model: Any) -> None:
        has_layers = hasattr(model, "count_layers") or isinstance(model, Pipeline)
        if isinstance(model, DensityModel) and not has_layers:
            self._check_layers(type(model).__name__, 0)
        super()._check_model(model)

    def _check_layers(self, name: str, n_layers: int) -> None:
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
    def layer_names_(self) -> list[str]:
        """Columns of `score_layers`."""
        check_is_fitted(self)
        name = "LLR>" if self.k == "max" else "layer "
        return [f"{name}{i}" for i in range(1, self.model_.n_layers_)]

    @property
    def layer_score_unit_(self) -> str:
        """Unit of `score_layers`."""
        check_is_fitted(self)
        return "standard deviations" if self.k == "max" else "nats"

    @property
    def _reference_fraction(self) -> float:
        if self.k == "max":
            return 0.5
        return 0.25 if self._has_floor else 0.0

    @property
    def _has_floor(self) -> bool:
        """Whether rows far out need the likelihood beside the ratio."""
        return self.k != "max" and self._takes_real_values

    @property
    def _fewest_calibration_rows(self) -> int:
        return 2  # whether one is a reference is known once the model is

    def _fit_reference(self, rows: Rows) -> None:
        bounds, nll = self._bounds(rows)
        if self.k == "max":
            self.reference_ratios_ = likelihood_ratios(bounds)
        else:
            self.reference_ratio_ = float(self._ratio(bounds, nll).max())
            self.reference_likelihood_ = float(bounds[0].min())

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        bounds, nll = self._bounds(rows)
        ratio = self._ratio(bounds, nll)
        if not self._has_floor:
            return ratio
        return with_likelihood_floor(
            ratio,
            bounds[0],
            largest_ratio=self.reference_ratio_,
            smallest_log_likelihood=self.reference_likelihood_,
        )

    def _ratio(self, bounds: NDArray[np.float64], nll: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.k == "ada":
            return adaptive_likelihood_ratio(bounds, nll)
        if self.k == "opt":
            return optimal_likelihood_ratio(bounds, nll)
        if self.k == "max":
            return most_significant_ratio(likelihood_ratios(bounds), self.reference_ratios_)
        if self.l is not None and self._has_floor:
            bounds = bounds[1:]  # the first is the likelihood
        return likelihood_ratios(bounds)[-1]

    @shows_progress
    def score_layers(self, X: ArrayLike | Tensor) -> NDArray[np.float64]:
        """Where a row is unusual: what each latent layer adds to the ratio.

        Parameters
        ----------
        X : array-like of shape (n, ...)

        Returns
        -------
        ndarray of shape (n, n_layers - 1), float64
            Column k - 1 is LLR>k - LLR>k-1 in nats, what is lost when layer k comes from the prior
            as well: the higher, the more unusual is what that layer holds. With ``k="ada"`` it has
            its weight, and a row adds up to its `ood_score`; with an integer k and ``l=None`` the
            first k columns do. With ``k="max"`` it is instead the distance of LLR>k from its median
            on normal rows, in standard deviations and with its sign; `ood_score` is the
            largest in size.
        """
        bounds, nll = self._bounds(self._checked(X), every_layer=True)
        if self.k == "max":
            return standardised_ratios(likelihood_ratios(bounds), self.reference_ratios_).T
        weights = information_ratios(nll) if self.k == "ada" else 1.0
        return (weights * layer_contributions(bounds)).T

    def _bounds(
        self, rows: Rows, every_layer: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        bounds: tuple[NDArray[np.float64], NDArray[np.float64]] = self.model_.bounds(
            self._of_model(rows),
            n_importance_samples=self.n_importance_samples,
            below=self.below,
            prior_layers=None if every_layer else self._prior_layers(),
        )
        return bounds

    def _prior_layers(self) -> Sequence[Collection[int]] | None:
        """Of the bounds that the score is made of; None is L>k for every k."""
        if not isinstance(self.k, Integral):
            return None
        prior_layers: list[Collection[int]] = [(), range(1, int(self.k) + 1)]
        if self.l is not None:
            prior_layers[0] = range(self.l, self.model_.n_layers_ + 1)
        return [(), *prior_layers] if self.l is not None and self._has_floor else prior_layers

    def scoring_module(self) -> nn.Module:
        """`ood_score` as a torch module, for `skood.export`."""
        model = self._exportable_model(ExportableDensityModel)
        bounds = model.bounds_module(
            n_importance_samples=self.n_importance_samples,
            below=self.below,
            prior_layers=self._prior_layers(),
        )
        return ScoringModule(model.rows_, bounds, self._ratio_module())

    def _ratio_module(self) -> nn.Module:
        if self.k == "max":
            return MostSignificantRatio(*centre_and_spread(self.reference_ratios_))
        ratio = {"ada": AdaptiveRatio, "opt": OptimalRatio}.get(str(self.k), LastRatio)()
        if not self._has_floor:
            return ratio
        return RatioWithFloor(ratio, self.reference_ratio_, self.reference_likelihood_)
