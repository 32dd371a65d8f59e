"""What networks and objectives must offer: capabilities, asked for by ``isinstance``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.distributions import Normal

from skood.core.noise import Noise
from skood.core.terms import Terms

__all__ = [
    "DensityNetwork",
    "Initialisable",
    "InvertibleNetwork",
    "KnownBase",
    "LatentNetwork",
    "Objective",
    "Progress",
    "ScoreNetwork",
    "SharedInference",
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
        """Norm of sigma times the score at x, for noise levels sigma, shape (n_levels, n), float64.

        The density is that of rows with Gaussian noise of standard deviation sigma, the unit of
        which is the standard deviation of the training values: of each column, or of all pixels.
        Where x is such a noisy row, the norm is about the root of the number of values.
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
