"""Scores of detectors as torch modules, which can be exported.

Each repeats, for tensors, a few lines that the detector has for arrays; `skood.export` compares the
two.
"""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from skood.core.row_spec import RowSpec
from skood.scores.ratios import SMALLEST_NLL

__all__ = [
    "AdaptiveRatio",
    "DistanceFrom",
    "LastRatio",
    "Mahalanobis",
    "MostSignificantRatio",
    "NegativeBound",
    "OptimalRatio",
    "RatioWithFloor",
    "ScoringModule",
]

_Bounds = tuple[Tensor, Tensor]  # and -log p(x | z), both (n_sets, n), as `bounds` gives them


class ScoringModule(nn.Module):
    """From rows as the user gives them to `ood_score`, shape (n,), float64.

    Parameters
    ----------
    rows : RowSpec
    *steps : modules
        The first gets a batch as networks take it, each other one what the one before it gives.
    """

    def __init__(self, rows: RowSpec, *steps: nn.Module):
        super().__init__()
        self.rows = rows
        self.steps = nn.Sequential(*steps)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of rows of the type `RowSpec.graph_type`."""
        return self.steps(self.rows.as_network_takes(x))


class NegativeBound(nn.Module):
    """Minus the first bound: see `skood.Likelihood`."""

    def forward(self, bounds: _Bounds) -> Tensor:
        """Score of each row."""
        return -bounds[0][0]


class DistanceFrom(nn.Module):
    """Distance of a number from a constant: see `skood.Typicality`."""

    def __init__(self, centre: float):
        super().__init__()
        self.centre = centre

    def forward(self, statistic: Tensor) -> Tensor:
        """Score of each row."""
        return (statistic - self.centre).abs()


class Mahalanobis(nn.Module):
    """Squared Mahalanobis distance of log norms: see `skood.ScoreNorm`."""

    def __init__(self, mean: ArrayLike, precision: ArrayLike):
        super().__init__()
        self.mean: Tensor
        self.precision: Tensor
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float64))
        self.register_buffer("precision", torch.as_tensor(precision, dtype=torch.float64))

    def forward(self, norms: Tensor) -> Tensor:
        """Score of each row, from norms (n, n_levels), float64."""
        smallest = torch.finfo(torch.float64).tiny
        centred = norms.clamp(min=smallest).log() - self.mean
        return (centred @ self.precision * centred).sum(1)


class LastRatio(nn.Module):
    """The last bound but one minus the last: see `skood.HierarchicalLLR`."""

    def forward(self, bounds: _Bounds) -> Tensor:
        """Score of each row."""
        return bounds[0][-2] - bounds[0][-1]


class AdaptiveRatio(nn.Module):
    """See `skood.scores.ratios.adaptive_likelihood_ratio`."""

    def forward(self, bounds: _Bounds) -> Tensor:
        """Score of each row."""
        contributions = bounds[0][:-1] - bounds[0][1:]
        return (_information_ratios(bounds[1]) * contributions).sum(0)


class OptimalRatio(nn.Module):
    """See `skood.scores.ratios.optimal_likelihood_ratio`."""

    def forward(self, bounds: _Bounds) -> Tensor:
        """Score of each row."""
        best = _information_ratios(bounds[1]).argmax(0)
        return (bounds[0][:1] - bounds[0][1:]).gather(0, best[None])[0]


class MostSignificantRatio(nn.Module):
    """See `skood.scores.ratios.most_significant_ratio`.

    Parameters
    ----------
    centre, spread : array-like of shape (n_layers - 1,)
        See `skood.scores.ratios.centre_and_spread`.
    """

    def __init__(self, centre: ArrayLike, spread: ArrayLike):
        super().__init__()
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", torch.as_tensor(centre, dtype=torch.float64)[:, None])
        self.register_buffer("spread", torch.as_tensor(spread, dtype=torch.float64)[:, None])

    def forward(self, bounds: _Bounds) -> Tensor:
        """Score of each row."""
        ratios = bounds[0][:1] - bounds[0][1:]
        return ((ratios - self.centre) / self.spread).abs().amax(0)


class RatioWithFloor(nn.Module):
    """A ratio for real values, whose likelihood has no bottom: see `skood.HierarchicalLLR`.

    Parameters
    ----------
    ratio : module
    reference_ratio, reference_likelihood : float
    """

    def __init__(self, ratio: nn.Module, reference_ratio: float, reference_likelihood: float):
        super().__init__()
        self.ratio = ratio
        self.reference_ratio, self.reference_likelihood = reference_ratio, reference_likelihood

    def forward(self, bounds: _Bounds) -> Tensor:
        """Score of each row."""
        ratio = self.ratio(bounds)
        missing = self.reference_likelihood - bounds[0][0]
        beyond = torch.maximum(ratio, self.reference_ratio + missing)
        return torch.where(missing > 0, beyond, ratio)


def _information_ratios(nll: Tensor) -> Tensor:
    nll = nll.clamp(min=SMALLEST_NLL)
    return nll[1:] / nll[:-1]
