"""A Gaussian, fitted in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skood.core.batches import resolve_device
from skood.core.modes import own_modes
from skood.core.protocols import ScoreNetwork
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows
from skood.gradients.private import private_copy
from skood.models._density import BaseDensity
from skood.models._flow import FlowMixin, coordinates_for
from skood.nn.networks.gaussian import GaussianNetwork, ScoreNorms

__all__ = ["MOST_VALUES", "Gaussian"]

_ROWS_AT_A_TIME = 1024
# The covariance of so many values takes 800 megabytes in double precision.
MOST_VALUES = 10_000


class Gaussian(FlowMixin, BaseDensity):
    """Multivariate Gaussian with full covariance, in closed form: no training.

    It knows means, colours, how smooth and how alike neighbouring values are, and nothing of
    shapes: of an image, a flipped or inverted copy is about as likely. Fitted in seconds, it is the
    default model of `ScoreNorm`, and what a trained model has to beat.

    Parameters
    ----------
    data_kind, device, random_state
        As in `HVAE`. ``random_state`` rules only how the values of pixels are dequantised for
        likelihoods.

    Attributes
    ----------
    shrinkage_ : float in [0, 1]
        How far the covariance was moved to the nearest multiple of the identity: far, if there are
        fewer rows than values.
    network_, rows_, data_kind_, input_shape_, n_features_in_, seed_, batch_sizes_
        As in `HVAE`.

    See Also
    --------
    ScoreNorm : Out-of-distribution detection with it.
    sklearn.covariance.EllipticEnvelope : With a covariance that is robust against outliers.

    Notes
    -----
    Values are standardised first, each column of a table by itself. The covariance is the empirical
    one with oracle approximating shrinkage (Chen, Wiesel, Eldar, Hero: "Shrinkage Algorithms for
    MMSE Covariance Estimation", IEEE Transactions on Signal Processing 58(10), 2010, eq. 23). Its
    memory grows with the square of the number of values in a row.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import Gaussian
    >>> X = np.random.default_rng(0).normal(size=(500, 3)) * [1, 10, 100]
    >>> model = Gaussian().fit(X)
    >>> model.transform(X).std(axis=0).round(1)
    array([1., 1., 1.])
    """

    def __init__(
        self,
        *,
        data_kind: str = "auto",
        device: str | torch.device = "auto",
        random_state: Any = None,
    ):
        self.data_kind = data_kind
        self.device = device
        self.random_state = random_state

    def _build_network(self, rows: RowSpec) -> nn.Module:
        if rows.n_values > MOST_VALUES:
            raise ValueError(
                f"Gaussian takes rows of at most {MOST_VALUES} values, since its covariance grows "
                f"with their square; X has {rows.n_values}. Scale images down, or choose columns."
            )
        return GaussianNetwork(rows.tensor_shape, coordinates_for(rows), rows.n_values)

    def _train(self, network: nn.Module, rows: Rows, spec: RowSpec, seed: int) -> None:
        device, gaussian = resolve_device(self.device), cast(GaussianNetwork, network)
        with own_modes(grad=False):
            gaussian.to(device).eval()
            mean, covariance = _moments(gaussian, rows, spec, device)
            covariance, self.shrinkage_ = _shrunk(covariance, len(rows))
            # No direction has less than the noise that any density needs.
            gaussian.bijection.set_moments(mean, covariance, gaussian.coordinates.noise_std)
            gaussian.to("cpu")

    def score_norms(
        self, X: ArrayLike | Tensor | Rows, noise_levels: Sequence[float]
    ) -> NDArray[np.float64]:
        """Norms of the score of the density, with Gaussian noise added to the rows.

        Parameters
        ----------
        X : array-like of shape (n, ...)
        noise_levels : sequence of positive floats
            Standard deviations s of the noise, in those of the training values: of each column of a
            table, of all pixels of images.

        Returns
        -------
        ndarray of shape (n, len(noise_levels)), float64
            ``sigma ||grad log p_sigma(x)||`` at x itself, in the same unit.
        """
        check_is_fitted(self)

        def norms(network: nn.Module, x: Tensor) -> Tensor:
            return cast(ScoreNetwork, network).score_norms(x, noise_levels)

        return self.map_network(norms, X).T

    def score_norms_module(self, noise_levels: Sequence[float]) -> nn.Module:
        """`score_norms` as a torch module, from a batch as the network takes it."""
        check_is_fitted(self)
        return ScoreNorms(private_copy(self.network_), noise_levels)


def _moments(
    network: GaussianNetwork, rows: Rows, spec: RowSpec, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the rows in the network's coordinates, float64, in one pass."""
    n_values = spec.n_values
    total = torch.zeros(n_values, dtype=torch.float64, device=device)
    squares = torch.zeros(n_values, n_values, dtype=torch.float64, device=device)
    origin = torch.zeros(n_values, device=device)
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        part = rows.take(slice(start, start + _ROWS_AT_A_TIME))
        y = network.coordinates.standardize(spec.to_tensor(part, device)).flatten(1)
        # Far from zero, the squares of a bright pixel that hardly varies would be all rounding.
        origin = origin if start else y.mean(0)
        y = y - origin
        # Products of pixels are exact enough in single precision; sums of many are not.
        squares += y.mT @ y
        total += y.double().sum(0)
    mean = total / len(rows)
    return mean + origin, squares / len(rows) - torch.outer(mean, mean)


def _shrunk(covariance: Tensor, n_rows: int) -> tuple[Tensor, float]:
    """The covariance after oracle approximating shrinkage, and how far it went."""
    n_values = len(covariance)
    trace = covariance.trace()
    squares, target = covariance.square().sum(), trace / n_values
    numerator = (1 - 2 / n_values) * squares + trace**2
    denominator = (n_rows + 1 - 2 / n_values) * (squares - trace**2 / n_values)
    shrinkage = min(1.0, (numerator / denominator).item()) if denominator > 0 else 1.0
    identity = torch.eye(n_values, dtype=covariance.dtype, device=covariance.device)
    return (1 - shrinkage) * covariance + shrinkage * target * identity, shrinkage
