"""What a network has learned: its bound, and what each latent layer carries."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from skood.core.callers import stacklevel_of_user
from skood.core.exceptions import TrainingError
from skood.core.noise import Noise
from skood.core.protocols import DensityNetwork
from skood.training.state import TrainingState

__all__ = ["Diagnosis", "check_finite", "diagnose", "warn_if_diverged"]

# A unit whose mean Kullback-Leibler divergence is below this carries no information to speak of.
ACTIVE_UNIT_NATS = 0.01


@dataclass(frozen=True)
class Diagnosis:
    """A look at a network between two epochs.

    Attributes
    ----------
    bound : float
        Mean of log p(x) or its lower bound, without free bits, nats per row.
    kl : list of float
        Mean Kullback-Leibler divergence of each latent layer, nats.
    active_units : list of int
        Units (channels, wherever they look) of each layer that carry more than 0.01 nats.
    """

    bound: float
    kl: list[float]
    active_units: list[int]


def diagnose(
    network: nn.Module, batches: Iterable[Tensor], noise: Noise, n_held_out: int | None = None
) -> Diagnosis:
    """Evaluate the network on some rows; the bound on the first ``n_held_out`` of them only."""
    network.eval()
    density = cast(DensityNetwork, network)
    weights, ratios = [], []
    with torch.no_grad():
        for x in batches:
            terms = density.terms(x, noise)
            weights.append(terms.log_weight)
            per_position = [layer.log_ratio for layer in terms.layers]
            ratios.append([r.reshape(*r.shape[:2], -1).sum(2) for r in per_position])
    per_unit = [torch.cat(layer).mean(0) for layer in zip(*ratios, strict=True)]
    return Diagnosis(
        torch.cat(weights)[:n_held_out].mean().item(),
        [units.sum().item() for units in per_unit],
        [int((units > ACTIVE_UNIT_NATS).sum()) for units in per_unit],
    )


def check_finite(network: nn.Module, bound: float, epoch: int, learning_rate: float) -> None:
    """Raise TrainingError if the last step left weights, or a bound, that are not finite."""
    broken = [
        name for name, value in network.state_dict().items() if not bool(value.isfinite().all())
    ]
    if broken or not math.isfinite(bound):
        what = f"The weights {broken[0]} are" if broken else f"The bound is {bound}, which is"
        raise TrainingError(
            f"{what} not finite after epoch {epoch}. Lower learning_rate (now "
            f"{learning_rate:g}) or trainer.clip_norm."
        )


def warn_if_diverged(state: TrainingState, learning_rate: float) -> None:
    """Warn if training left the network worse than it was before, or blew up on the way."""
    bounds = [epoch["bound"] for epoch in state.history]
    if not bounds:
        return
    kept = state.kept_bound()
    # Bounds of a few held-out rows vary, and data of pure noise can be fitted no better than at
    # first: only a fall far beyond that counts. The loss has terms that rise by design.
    unit = max(1.0, abs(state.initial_bound))
    if kept < state.initial_bound - 10 * unit or min(bounds) < state.initial_bound - 100 * unit:
        warnings.warn(
            f"Training diverged: the bound was {state.initial_bound:.4g} nats per row before the "
            f"first step, {min(bounds):.4g} at its worst, and is {kept:.4g} now. Lower "
            f"learning_rate (now {learning_rate:g}) or trainer.clip_norm.",
            ConvergenceWarning,
            stacklevel=stacklevel_of_user(),
        )
