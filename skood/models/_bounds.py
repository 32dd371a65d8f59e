"""What `BaseDensity.bounds` evaluates on a batch, and what it refuses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skood.core.noise import Noise
from skood.core.protocols import LatentNetwork
from skood.core.terms import Terms
from skood.scores.bounds import importance_weighted_bound

__all__ = ["bounds_of_batch", "check_layer", "check_prior_layers", "samples_at_a_time"]

_MOST_SIDE_BY_SIDE = 16


def samples_at_a_time(n_samples: int) -> int:
    """How many samples of a row stand side by side in a batch: about 16 of many, evenly."""
    return -(-n_samples // -(-n_samples // _MOST_SIDE_BY_SIDE))


def bounds_of_batch(
    network: nn.Module,
    x: Tensor,
    *,
    noise: Noise,
    below: str,
    prior_layers: Sequence[Collection[int]],
    n_samples: int,
    sizes: Sequence[int],
) -> NDArray[np.float64]:
    """Bounds and -log p(x | z) for each set of layers, shape (2, n_sets, n), nats.

    Samples of a row stand side by side in one batch of one of the ``sizes``, as many as it has room
    for.
    """
    result = []
    for layers in prior_layers:
        options = (layers, below) if layers else ()
        terms = [
            (_by_sample(each.log_weight, n, len(x)), _by_sample(each.log_px, n, len(x)))
            for each, n in _passes(network, x, noise, n_samples, sizes, options)
        ]
        log_weights, log_px = (np.concatenate(parts) for parts in zip(*terms, strict=True))
        # One sample after the other: NumPy's mean adds in another order where there is one row.
        nll = -reduce(np.add, log_px) / len(log_px)
        if isinstance(network, LatentNetwork):
            nll = np.maximum(nll + network.max_log_px, 0)
        result.append((importance_weighted_bound(log_weights), nll))
    return np.stack(result, axis=1)


def _passes(
    network: Any,
    x: Tensor,
    noise: Noise,
    n_samples: int,
    sizes: Sequence[int],
    options: tuple[Any, ...],
) -> Iterator[tuple[Terms, int]]:
    """Terms of all samples, some at a time, and how many samples these are of."""
    most = max(1, sizes[-1] // len(x))
    n_passes = -(-n_samples // most)
    each = -(-n_samples // n_passes)
    size = next(size for size in (*sizes, len(x) * each) if size >= len(x) * each)
    for start in range(0, n_samples, each):
        indices = range(start, min(n_samples, start + each))
        repeated = x.repeat(len(indices), *(1,) * (x.ndim - 1))
        filled = torch.cat([repeated, repeated[-1:].expand(size - len(repeated), *x.shape[1:])])
        yield network.terms(filled, noise.side_by_side(indices, len(x)), *options), len(indices)


def _by_sample(values: Tensor, n_samples: int, n_rows: int) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values[: n_samples * n_rows].double().cpu().numpy()
    return array.reshape(n_samples, n_rows)


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
