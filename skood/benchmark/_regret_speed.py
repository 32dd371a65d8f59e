"""How much faster likelihood regret of whole batches is than of one image after the other."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skood import VAE, LikelihoodRegret, Trainer
from skood.benchmark._speed import seconds
from skood.core.noise import Noise

__all__ = ["measure_regret_speed"]

_N_ROWS, _N_IN_LOOP, _N_AS_PUBLISHED = 256, 8, 2


def measure_regret_speed() -> dict[str, float]:
    """On grey 28 x 28 images of noise with the default `VAE`, on one thread.

    Returns
    -------
    dict
        ``rows_per_second`` of `LikelihoodRegret` with its defaults, and how many times that is the
        rate of two loops that take one image at a time: of the very same computation
        (``over_loop``), and of that of the paper's published code with the same network
        (``over_published``), which fits a copy of the encoder and draws 2,000 importance samples.
    """
    images = np.random.default_rng(0).integers(0, 256, (_N_ROWS, 28, 28), dtype=np.uint8)
    trainer = Trainer(validation_fraction=0.0)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = VAE(max_epochs=1, trainer=trainer, device="cpu", random_state=0).fit(images)
        return _rates(model, images)
    finally:
        torch.set_num_threads(n_threads)


def _rates(model: VAE, images: NDArray[np.uint8]) -> dict[str, float]:
    one_by_one = copy.copy(model)
    one_by_one.batch_sizes_ = (1,)
    few = model.first_rows(images, _N_AS_PUBLISHED).split(1)
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "batches": (lambda: _regret(model, images), len(images)),
        "loop": (lambda: _regret(one_by_one, images[:_N_IN_LOOP]), _N_IN_LOOP),
        "published": (lambda: [_published_regret(model.network_, x) for x in few], len(few)),
    }
    rates = dict.fromkeys(ways, 0.0)
    for _ in range(3):  # in turn, the best of each: a busy spell hits all
        for name, (way, n) in ways.items():
            rates[name] = max(rates[name], n / seconds(way))
    return {
        "rows_per_second": rates["batches"],
        "over_loop": rates["batches"] / rates["loop"],
        "over_published": rates["batches"] / rates["published"],
    }


def _regret(model: VAE, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """As `LikelihoodRegret` computes it with its defaults."""
    detector = LikelihoodRegret()
    options: dict[str, Any] = {"n_importance_samples": detector.n_importance_samples}
    of_steps: dict[str, Any] = {
        "n_steps": detector.n_steps,
        "learning_rate": detector.learning_rate,
    }
    refitted = model.refitted_bounds(images, **of_steps, **options)
    return refitted - model.score_samples(images, **options)


def _published_regret(network: Any, row: Tensor) -> float:
    """As in the authors' code: 100 steps for the encoder, 5 x 200 samples before and after."""
    network, noise = copy.deepcopy(network), Noise(0)
    before = _log_likelihood(network, row, noise)
    encoder = network.inference.parameters()
    of_adam: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999), "weight_decay": 5e-5}
    optimizer = torch.optim.Adam(encoder, **of_adam)
    network.generative.requires_grad_(False)
    for _ in range(100):
        optimizer.zero_grad()
        loss = -network.terms(row, noise).log_weight.sum()
        loss.backward()
        optimizer.step()
    return _log_likelihood(network, row, noise) - before


@torch.no_grad()
def _log_likelihood(network: Any, row: Tensor, noise: Noise) -> float:
    rows = row.expand(200, *row.shape[1:])
    log_weights = torch.cat([network.terms(rows, noise).log_weight for _ in range(5)])
    return (log_weights.logsumexp(0) - math.log(len(log_weights))).item()
