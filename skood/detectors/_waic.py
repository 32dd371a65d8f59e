"""The mean log-likelihood of an ensemble, less its variance."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from joblib import Memory, effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import Interval
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, check_memory
from torch import Tensor

from skood.core.noise import Stream
from skood.core.parameters import draw_seed
from skood.core.rows import Rows, check_rows
from skood.detectors._log_likelihood import LogLikelihoodDetector
from skood.detectors._model_detector import unfrozen
from skood.detectors._shared_models import SharedModels
from skood.detectors._training import trained
from skood.scores.ensembles import waic

__all__ = ["WAIC"]


class WAIC(LogLikelihoodDetector):
    """Out-of-distribution detection by an ensemble: unlikely rows, and rows on which it disagrees.

    Models that differ in their random numbers alone agree on what the training rows determine, and
    less so elsewhere, so the variance of their log-likelihoods tells of rows unlike those. It sees
    what `Likelihood` sees, and of the rows that a single model finds too likely those on which the
    models disagree by more than they find them too likely. It fails where they all err alike, as on
    plain images, and costs as many trainings and passes as there are models.

    Parameters
    ----------
    model : estimator, FrozenEstimator or None, default=None
        Any generative model with ``random_state``; None is ``HVAE()``. The models are copies of it
        with different seeds. A `FrozenEstimator` is the first of them; the others are trained anew.
    n_models : int, default=5
        At least 2.
    fpr, n_importance_samples, calibration_fraction, memory, random_state, verbose
        As in `Likelihood`.
    n_jobs : int or None, default=None
        How many models are trained at the same time, see `joblib.Parallel`; None is 1, unless
        `joblib.parallel_config` says otherwise. The models are bitwise the same for any number.
        Each job uses as many threads as torch does here: where jobs and threads together are more
        than there are cores, call ``torch.set_num_threads`` first. Ctrl-C keeps the ensemble only
        during the training of its last model, if they are trained one by one; with ``memory`` the
        models that are trained are not lost.

    Attributes
    ----------
    models_ : dict from str to estimator
        "model", "model_2", "model_3" and so on.
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`; ``model_`` is the first of the models.

    See Also
    --------
    Typicality : The same rows, too likely for their number of values, seen with one model.

    Notes
    -----
    `ood_score` is ``-(E[log p(x)] - Var[log p(x)])`` over the models (Choi, Jang, Alemi: "WAIC, but
    Why? Generative Ensembles for Robust Anomaly Detection", 2018, arXiv:1810.01392, section 2),
    with the unbiased variance, and a lower bound for log p(x) where the models have latent
    variables. It adds nats and squared nats, so the variance counts the more, the more values a row
    has. Tight bounds agree: of VAEs on Fashion-MNIST, MNIST out, ``n_importance_samples=1`` has an
    AUROC of .75 where eight samples have .53 (docs/results.md). All models score with the noise of
    the first, so that they see the same binarised or dequantised x; of latent variables they see
    the same standard normal numbers.

    Models are trained in processes of joblib's own, and not in threads: small networks spend most
    of their time in Python, of which one thread runs at a time, and a thread cannot be stopped by
    Ctrl-C. These processes are not forks, so neither OpenMP nor a GPU is in the way.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import MAF, WAIC
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> detector = WAIC(MAF(max_epochs=3), n_models=2, random_state=0).fit(X)
    >>> detector.predict([[0, 0, 0], [9, 9, 9]])
    array([ 1, -1])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **LogLikelihoodDetector._parameter_constraints,
        "n_models": [Interval(Integral, 2, None, closed="left")],
        "n_jobs": [Integral, None],
    }
    _not_scoring = LogLikelihoodDetector._not_scoring | {"n_jobs"}

    def __init__(
        self,
        model: Any = None,
        n_models: int = 5,
        *,
        fpr: float = 0.05,
        n_importance_samples: int = 8,
        calibration_fraction: float = 0.2,
        memory: str | Memory | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.model = model
        self.n_models = n_models
        self.fpr = fpr
        self.n_importance_samples = n_importance_samples
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _is_frozen(self) -> bool:
        return False  # all models but the first are always trained

    def _unfitted_models(self, rows: Rows, seed: int) -> dict[str, Any]:
        first = self._unfitted("model", seed, rows)
        template = clone(unfrozen(first))
        if "random_state" not in template.get_params():
            raise ValueError(
                f"WAIC needs models that differ by their random_state, which "
                f"{type(template).__name__} does not have, so all {self.n_models} would be the "
                "same. Use a generative model of skood, or Likelihood."
            )
        own = seed if template.random_state is None else draw_seed(template.random_state)
        models = {"model": first}
        for i in range(2, self.n_models + 1):
            models[f"model_{i}"] = clone(template).set_params(random_state=_seed_of(own, i))
        return models

    def _train_all(self, shared: SharedModels, trainings: Mapping[str, tuple[Any, Rows]]) -> None:
        if effective_n_jobs(self.n_jobs) == 1 or shared.interrupt is not None:
            super()._train_all(shared, trainings)
            return
        memory, n_threads = check_memory(self.memory), torch.get_num_threads()
        jobs = (
            delayed(_trained_in_a_job)(model, rows, memory, n_threads)
            for model, rows in trainings.values()
        )
        shared.fitted.update(zip(trainings, Parallel(n_jobs=self.n_jobs)(jobs), strict=True))

    def _statistic(self, rows: Rows) -> NDArray[np.float64]:
        return -waic([self._log_likelihood(rows, name) for name in self.models_])

    def score(self, X: ArrayLike | Tensor, y: Any = None) -> float:
        """Mean held-out log-likelihood over rows and models, nats; the higher, the better."""
        check_is_fitted(self)
        rows = check_rows(self, X, reset=False)
        return float(np.mean([m.score(self._of_model(rows, n)) for n, m in self.models_.items()]))


def _seed_of(seed: int, i: int) -> int:
    sequence = np.random.SeedSequence([seed, Stream.ENSEMBLE, i])
    return int(sequence.generate_state(1)[0] // 2)  # scikit-learn's seeds have 32 bits


def _trained_in_a_job(model: Any, rows: Rows, memory: Memory, n_threads: int) -> Any:
    """`trained` with as many threads as there are outside: joblib's processes have other numbers.

    More threads add up gradients in another order.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        return trained(model, rows, memory)
    finally:
        torch.set_num_threads(before)
