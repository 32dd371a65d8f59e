"""What models and detectors must offer each other: capabilities, asked for by ``isinstance``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from skood.core.noise import Noise
from skood.core.row_spec import RowSpec

__all__ = [
    "DensityModel",
    "ExportableDensityModel",
    "ExportableDetector",
    "ExportableScoreModel",
    "FlowModel",
    "GroupScorer",
    "LatentModel",
    "NetworkModel",
    "PixelModel",
    "RefittableModel",
    "ScoreModel",
    "missing_members",
]


@runtime_checkable
class DensityModel(Protocol):
    """What every detector uses of its model: a density estimator in the manner of scikit-learn.

    A parameter ``random_state``, if there is one, is set from the detector's.
    """

    def fit(self, X: Any) -> Any:
        """Train on normal rows and return the model itself."""
        ...

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Log-likelihood of each row, nats; the higher, the more likely."""
        ...

    def score(self, X: Any) -> float:
        """Mean of `score_samples`."""
        ...


@runtime_checkable
class LatentModel(Protocol):
    """What detectors use of a `DensityModel` with latent layers.

    After `fit` it also has ``n_layers_``, how many there are.
    """

    def fit(self, X: Any) -> Any:
        """As in `DensityModel`."""
        ...

    def score_samples(self, X: Any, *, n_importance_samples: int = 1) -> NDArray[np.float64]:
        """Bound of the log-likelihood of each row, the tighter, the more samples."""
        ...

    def score(self, X: Any) -> float:
        """As in `DensityModel`."""
        ...

    def count_layers(self, X: Any) -> int:
        """How many latent layers a fit on X gives, before it; only the shape of X matters."""
        ...

    def bounds(
        self,
        X: Any,
        *,
        n_importance_samples: int = 1,
        below: str = "mean",
        prior_layers: Sequence[Collection[int]] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bounds in which some layers come from the prior, and -log p(x | z), see `skood.HVAE`."""
        ...


@runtime_checkable
class PixelModel(Protocol):
    """What detectors use of a `DensityModel` of images to see pixels as it does.

    After `fit` it also has ``rows_``, the `skood.core.row_spec.RowSpec` of the training rows.
    """

    rows_: RowSpec

    def fit(self, X: Any) -> Any:
        """As in `DensityModel`."""
        ...

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """As in `DensityModel`."""
        ...

    def score(self, X: Any) -> float:
        """As in `DensityModel`."""
        ...

    def first_rows(self, X: Any, n: int) -> Tensor:
        """As in `NetworkModel`."""
        ...


@runtime_checkable
class RefittableModel(Protocol):
    """What detectors use of a model with latent layers whose posterior can be fitted to a row."""

    def fit(self, X: Any) -> Any:
        """As in `DensityModel`."""
        ...

    def score_samples(self, X: Any, *, n_importance_samples: int = 1) -> NDArray[np.float64]:
        """As in `LatentModel`."""
        ...

    def score(self, X: Any) -> float:
        """As in `DensityModel`."""
        ...

    def refitted_bounds(
        self, X: Any, *, n_steps: int, learning_rate: float, n_importance_samples: int = 1
    ) -> NDArray[np.float64]:
        """As `score_samples`, but with a posterior fitted to each row alone, see `skood.VAE`."""
        ...


@runtime_checkable
class ScoreModel(Protocol):
    """What detectors use of a model that knows the score of its density; see `ScoreNetwork`."""

    def fit(self, X: Any) -> Any:
        """As in `DensityModel`."""
        ...

    def score(self, X: Any) -> float:
        """How well the model fits X; the higher, the better."""
        ...

    def score_norms(self, X: Any, noise_levels: Sequence[float]) -> NDArray[np.float64]:
        """Norms of the score at each noise level, shape (n, n_levels)."""
        ...


@runtime_checkable
class NetworkModel(Protocol):
    """What detectors use of a `DensityModel` whose network they look into.

    ``network_`` is the fitted network, a `DensityNetwork` on the CPU.
    """

    network_: nn.Module

    def fit(self, X: Any) -> Any:
        """As in `DensityModel`."""
        ...

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """As in `DensityModel`."""
        ...

    def score(self, X: Any) -> float:
        """As in `DensityModel`."""
        ...

    def scoring_noise(self, *other: int) -> Noise:
        """The fixed noise of all scores; numbers make it another one."""
        ...

    def map_network(
        self, function: Callable[[nn.Module, Tensor], Any], X: Any, **options: Any
    ) -> NDArray[np.float64]:
        """``function(network, x)`` over all rows in batches of fixed sizes."""
        ...

    def first_rows(self, X: Any, n: int) -> Tensor:
        """The first rows of X as the network takes them, on the CPU."""
        ...


@runtime_checkable
class FlowModel(NetworkModel, Protocol):
    """A `NetworkModel` whose network is an `InvertibleNetwork`."""

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Base variables of each row, shape (n, values)."""
        ...

    def inverse_transform(self, Z: Any) -> NDArray[np.float64]:
        """From base variables back to rows."""
        ...


@runtime_checkable
class ExportableDensityModel(Protocol):
    """What a detector uses of a fitted model to offer its score as one torch module."""

    rows_: RowSpec

    def bounds_module(
        self,
        *,
        n_importance_samples: int = 1,
        below: str = "mean",
        prior_layers: Sequence[Collection[int]] | None = None,
    ) -> nn.Module:
        """`skood.HVAE.bounds` of a batch as the network takes it: two tensors, float64."""
        ...


@runtime_checkable
class GroupScorer(Protocol):
    """What a monitor of a stream uses of a fitted detector; rows are groups of one."""

    def group_ood_score(self, X: Any, group_size: int) -> NDArray[np.float64]:
        """Score of each group of consecutive rows; the higher, the more OOD."""
        ...

    def calibration_group_scores(self, group_size: int) -> NDArray[np.float64]:
        """Minus the score of groups of normal rows that the detector has not learned from."""
        ...


@runtime_checkable
class ExportableScoreModel(Protocol):
    """The same for `ScoreModel`."""

    rows_: RowSpec

    def score_norms_module(self, noise_levels: Sequence[float]) -> nn.Module:
        """`ScoreModel.score_norms` of a batch as the network takes it, (n, n_levels), float64."""
        ...


@runtime_checkable
class ExportableDetector(Protocol):
    """A detector of which `skood.export` can write the score."""

    def scoring_module(self) -> nn.Module:
        """From rows as `fit` got them to `ood_score`, (n,), float64; ``rows`` is their `RowSpec`.

        Raises ExportError where the model lacks what it takes.
        """
        ...


def missing_members(protocol: type, thing: Any) -> list[str]:
    """Methods of a protocol that ``thing`` lacks; what exists only after `fit` does not count."""
    methods = {name for base in protocol.__mro__ for name in vars(base) if not name.startswith("_")}
    return sorted(name for name in methods if not hasattr(thing, name))
