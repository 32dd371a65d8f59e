"""What networks, models and the like must offer: capabilities, asked for by ``isinstance``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Normal

from skood.core.noise import Noise
from skood.core.row_spec import RowSpec
from skood.core.terms import Terms

__all__ = [
    "DensityModel",
    "DensityNetwork",
    "ExportableDensityModel",
    "ExportableDetector",
    "ExportableScoreModel",
    "FlowModel",
    "GroupScorer",
    "Initialisable",
    "InvertibleNetwork",
    "KnownBase",
    "LatentModel",
    "LatentNetwork",
    "NetworkModel",
    "Objective",
    "PixelModel",
    "Progress",
    "RefittableModel",
    "ScoreModel",
    "ScoreNetwork",
    "SharedInference",
    "missing_members",
]


@dataclass(frozen=True)
class Progress:
    """How far training has come, for schedules.

    Attributes
    ----------
    step : int
        Optimiser steps done.
    n_steps : int
        Optimiser steps planned in all.
    """

    step: int
    n_steps: int

    @property
    def fraction(self) -> float:
        """Part of the planned training that is done, in [0, 1]."""
        return min(1.0, self.step / max(1, self.n_steps))


@runtime_checkable
class DensityNetwork(Protocol):
    """A torch module that turns a batch into `Terms`.

    ``x`` is a batch on the scale of the data (bytes stay 0 to 255), shape (n, features) for tables
    and (n, channels, height, width) for images; pixels are float32, real numbers may be float64.
    """

    def terms(self, x: Tensor, noise: Noise) -> Terms:
        """Terms of each row; what is random comes from ``noise``."""
        ...

    def sample(self, n: int, noise: Noise) -> Tensor:
        """Draw ``n`` rows from the model, on the scale of the data."""
        ...


@runtime_checkable
class LatentNetwork(Protocol):
    """A `DensityNetwork` with latent layers, which can be taken from q or from the prior.

    Layer 1 is nearest to x. ``below`` says what a layer in ``prior_layers`` becomes: the prior's
    "mean", or a "sample" of the prior; where q of the other layers depends on these, it sees their
    mean or a sample under q accordingly.
    """

    latent_shapes: Sequence[tuple[int, ...]]

    @property
    def max_log_px(self) -> float:
        """Largest value that log p(x | z) can take, nats: 0 for any discrete likelihood."""
        ...

    def terms(
        self,
        x: Tensor,
        noise: Noise,
        prior_layers: Collection[int] = frozenset(),
        below: str = "mean",
    ) -> Terms:
        """One pass; the layers in ``prior_layers`` come from the prior, the others from q."""
        ...

    def sample(self, n: int, noise: Noise) -> Tensor:
        """Draw ``n`` rows from the model, on the scale of the data."""
        ...

    def encode(self, x: Tensor, noise: Noise) -> Sequence[Tensor]:
        """Means of q for every layer, layer 1 first, shapes (n, units, ...)."""
        ...

    def reconstruct(
        self, x: Tensor, noise: Noise, prior_layers: Collection[int], below: str = "mean"
    ) -> Tensor:
        """Mean of x given the latents: means of q and of the prior, or samples of both."""
        ...

    def infer_posteriors(self, x: Tensor, noise: Noise) -> dict[str, Normal]:
        """Gaussian q of each latent by a name, where those that it depends on are their means."""
        ...

    def terms_under(self, posteriors: Mapping[str, Normal], x: Tensor, noise: Noise) -> Terms:
        """One pass with other q in place of those that `infer_posteriors` names; x is not encoded.

        Their parameters may be leaves: gradients of the bound with respect to them are those of the
        draws alone, in which the density of q is a constant.
        """
        ...


@runtime_checkable
class SharedInference(Protocol):
    """What a `LatentNetwork` may offer so that several passes look at x once."""

    def see(self, x: Tensor, noise: Noise, bounds: Sequence[Collection[int]], below: str) -> Any:
        """What all passes with one of these ``prior_layers`` need of x, whatever is drawn.

        It has a method ``for_batch(rows)`` that gives the same for a batch in which each row stands
        for one of x.
        """
        ...

    def terms_of(
        self, evidence: Any, noise: Noise, prior_layers: Collection[int], below: str
    ) -> Terms:
        """`LatentNetwork.terms` of the rows that were seen."""
        ...


@runtime_checkable
class InvertibleNetwork(Protocol):
    """A `DensityNetwork` that maps rows to as many base variables, and back."""

    def terms(self, x: Tensor, noise: Noise) -> Terms:
        """As in `DensityNetwork`."""
        ...

    def sample(self, n: int, noise: Noise) -> Tensor:
        """As in `DensityNetwork`."""
        ...

    def transform(self, x: Tensor, noise: Noise) -> Tensor:
        """Base variables of each row, shape (n, values)."""
        ...

    def inverse(self, z: Tensor) -> Tensor:
        """From base variables to x on the scale of the data, shape (n, ...)."""
        ...


@runtime_checkable
class KnownBase(Protocol):
    """An `InvertibleNetwork` that says more of its base variables.

    ``base`` is the distribution that each of them has, "normal" or "logistic". ``base_shapes`` are
    those of the maps that they are made of, in their order: (values,) where they are in no order,
    (channels, height, width) where they have neighbours as the pixels of an image have.
    """

    base: str
    base_shapes: Sequence[tuple[int, ...]]


@runtime_checkable
class ScoreNetwork(Protocol):
    """A network that knows the score, the gradient of the log density of rows with noise added."""

    def score_norms(self, x: Tensor, noise_levels: Sequence[float]) -> Tensor:
        """Norm at x of s times the score, for each noise level s, shape (n_levels, n), float64.

        The density is that of rows with Gaussian noise of standard deviation s, the unit of which
        is the standard deviation of the training values: of each column, or of all pixels. Where x
        is such a noisy row, the norm is about the root of the number of values.
        """
        ...


@runtime_checkable
class Initialisable(Protocol):
    """A network of which some parameters are set from a first batch of training rows."""

    def initialise_from_data(self, x: Tensor, noise: Noise) -> None:
        """Set them, so that layers have outputs of zero mean and unit variance on x."""
        ...


class Objective(Protocol):
    """What training minimises."""

    def __call__(
        self, network: DensityNetwork, x: Tensor, noise: Noise, progress: Progress
    ) -> Tensor:
        """Loss of a batch, a scalar in nats per row.

        An objective gets the network, since some losses need several passes.
        """
        ...


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
