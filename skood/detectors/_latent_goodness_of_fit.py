"""Whether the base variables of a flow look like noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import numpy as np
from joblib import Memory
from numpy.typing import NDArray
from torch import Tensor, nn

from skood.core.estimator_protocols import FlowModel
from skood.core.noise import Noise
from skood.core.protocols import InvertibleNetwork, KnownBase
from skood.core.rows import Rows
from skood.detectors._model_detector import ModelDetector
from skood.models import Glow
from skood.scores.combination import largest
from skood.scores.goodness_of_fit import (
    anderson_darling_exponential,
    anderson_darling_normal,
    normal_from_logistic,
    periodogram,
)
from skood.scores.survival import LogSurvival

__all__ = ["LatentGoodnessOfFit"]

_Floats = NDArray[np.float64]


class LatentGoodnessOfFit(ModelDetector):
    """Out-of-distribution detection by whether a flow makes noise of a row.

    A flow maps normal rows to base variables that are independent and of a known distribution, and
    other rows to something else, with whatever likelihood. Two tests of that look at all base
    variables of a row at once: at their distribution, and at their power spectrum, which is flat if
    they are independent. It sees rows whose base variables are too large, too small or smooth, such
    as simple images, which a likelihood calls normal. It fails where a flow makes noise of anything
    that is locally like its training rows, and with few columns, which say little of a
    distribution. It costs no more than a likelihood.

    Parameters
    ----------
    model : estimator, FrozenEstimator or None, default=None
        A flow; None is ``Glow()``. For tables ``MAF("spline")`` is the better one.
    fpr, calibration_fraction, memory, random_state, verbose
        As in `Likelihood`. Half of the calibration rows are those that the tests are referred to,
        the others set the threshold.

    Attributes
    ----------
    log_survival_ : dict from str to skood.scores.survival.LogSurvival
        Of each test statistic on normal rows: "values" and, where rows have at least five
        values, "spectrum".
    model_, calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    See Also
    --------
    DoSE : Looks at the norm of the base variables, on both sides, and at the likelihood.

    Notes
    -----
    `ood_score` is ``max_i -log P(T_i >= T_i(x))``, nats, with P estimated from normal rows, of two
    statistics T_i of the base variables e (after P. Bomatter, J. Geary, H. Gouk: "The Signal in the
    Noise: OOD Detection Through Goodness-of-Fit Testing in Factorised Latent Spaces", 2026,
    arXiv:2605.22496, who take the larger of the quantiles of two such tests):

    - "values": the Anderson-Darling statistic of all values of e against N(0, 1);
    - "spectrum": with the powers P_j of e at all frequencies but those that are their own mirror
      image, the Anderson-Darling statistic of P_j / mean(P) against the exponential distribution,
      which is the law of the powers of white noise; their mean, which the other test knows, does
      not matter. Where the base variables lie like the pixels of an image, e is transformed in two
      dimensions, channel by channel (and level by level of a multi-scale flow, with the powers of
      all taken together), else in one, in their order.

    A trained flow makes nothing exactly normal even of normal rows, so both are referred to such
    rows, not to their laws. Departures: their flows are continuous, ours are not; logistic base
    variables are first mapped to normal ones of the same probability; a statistic beyond those of
    all normal rows still differs from others, by an exponential tail.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import Gaussian, LatentGoodnessOfFit
    >>> X = np.random.default_rng(0).normal(size=(900, 20))
    >>> detector = LatentGoodnessOfFit(Gaussian(), random_state=0).fit(X)
    >>> detector.predict([X[0], 0.1 * X[0]])  # the second one is too near the mean
    array([ 1, -1])
    """

    _model_protocol = FlowModel

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

    def _nested_default(self, name: str) -> Any:
        return Glow()

    @property
    def _reference_fraction(self) -> float:
        return 0.5

    def _fit_reference(self, rows: Rows) -> None:
        names = ("values", "spectrum")
        statistics = zip(names, self._statistics(rows), strict=False)
        self.log_survival_ = {name: LogSurvival.fit(values) for name, values in statistics}

    def _statistic(self, rows: Rows) -> _Floats:
        pairs = zip(self.log_survival_.values(), self._statistics(rows), strict=True)
        return largest(np.stack([-log_survival(values) for log_survival, values in pairs], axis=1))

    def _statistics(self, rows: Rows) -> _Floats:
        """Of each row, shape (n_statistics, n)."""
        evaluate = partial(_statistics_of, noise=self.model_.scoring_noise())
        statistics: _Floats = self.model_.map_network(evaluate, self._of_model(rows))
        return statistics


def _statistics_of(network: nn.Module, x: Tensor, noise: Noise) -> _Floats:
    z = cast(InvertibleNetwork, network).transform(x, noise).double().cpu().numpy()
    if isinstance(network, KnownBase) and network.base == "logistic":
        z = normal_from_logistic(z)
    statistics = [anderson_darling_normal(z)]
    powers = np.concatenate([periodogram(part) for part in _maps(network, z)], axis=1)
    if powers.shape[1] > 1:  # one alone is always the mean
        mean = np.maximum(powers.mean(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        statistics.append(anderson_darling_exponential(powers / mean))
    return np.stack(statistics)


def _maps(network: nn.Module, z: _Floats) -> Iterator[_Floats]:
    """The base variables (n, values) as vectors or maps (n, ...), as the network says."""
    shapes = network.base_shapes if isinstance(network, KnownBase) else [z.shape[1:]]
    start = 0
    for shape in shapes:
        stop = start + math.prod(shape)
        yield z[:, start:stop].reshape(len(z), *shape)
        start = stop
