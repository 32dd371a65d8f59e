"""Layer-wise norms of the gradient of the log-likelihood."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from joblib import Memory
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skood.calibration import warn_if_few
from skood.core.estimator_protocols import NetworkModel
from skood.core.parameters import check_group_size
from skood.core.progress import shows_progress
from skood.core.protocols import InvertibleNetwork
from skood.core.rows import Rows, check_rows
from skood.detectors._layer_norms import LayerNorms
from skood.detectors._model_detector import ModelDetector
from skood.models import Glow
from skood.scores.gradient_norms import COMBINATIONS, LogNorms

__all__ = ["GradientNorm"]


# The usual demand on a test that is to tell individuals apart (Nunnally 1978): less than a third of
# the variance is noise.
_SMALLEST_REPEATABILITY = 0.7
_REPEATED_ROWS = 500


class GradientNorm(ModelDetector):
    """Out-of-distribution detection by how much a row would change each layer of the model.

    The gradient of a row's log-likelihood with respect to the weights says what the model would
    learn from the row. Its squared norms, layer by layer, are compared with those of normal rows
    that the model has not seen: a row is OOD if they are large, or in an unusual proportion. This
    works for any generative model, flows included, and often for one that is hardly trained (see
    ``Trainer(snapshot_epochs=...)``), and best for groups of rows from one source. It fails where
    images are changed in ways that the model is nearly indifferent to, such as turned ones, and a
    score costs a forward and a backward pass.

    Parameters
    ----------
    model : estimator, FrozenEstimator or None, default=None
        Any generative model of skood; None is ``Glow()``. Of models with latent variables it is
        the evidence lower bound that is differentiated, at one sample of them.
    combine : {"max", "mahalanobis", "one-sided", "gaussian"}, default="max"
        How the logarithms of the norms become one score. "mahalanobis" is their squared distance
        from the mean, correlations between layers taken out: norms in an unusual proportion.
        "one-sided" are the tests whether each norm is too large, together as Fisher did. "max" is
        the one of these two with the smaller tail probability among normal rows. "gaussian" is the
        distance from the mean on either side, each layer on its own (eq. 12).
    group_size : int, default=1
        Rows from one source that are judged together by `group_ood_score` and `group_p_values`:
        the gradient is that of the sum of their log-likelihoods. Rows can always be scored.
    layers : {"tensor", "module"}, default="tensor"
        What has a norm: each parameter tensor, or those of a module (weights and biases) together.
    fisher : {"identity", "diagonal"}, default="identity"
        Metric of the norm, an approximation of the Fisher information: "diagonal" divides each
        squared partial derivative by its mean over normal rows.
    target : {"auto", "log_likelihood", "latent_sum"}, default="auto"
        What is differentiated: the log-likelihood as the paper says, or the sum of a flow's base
        variables, as its published code does. "auto" is the former, unless its norms are more
        of the noise that is added to pixels than of the rows; see ``repeatability_``.
    fpr : float in (0, 1), default=0.05
        False positive rate: part of normal rows that `predict` may call -1.
    calibration_fraction : float in (0, 1), default=0.3
        Part of the rows kept out of training: more than for other detectors, since only one half of
        them sets the threshold. The other tells what is normal.
    memory : str, joblib.Memory or None, default=None
        Where trained models are kept, as in `sklearn.pipeline.Pipeline`.
    random_state : int, RandomState instance or None, default=None
        Rules the split, and the model if that has no ``random_state`` of its own. With ``memory``,
        or a ``checkpoint`` of the model's trainer, None is 0.
    verbose : int, default=0
        With 1, the progress of training and of scoring is shown.

    Attributes
    ----------
    target_ : str
        What "auto" stands for.
    repeatability_ : float
        Only with "auto": rank correlation of the norms of the log-likelihood's gradient, on normal
        rows, under two draws of the noise; median over layers. Flows below 0.7 take "latent_sum".
    layer_names_ : list of str
        Parameter tensors, or modules, that have a norm. Those without effect on the
        log-likelihood are left out.
    norms_ : LayerNorms
        How the norms of ``model_`` are found.
    log_norms_ : dict from int to LogNorms
        What is normal, for rows (1) and for groups of ``group_size``.
    calibration_group_scores_ : ndarray of shape (n_groups,), float64
        Scores of groups of calibration rows, where ``group_size`` is not 1.
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    See Also
    --------
    Likelihood, Typicality : What needs no gradient, and is fooled by simple images.

    Notes
    -----
    Montazeran et al., on layer-wise gradient norms of immature generative models, eqs. 8 to 12,
    after Dauncey et al. 2024. Departures of the defaults, argued for in docs/design.md and measured
    in docs/results.md:

    Eq. 12 takes the layers as independent, which they are not; "mahalanobis" mends that. But it
    counts all directions alike, and simple images can be less variable than normal ones in most of
    them. "one-sided" looks along the direction in which all norms grow, and is what eqs. 1 to 3 ask
    for: a row is abnormal if it would change the weights *much*. It misses rows with small
    gradients, which OOD images can have too. So the default takes both.

    A flow that has learned its data well has also learned how wide the noise is that is added to
    pixels, and the gradient of log p(x + noise) is then mostly one of the noise. The gradient of
    the base variables is not: it does not depend on how well they fit. It says how far the code of
    a row would move with the weights, which is the row's variance under uncertain weights.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import MAF, GradientNorm
    >>> X = np.random.default_rng(0).normal(size=(300, 5))
    >>> detector = GradientNorm(MAF(max_epochs=2), random_state=0).fit(X)
    >>> detector.predict(X[:3]).shape
    (3,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ModelDetector._parameter_constraints,
        "combine": [StrOptions({*COMBINATIONS})],
        "group_size": [Interval(Integral, 1, None, closed="left")],
        "layers": [StrOptions({"tensor", "module"})],
        "fisher": [StrOptions({"identity", "diagonal"})],
        "target": [StrOptions({"auto", "log_likelihood", "latent_sum"})],
    }
    _model_protocol = NetworkModel

    def __init__(
        self,
        model: Any = None,
        *,
        combine: str = "max",
        group_size: int = 1,
        layers: str = "tensor",
        fisher: str = "identity",
        target: str = "auto",
        fpr: float = 0.05,
        calibration_fraction: float = 0.3,
        memory: str | Memory | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.model = model
        self.combine = combine
        self.group_size = group_size
        self.layers = layers
        self.fisher = fisher
        self.target = target
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    layer_score_unit_ = "standard deviations"

    def _nested_default(self, name: str) -> Any:
        return Glow()

    @property
    def _reference_fraction(self) -> float:
        return 0.5

    def _check_layers(self, name: str, n_layers: int) -> None:
        if self.target == "latent_sum" and n_layers:
            self._refuse_latent_sum(name)

    def _refuse_latent_sum(self, name: str) -> None:
        raise ValueError(
            f"target='latent_sum' needs a flow, whose network has transform and inverse; {name} is "
            "none. Use target='log_likelihood'."
        )

    @property
    def _fewest_calibration_rows(self) -> int:
        return max(2, 4 * self.group_size)  # two groups that are normal, and two for the threshold

    def _fit_reference(self, rows: Rows) -> None:
        self.norms_ = (
            self._choose_norms(rows) if self.target == "auto" else self._norms(rows, self.target)
        )
        self.target_ = self.norms_.target
        sizes = {1, int(self.group_size)}
        squared = {size: self._squared(rows, size) for size in sizes}
        self.log_norms_ = {size: LogNorms.fit(squared[size]) for size in sizes}
        used = self.log_norms_[1].used
        self.layer_names_ = [name for name, u in zip(self.norms_.names, used, strict=True) if u]

    def _norms(self, rows: Rows, target: str) -> LayerNorms:
        if target == "latent_sum" and not isinstance(self.model_.network_, InvertibleNetwork):
            self._refuse_latent_sum(type(self.model_).__name__)
        X, options = self._of_model(rows), {"layers": self.layers, "fisher": self.fisher}
        return LayerNorms.fit(self.model_, X, target=target, **options)

    def _choose_norms(self, rows: Rows) -> LayerNorms:
        norms = self._norms(rows, "log_likelihood")
        some = self._of_model(rows[:_REPEATED_ROWS])
        self.repeatability_ = norms.repeatability(self.model_, some)
        has_latent_sum = isinstance(self.model_.network_, InvertibleNetwork)
        if has_latent_sum and self.repeatability_ < _SMALLEST_REPEATABILITY:
            return self._norms(rows, "latent_sum")
        return norms

    def _squared(self, rows: Rows, group_size: int) -> NDArray[np.float64]:
        rows = rows[: len(rows) // group_size * group_size]
        return self.norms_.squared(self.model_, self._of_model(rows), group_size)

    def _fit_threshold(self, rows: Rows) -> None:
        super()._fit_threshold(rows)
        if self.group_size > 1:
            self.calibration_group_scores_ = self._score_groups(rows, int(self.group_size))
            warn_if_few(len(self.calibration_group_scores_), self.fpr, "groups")

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        return self._score_groups(rows, 1)

    def _score_groups(self, rows: Rows, group_size: int) -> NDArray[np.float64]:
        self._check_fitted_for(group_size)
        squared = self._squared(rows, group_size)
        return COMBINATIONS[self.combine](squared, self.log_norms_[group_size])

    def _calibration_groups(self, group_size: int) -> NDArray[np.float64]:
        self._check_fitted_for(group_size)
        if group_size == 1:
            return super()._calibration_groups(1)
        return self.calibration_group_scores_

    def _check_fitted_for(self, group_size: int) -> None:
        if group_size not in self.log_norms_:
            fitted = " or ".join(map(str, sorted(self.log_norms_)))
            raise ValueError(
                f"group_size must be {fitted}, for which this {type(self).__name__} was fitted; "
                f"got {group_size}. Call set_params(group_size={group_size}) and fit."
            )

    def squared_norms(self, X: ArrayLike | Tensor, group_size: int = 1) -> NDArray[np.float64]:
        """Squared norms of the gradients, layer by layer, for consecutive groups of rows.

        Returns
        -------
        ndarray of shape (n // group_size, n_layers), float64
            Of the log-likelihood in nats, or the sum of latents, and divided by their mean squares
            where ``fisher="diagonal"``. Dead layers are included, see ``log_norms_[1].used``.
            `skood.scores.gradient_norms` makes scores of them.

        Raises
        ------
        ValueError
            If ``group_size`` is no positive integer that divides n.
        """
        check_is_fitted(self)
        rows = check_rows(self, X, reset=False)
        return self._squared(rows, check_group_size(group_size, len(rows)))

    @shows_progress
    def score_layers(self, X: ArrayLike | Tensor) -> NDArray[np.float64]:
        """Where a row is unusual: the log norm of each layer, compared with normal rows.

        Returns
        -------
        ndarray of shape (n, n_used_layers), float64
            Distance from the mean in standard deviations, in the order of ``layer_names_``;
            positive where the gradient is larger than usual.
        """
        rows = self._checked(X)
        return self.log_norms_[1].standardise(self._squared(rows, 1))
