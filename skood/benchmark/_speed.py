"""What convenience costs: ratios of times taken in one run on one machine."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from skood import ELBO, HVAE, Trainer, detectors
from skood.core.batches import map_batches
from skood.core.noise import Noise
from skood.core.protocols import Progress

__all__ = ["measure_latency", "measure_speed", "seconds"]


def measure_speed(n_rows: int = 10_000) -> dict[str, float]:
    """Ratios on grey 28 x 28 images of noise.

    Returns
    -------
    dict
        ``all_bounds_over_forward``: scoring all L>k with one sample, over one plain forward pass of
        the same network; ``all_bounds_of_8_samples_over_forward``: with eight.
        ``fit_over_bare_loop``: an epoch of `HVAE.fit`, without its validation, over an epoch of a
        plain torch loop on the same network, data and optimiser.
    """
    images = np.random.default_rng(0).integers(0, 256, (n_rows, 28, 28), dtype=np.uint8)
    trainer = Trainer(validation_fraction=0.0, lr_schedule="constant")
    model = HVAE(max_epochs=1, trainer=trainer, device="cpu", random_state=0).fit(images[:1000])
    noise, spec = Noise(0, shared=True), model.rows_

    def to_tensor(rows: np.ndarray) -> torch.Tensor:
        return spec.to_tensor(rows, torch.device("cpu"))

    def log_px(x: torch.Tensor) -> torch.Tensor:
        return model.network_.terms(x, noise).log_px

    def bounds_over_forward(images: np.ndarray, n_samples: int) -> float:
        return _ratio(
            lambda: model.bounds(images, n_importance_samples=n_samples),
            lambda: map_batches(log_px, images, to_tensor, model.batch_sizes_[-1:]),
        )

    return {
        "all_bounds_over_forward": bounds_over_forward(images, 1),
        "all_bounds_of_8_samples_over_forward": bounds_over_forward(images[: n_rows // 8], 8),
        "fit_over_bare_loop": _ratio(lambda: model.fit(images), lambda: _bare_epoch(model, images)),
        "n_layers": 3,
    }


def _bare_epoch(model: HVAE, images: np.ndarray) -> None:
    spec = model.rows_
    network = model._build_network(spec)
    optimizer = torch.optim.Adam(network.parameters(), float(model.learning_rate), fused=True)
    objective, noise = ELBO(free_bits=(0.0, 4.0, 4.0)), Noise(0)
    order = np.random.default_rng(0).permutation(len(images))
    n_steps = len(images) // model.batch_size
    for step in range(n_steps):
        rows = order[step * model.batch_size :][: model.batch_size]
        x = spec.to_tensor(images[rows], torch.device("cpu"))
        optimizer.zero_grad()
        loss = objective(network, x, noise, Progress(step, n_steps))
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 200.0)
        optimizer.step()


def _ratio(ours: Callable[[], object], bare: Callable[[], object], repeats: int = 5) -> float:
    """Median over repeats, taken in turn so that a busy spell hits both."""
    times = [(seconds(ours), seconds(bare)) for _ in range(repeats)]
    first, second = np.median(times, axis=0)
    return float(first / second)


def seconds(function: Callable[[], object]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure_latency() -> dict[str, dict[str, float]]:
    """What one row costs beside 128, for every detector over a default model, on one thread.

    Returns
    -------
    dict of dicts
        By detector ``one_row_ms`` and ``rows_128_ms``, medians, and their ratio ``one_over_128``.
    """
    images = np.random.default_rng(0).integers(0, 256, (400, 28, 28), dtype=np.uint8)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {name: _latency(name, images) for name in detectors.__all__}
    finally:
        torch.set_num_threads(n_threads)


def _latency(name: str, images: np.ndarray) -> dict[str, float]:
    detector: Any = getattr(detectors, name)(random_state=0)
    with suppress(ValueError):  # a model in closed form has no epochs
        detector.set_params(model__max_epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model after one epoch, calibrated on few rows
        detector.fit(images)
    times = [
        [seconds(partial(detector.score_samples, images[:n])) for n in (1, 128)] for _ in range(9)
    ]
    one, many = 1e3 * np.median(times, axis=0)
    return {"one_row_ms": one, "rows_128_ms": many, "one_over_128": one / many}
