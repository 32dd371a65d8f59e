"""What a network and an objective must offer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from skood.core.noise import Noise
from skood.core.terms import Terms

__all__ = ["LatentNetwork", "Network", "Objective", "Progress"]


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
class Network(Protocol):
    """A torch module that turns a batch into `Terms`.

    ``x`` is a float32 batch on the scale of the data (bytes stay 0 to 255), shape (n, features) for
    tables and (n, channels, height, width) for images. Layer 1 is nearest to x.
    """

    @property
    def max_log_px(self) -> float:
        """Largest value that log p(x | z) can take, nats: 0 for any discrete likelihood."""
        ...

    def terms(self, x: Tensor, noise: Noise) -> Terms:
        """One pass, with every latent layer from q."""
        ...

    def sample(self, n: int, noise: Noise) -> Tensor:
        """Draw ``n`` rows from the model, on the scale of the data."""
        ...


@runtime_checkable
class LatentNetwork(Network, Protocol):
    """A network with latent layers that can be looked into: optional, for those that have them."""

    n_layers: int
    latent_shapes: Sequence[tuple[int, ...]]

    def terms(
        self,
        x: Tensor,
        noise: Noise,
        prior_layers: Collection[int] = frozenset(),
        below: str = "mean",
    ) -> Terms:
        """One pass; the layers in ``prior_layers`` come from the prior, the others from q.

        ``below`` takes the "mean" of the prior there, or a "sample" of it; where q of the other
        layers depends on these, it sees their means under q, or samples, in the same way.
        """
        ...

    def encode(self, x: Tensor, noise: Noise) -> Sequence[Tensor]:
        """Means of q for every layer, layer 1 first, shapes (n, units, ...)."""
        ...

    def reconstruct(
        self, x: Tensor, noise: Noise, prior_layers: Collection[int], below: str = "mean"
    ) -> Tensor:
        """Mean of x given the latents: the means of q, and of the prior in ``prior_layers``.

        Or samples of all of them where ``below`` is "sample".
        """
        ...


class Objective(Protocol):
    """What training minimises."""

    def __call__(self, network: Network, x: Tensor, noise: Noise, progress: Progress) -> Tensor:
        """Loss of a batch, a scalar in nats per row.

        An objective gets the network, since some losses need several passes.
        """
        ...
