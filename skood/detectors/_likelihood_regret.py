"""What a row gains in likelihood when the posterior is fitted to it alone."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from joblib import Memory
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from skood.core.estimator_protocols import RefittableModel
from skood.core.rows import Rows
from skood.detectors._model_detector import ModelDetector
from skood.models import VAE

__all__ = ["LikelihoodRegret"]


class LikelihoodRegret(ModelDetector):
    """Out-of-distribution detection by how much the encoder falls short of the best posterior.

    The encoder of a variational autoencoder has learned the posterior of normal rows, and of those
    alone. So the bound of log p(x) gains little when the posterior is fitted to a normal row by
    itself, and much for a row that the encoder does not know, such as an image of other contents or
    of noise. It fails where the encoder still serves an OOD row well, or the decoder has nothing
    better to offer: images that are blurred, turned or a little noisy. A score costs about three
    hundred passes through the decoder.

    Parameters
    ----------
    model : estimator, FrozenEstimator or None, default=None
        A generative model of skood with latent variables; None is ``VAE(likelihood="levels")``:
        pixels have 256 levels, as in the paper, and a larger regret than binarised ones. For images
        ``VAE(likelihood="discretized_logistic")`` has them too and is about eight times as fast.
    n_steps : int, default=100
        Of Adam, for the posterior of a row; the time is proportional to it. The paper has 100.
    learning_rate : float, default=0.03
        In units of the latent variables, see Notes.
    fpr : float in (0, 1), default=0.05
        False positive rate: part of normal rows that `predict` may call -1.
    n_importance_samples : int, default=16
        Samples of the latent variables in both bounds, which share their random numbers.
    calibration_fraction, memory, random_state, verbose
        As in `Likelihood`.

    Attributes
    ----------
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    See Also
    --------
    HierarchicalLLR : Compares bounds of one posterior, in a hundredth of the time.

    Notes
    -----
    `ood_score` is ``L(x; q_x) - L(x; q)``, nats: the bound under the posterior q_x fitted to x
    minus that under the encoder's (Xiao, Yan, Amit: "Likelihood Regret: An Out-of-Distribution
    Detection Score For Variational Auto-encoder", NeurIPS 2020, arXiv:2003.02977, section 3).

    The paper and its code fit a copy of the encoder to each row, one row at a time. Here it is the
    mean and the standard deviation of each latent variable, which the paper has as a variant: they
    are all that the encoder of a VAE can say of a row, they take a thousandth of the memory, and
    with them the rows of a batch are fitted at once. A batch of copies of the encoder takes longer
    than one copy after the other (docs/results.md), so there is no such option.

    All latent layers are fitted, since the regret is that of the whole posterior: with a part of
    them it would depend on how a model shares its information out. Of a hierarchy the fitted
    posterior has independent layers, see `VAE.refitted_bounds`, and regrets may be negative.

    Latent variables being on the scale of a standard normal prior, 100 steps of 0.03 can move a
    mean by three standard deviations. Of 0.01, 0.03 and 0.1 it gave the largest bound of normal
    images (docs/results.md).

    Examples
    --------
    >>> import numpy as np
    >>> from skood import VAE, LikelihoodRegret
    >>> X = np.random.default_rng(0).normal(size=(300, 2)) @ [[1, 1, 0, 2], [0, 1, 3, 1]]
    >>> detector = LikelihoodRegret(VAE(2, max_epochs=30), n_steps=20, random_state=0).fit(X)
    >>> detector.predict(X[:3]).shape
    (3,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ModelDetector._parameter_constraints,
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
    }
    _model_protocol = RefittableModel

    def __init__(
        self,
        model: Any = None,
        *,
        n_steps: int = 100,
        learning_rate: float = 0.03,
        fpr: float = 0.05,
        n_importance_samples: int = 16,
        calibration_fraction: float = 0.2,
        memory: str | Memory | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.model = model
        self.n_steps = n_steps
        self.learning_rate = learning_rate
        self.fpr = fpr
        self.n_importance_samples = n_importance_samples
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def _nested_default(self, name: str) -> Any:
        return VAE(likelihood="levels")

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        X, n_samples = self._of_model(rows), self.n_importance_samples
        refitted: NDArray[np.float64] = self.model_.refitted_bounds(
            X,
            n_steps=self.n_steps,
            learning_rate=self.learning_rate,
            n_importance_samples=n_samples,
        )
        return refitted - self.model_.score_samples(X, n_importance_samples=n_samples)
