"""What `BaseDensity.bounds` evaluates on some rows, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skood.core.batches import filled_up, fixed_sizes
from skood.core.noise import Noise
from skood.core.protocols import LatentNetwork, SharedInference
from skood.core.terms import Terms
from skood.scores.bounds import importance_weighted_bound

__all__ = ["bounds_of_rows", "check_layer", "check_prior_layers"]

_MOST_SIDE_BY_SIDE = 16

# (which row of x each row of the batch stands for, noise of the batch, prior layers) -> terms
_Pass = Callable[[Tensor, Noise, Collection[int]], Terms]


def bounds_of_rows(
    network: Any,
    x: Tensor,
    *,
    noise: Noise,
    below: str,
    prior_layers: Sequence[Collection[int]],
    n_samples: int,
    sizes: Sequence[int],
) -> NDArray[np.float64]:
    """Bounds and -log p(x | z) for each set of layers, shape (2, n_sets, n), nats.

    Parameters
    ----------
    network : DensityNetwork
    x : Tensor of shape (n, ...)
        At most as many rows as the largest batch has.
    noise, below, prior_layers, n_samples
        See `BaseDensity.bounds`.
    sizes : sequence of int
        Of batches, ascending. Samples of a row stand side by side in a batch.
    """
    one_pass = _passes_over(x, network, noise, prior_layers, below, sizes)
    log_weights, log_px = np.empty((2, len(prior_layers), n_samples, len(x)))
    most = min(_MOST_SIDE_BY_SIDE, sizes[-1])
    together = -(-n_samples // -(-n_samples // most))  # about so many, evenly
    for first in range(0, n_samples, together):
        samples = slice(first, min(n_samples, first + together))
        forks = [noise.fork(i) for i in range(samples.start, samples.stop)]
        for batch in _batches(len(x), together, sizes):
            rows, of_batch = batch.rows_of_x(x.device), noise.side_by_side(forks, batch.n_rows)
            for i, layers in enumerate(prior_layers):
                terms = one_pass(rows, of_batch, layers)
                where = i, samples, batch.present
                log_weights[where] = batch.by_sample(terms.log_weight, len(forks))
                log_px[where] = batch.by_sample(terms.log_px, len(forks))
    # One sample after the other: NumPy's mean adds in another order where there is one row.
    nll = -reduce(np.add, log_px.swapaxes(0, 1)) / n_samples
    if isinstance(network, LatentNetwork):
        nll = np.maximum(nll + network.max_log_px, 0)
    return np.stack([[importance_weighted_bound(weights) for weights in log_weights], nll])


def _passes_over(
    x: Tensor,
    network: Any,
    noise: Noise,
    prior_layers: Sequence[Collection[int]],
    below: str,
    sizes: Sequence[int],
) -> _Pass:
    """Passes through the network that look at x once, if it offers that."""
    if isinstance(network, SharedInference):
        size = next(size for size in sizes if size >= len(x))
        seen = network.see(filled_up(x, size), noise, prior_layers, below)
        return lambda rows, noise, layers: network.terms_of(
            seen.for_batch(rows), noise, layers, below
        )

    def one_pass(rows: Tensor, noise: Noise, layers: Collection[int]) -> Terms:
        options = (layers, below) if layers else ()
        terms: Terms = network.terms(x[rows], noise, *options)
        return terms

    return one_pass


@dataclass(frozen=True)
class _Batch:
    """Several samples of some rows side by side: all rows of the first sample, then of the second.

    Attributes
    ----------
    size : int
    start, stop : int
        Which rows of x.
    n_rows : int
        How many rows each sample has, with those that repeat the last.
    """

    size: int
    start: int
    stop: int
    n_rows: int

    def rows_of_x(self, device: torch.device) -> Tensor:
        """The row of x that each row of the batch stands for; the last ones fill it up."""
        places = torch.arange(self.size, device=device) % self.n_rows
        return (self.start + places).clamp(max=self.stop - 1)

    @property
    def present(self) -> slice:
        """Where the results belong among the rows of x."""
        return slice(self.start, self.stop)

    def by_sample(self, values: Tensor, n_samples: int) -> NDArray[np.float64]:
        """Of each row of the batch, in the shape (n_samples, stop - start)."""
        array: NDArray[np.float64] = values[: n_samples * self.n_rows].double().cpu().numpy()
        return array.reshape(n_samples, self.n_rows)[:, : self.stop - self.start]


def _batches(n: int, n_samples: int, sizes: Sequence[int]) -> Iterator[_Batch]:
    """All n rows, with ``n_samples`` of each side by side."""
    start = 0
    for n_rows in fixed_sizes(n, [max(1, size // n_samples) for size in sizes]):
        size = next(size for size in sizes if size >= n_rows * n_samples)
        yield _Batch(size, start, min(n, start + n_rows), n_rows)
        start += n_rows


def check_prior_layers(name: str, n_layers: int, prior_layers: Sequence[Collection[int]]) -> None:
    """Raise ValueError unless these are collections of layers of the model called ``name``."""
    for layers in prior_layers:
        if not isinstance(layers, Collection):
            raise ValueError(
                "prior_layers must hold a collection of layers for each bound; got "
                f"{layers!r} for one. Write [(1, 2)] for one bound with layers 1 and 2."
            )
        if layers and not n_layers:
            raise ValueError(
                f"prior_layers must be [()] for {name}, which has no latent "
                f"layers; got {prior_layers!r}."
            )
        for layer in layers:
            check_layer(name, "prior_layers", layer, (1, n_layers), n_layers)


def check_layer(name: str, parameter: str, value: Any, limits: tuple[int, int], n: int) -> None:
    """Raise ValueError unless ``value`` is an integer within limits that the n layers set."""
    if not isinstance(value, Integral) or not limits[0] <= int(value) <= limits[1]:
        raise ValueError(
            f"{parameter} must be an integer from {limits[0]} to {limits[1]}, since this "
            f"{name} has {n} latent layers; got {value!r}."
        )
