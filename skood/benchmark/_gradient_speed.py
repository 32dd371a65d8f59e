"""How much faster one backward pass with products is than other ways to the gradient norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skood import HVAE, MAF, Glow, Trainer
from skood.benchmark._speed import seconds
from skood.core.noise import Noise
from skood.gradients.norms import plan_gradients, squared_norms

__all__ = ["measure_gradient_speed"]

_BATCH = 128


def measure_gradient_speed() -> dict[str, dict[str, float]]:
    """For several models on grey 28 x 28 images of noise, on one thread.

    Returns
    -------
    dict of dicts
        ``rows_per_second``, and how many times that is the rate of a loop over rows
        (``over_loop``), of ``torch.func.vmap`` of ``grad`` in chunks of 8 and 64 rows (the faster
        of the two, ``over_vmap``), and of one backward pass of the whole batch, which gives the
        gradient of the sum only (``over_plain_backward``).
    """
    images = np.random.default_rng(0).integers(0, 256, (2 * _BATCH, 28, 28), dtype=np.uint8)
    options: dict[str, Any] = {
        "max_epochs": 1,
        "trainer": Trainer(validation_fraction=0.0),
        "random_state": 0,
    }
    models = {
        "Glow, flat": Glow(**options),
        "Glow, conv, 7 x 7": Glow("conv", patch=4, n_levels=1, n_steps=8, **options),
        "Glow, conv, two levels": Glow("conv", **options),
        "MAF": MAF(**options),
        "HVAE": HVAE(**options),
    }
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {name: _rates(model.fit(images), images) for name, model in models.items()}
    finally:
        torch.set_num_threads(n_threads)


def _rates(model: Any, images: NDArray[np.uint8]) -> dict[str, float]:
    network, noise = model.network_, Noise(0, shared=True).fork(0)
    x = torch.from_numpy(images[:_BATCH]).float()[:, None]

    def target(network: Any, x: Tensor) -> Tensor:
        return network.terms(x, noise).log_weight

    plan = plan_gradients(network, target, x[:8])
    parameters = [p for p in network.parameters() if p.requires_grad]
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "ours": (lambda: squared_norms(network, target, x, plan), len(x)),
        "loop": (lambda: _loop(network, target, x[:16]), 16),
        "vmap 8": (lambda: _vmap(network, target, x[:32], 8), 32),
        "vmap 64": (lambda: _vmap(network, target, x[:64], 64), 64),
        "plain": (
            lambda: torch.autograd.grad(target(network, x).sum(), parameters, allow_unused=True),
            len(x),
        ),
    }
    rates = {name: 0.0 for name in ways}
    for _ in range(3):  # in turn, the best of each: a busy spell hits all
        for name, (way, n) in ways.items():
            rates[name] = max(rates[name], n / seconds(way))
    return {
        "rows_per_second": rates["ours"],
        "over_loop": rates["ours"] / rates["loop"],
        "over_vmap": rates["ours"] / max(rates["vmap 8"], rates["vmap 64"]),
        "over_plain_backward": rates["ours"] / rates["plain"],
    }


def _loop(network: nn.Module, target: Callable[..., Tensor], x: Tensor) -> list[Tensor]:
    norms = []
    for row in x.split(1):
        network.zero_grad()
        target(network, row).sum().backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        norms.append(torch.stack([g.square().sum() for g in gradients]))
    return norms


def _vmap(network: nn.Module, target: Callable[..., Tensor], x: Tensor, chunk: int) -> list[Tensor]:
    whole = _Whole(network, target)
    parameters = {name: p.detach() for name, p in whole.named_parameters()}

    def value(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return torch.func.functional_call(whole, parameters, (row[None],)).sum()

    each = torch.func.vmap(torch.func.grad(value), in_dims=(None, 0))
    norms = []
    for rows in x.split(chunk):
        gradients = each(parameters, rows)
        norms.append(torch.stack([g.flatten(1).square().sum(1) for g in gradients.values()]))
    return norms


class _Whole(nn.Module):
    def __init__(self, network: nn.Module, target: Callable[..., Tensor]):
        super().__init__()
        self.network, self.target = network, target

    def forward(self, x: Tensor) -> Tensor:
        return self.target(self.network, x)
