"""The likelihood ratio between a model and one of the background."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from joblib import Memory
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval

from skood.core.data_kinds import kind_for
from skood.core.noise import Stream
from skood.core.rows import Rows
from skood.detectors._log_likelihood import LogLikelihoodDetector
from skood.detectors._model_detector import unfrozen
from skood.detectors._perturbed_rows import perturbed
from skood.models import VAE
from skood.scores.likelihood_floor import with_likelihood_floor

__all__ = ["BackgroundLikelihoodRatio"]


class BackgroundLikelihoodRatio(LogLikelihoodDetector):
    """Out-of-distribution detection by the likelihood ratio between a model and a background model.

    The background model is trained on normal rows of which a part of the values were replaced by
    random ones: it knows how values are distributed and how neighbours go together, but not what
    rows show. Both models find simple images too likely, and in the ratio that cancels. It sees
    rows whose structure is not that of normal ones; it fails where the background model knows that
    structure too, as a strong model may with few values replaced, on rows that are all background,
    such as black images, and where OOD rows have more of the structure than normal ones. It costs
    two trainings and two passes.

    Parameters
    ----------
    model : estimator, FrozenEstimator or None, default=None
        As in `Likelihood`; None is ``VAE(likelihood="levels")``: for grey images the model must
        know 256 levels, see Notes.
    background : estimator, FrozenEstimator or None, default=None
        The model to be trained on perturbed rows; None is an untrained copy of ``model``.
    mutation_rate : float in (0, 1), default=0.3
        Part of the values that are replaced: pixels by any of 256 levels, real numbers by that of
        another row at the same place. See Notes.
    fpr, n_importance_samples, calibration_fraction, memory, random_state, verbose
        As in `Likelihood`. Of real numbers, such as tables, a quarter of the calibration rows sets
        the floor of the likelihood, see Notes.

    Attributes
    ----------
    models_ : dict from str to estimator
        "model" and "background".
    reference_ratio_, reference_likelihood_ : float
        Of real numbers: largest ratio and smallest likelihood of those normal rows, nats.
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`; ``model_`` is the one of normal rows.

    See Also
    --------
    HierarchicalLLR : Takes both sides of the ratio from one model.

    Notes
    -----
    `ood_score` is ``log p_background(x) - log p(x)``, nats (Ren, Liu, Fertig, Snoek, Poplin,
    DePristo, Dillon, Lakshminarayanan: "Likelihood Ratios for Out-of-Distribution Detection",
    NeurIPS 2019, arXiv:1906.02845, section 3, eqs. 4 and 5), or the difference of the bounds of
    models with latent variables. Both models see the same noise.

    *The rate.* Ren et al. chose among rates of 0.1 to 0.3 (and weight decays) with OOD images of
    another kind, which nobody has who needs this detector. The ratio is meant to cancel what single
    values and pairs of neighbours say, and to keep what only many values together say. Under a rate
    r, any k given values of a row are left as they were with probability (1 - r)^k. The default
    leaves half of the pairs, 1 - r = 0.7: enough for the background model to learn every marginal
    and every dependence of two values, while of any 8 values 6 % are intact, and of 16 0.3 %. It
    rests on no data, OOD or not, so it may be far from the best rate. A likelihood of normal rows
    cannot tell it: that of the background model falls from rate 0 to rate 1, where the ratio is the
    likelihood itself, without anything to choose on the way.

    *Levels.* The models of Ren et al. are of pixels with 256 levels, among which a replaced pixel
    stands out: a background model that expects it gives any level a probability of at least about
    r / 256, and so finds surprising pixels far more likely than the model does, and others hardly
    less. ``HVAE()`` binarises grey images, and of two values a replaced one is half of the time the
    right one. The ratio then mostly counts pixels that are easy to predict, of which simple images
    have more.

    *Real numbers.* As in `HierarchicalLLR`, a row less likely than all of some normal rows has a
    score beyond the largest of theirs, by as many nats as its likelihood lacks: far out, a
    background model without correlations falls faster than the model itself.

    *Departures.* Rows are perturbed once, before the training, and held in memory. There is no
    weight decay.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import BackgroundLikelihoodRatio, Gaussian
    >>> x = np.random.default_rng(0).normal(size=(1000, 1))
    >>> X = x + 0.3 * np.random.default_rng(1).normal(size=(1000, 5))
    >>> detector = BackgroundLikelihoodRatio(Gaussian(), random_state=0).fit(X)
    >>> detector.predict([[1, 1, 1, 1, 1], [1, -1, 1, -1, 1]])  # the columns go together
    array([ 1, -1])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **LogLikelihoodDetector._parameter_constraints,
        "background": [HasMethods(["fit"]), FrozenEstimator, None],
        "mutation_rate": [Interval(Real, 0, 1, closed="neither")],
    }
    _model_parameters = ("model", "background")
    _not_scoring = LogLikelihoodDetector._not_scoring | {"background"}

    def __init__(
        self,
        model: Any = None,
        background: Any = None,
        *,
        mutation_rate: float = 0.3,
        fpr: float = 0.05,
        n_importance_samples: int = 8,
        calibration_fraction: float = 0.2,
        memory: str | Memory | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.model = model
        self.background = background
        self.mutation_rate = mutation_rate
        self.fpr = fpr
        self.n_importance_samples = n_importance_samples
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def _nested_default(self, name: str) -> Any:
        if name == "background" and self.model is not None:
            return clone(unfrozen(self.model))
        return VAE(likelihood="levels")

    def _trainings(self, rows: Rows, seed: int) -> dict[str, tuple[Any, Rows]]:
        trainings = super()._trainings(rows, seed)
        model, background = (trainings[name][0] for name in self._model_parameters)
        if isinstance(background, FrozenEstimator):
            return trainings
        kind = kind_for(unfrozen(model), rows)
        if "data_kind" in background.get_params():
            background.set_params(data_kind=kind)  # the perturbed rows may look like another one
        rng = np.random.default_rng([seed, Stream.PERTURBATION])
        trainings["background"] = background, perturbed(rows, self.mutation_rate, kind, rng)
        return trainings

    @property
    def _reference_fraction(self) -> float:
        return 0.25 if self._takes_real_values else 0.0

    @property
    def _fewest_calibration_rows(self) -> int:
        return 2  # whether one is a reference is known once the model is

    def _fit_reference(self, rows: Rows) -> None:
        log_likelihood = self._log_likelihood(rows)
        ratio = self._log_likelihood(rows, "background") - log_likelihood
        self.reference_ratio_ = float(ratio.max())
        self.reference_likelihood_ = float(log_likelihood.min())

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        log_likelihood = self._log_likelihood(rows)
        ratio = self._log_likelihood(rows, "background") - log_likelihood
        if not self._takes_real_values:
            return ratio
        return with_likelihood_floor(
            ratio,
            log_likelihood,
            largest_ratio=self.reference_ratio_,
            smallest_log_likelihood=self.reference_likelihood_,
        )
