"""The density of a model's own statistics."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import numpy as np
import torch
from joblib import Memory
from numpy.typing import NDArray
from torch import Tensor, nn

from skood.core.estimator_protocols import NetworkModel
from skood.core.noise import Noise
from skood.core.protocols import DensityNetwork, InvertibleNetwork
from skood.core.rows import Rows
from skood.detectors._model_detector import ModelDetector
from skood.scores.density import LogDensity

__all__ = ["DoSE"]

_Floats = NDArray[np.float64]

# A density in one dimension needs no more, and each takes time in every score.
_MOST_REFERENCE_ROWS = 1_000


class DoSE(ModelDetector):
    """Out-of-distribution detection by how unusual a model's statistics of a row are.

    A likelihood is a sum whose terms make up for each other: an image that is too simple for one
    layer and too odd for another has an ordinary one. Here each term is compared with those of
    normal rows by itself, on both sides. It sees simple images, which a likelihood calls normal;
    it fails where every term is ordinary and only how they go together is not.

    Parameters
    ----------
    model : estimator, FrozenEstimator or None, default=None
        Any generative model of skood; None is ``HVAE()``.
    fpr, calibration_fraction, memory, random_state, verbose
        As in `Likelihood`. Half of the calibration rows are those that statistics are compared
        with (at most 1,000), the others set the threshold.

    Attributes
    ----------
    statistic_names_ : list of str
        What is compared: log p(x | z), and for each latent layer log p(z) and log q(z); log p(x)
        of models without latent layers, and of flows the log norm of the base variables too.
    densities_ : dict from int to skood.scores.density.LogDensity
        Of each statistic on normal rows, by its place; those that never vary have none.
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    See Also
    --------
    Typicality : The same of the likelihood alone.

    Notes
    -----
    `ood_score` is ``-sum_j log p_j(T_j(x))``, nats, with a kernel density p_j of each statistic T_j
    (Morningstar, Ham, Gallagher, Lakshminarayanan, Alemi, Dillon: "Density of States Estimation
    for Out-of-Distribution Detection", AISTATS 2021, arXiv:2006.09273, eq. 5). Their statistics of
    a VAE are of one layer; those of a flow include its log determinant.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import MAF, DoSE
    >>> X = np.random.default_rng(0).normal(size=(900, 5))
    >>> detector = DoSE(MAF(max_epochs=3), random_state=0).fit(X)
    >>> detector.predict([[0, 0, 0, 0, 9], [0, 0, 0, 0, 0]])  # too far out, and too near the mean
    array([-1, -1])
    """

    _model_protocol = NetworkModel

    def __init__(
        self,
        model: Any = None,
        *,
        fpr: float = 0.05,
        calibration_fraction: float = 0.2,
        memory: str | Memory | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.model = model
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _reference_fraction(self) -> float:
        return 0.5

    @property
    def _fewest_calibration_rows(self) -> int:
        return 4  # half of them for densities, which one row does not have

    def _fit_reference(self, rows: Rows) -> None:
        statistics = self._statistics(rows[:_MOST_REFERENCE_ROWS])
        varies = statistics.std(axis=1) > 1e-9 * (1 + np.abs(statistics.mean(axis=1)))
        self.densities_ = {i: LogDensity.fit(statistics[i]) for i in np.flatnonzero(varies)}
        n_layers = (len(statistics) - 1) // 2
        self.statistic_names_ = ["log p(x | z)" if n_layers else "log p(x)"] + [
            f"log {letter}(z{i})" for i in range(1, n_layers + 1) for letter in "pq"
        ]
        if isinstance(self.model_.network_, InvertibleNetwork):
            self.statistic_names_.append("log |z|")

    def _statistic(self, rows: Rows) -> _Floats:
        statistics, total = self._statistics(rows), np.zeros(len(rows))
        for i, log_density in self.densities_.items():
            total -= log_density(statistics[i])
        return total

    def _statistics(self, rows: Rows) -> _Floats:
        """Of each row, shape (n_statistics, n)."""
        evaluate = partial(_statistics_of, noise=self.model_.scoring_noise().fork(0))
        statistics: _Floats = self.model_.map_network(evaluate, self._of_model(rows))
        return statistics


def _statistics_of(network: nn.Module, x: Tensor, noise: Noise) -> Tensor:
    terms = cast(DensityNetwork, network).terms(x, noise)
    if isinstance(network, InvertibleNetwork):
        norms = torch.linalg.vector_norm(network.transform(x, noise).double(), dim=1)
        return torch.stack([terms.log_px.double(), norms.clamp(min=1e-300).log()])
    densities = [
        density.double().flatten(1).sum(1)
        for layer in terms.layers
        for density in (layer.log_prior, layer.log_posterior)
    ]
    return torch.stack([terms.log_px.double(), *densities])
