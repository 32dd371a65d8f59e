"""The exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """A second network, whose weights are averages of those that a first one has had.

    Parameters
    ----------
    network : nn.Module
        Before its first step.
    decay : float
        Weight of the average so far against that of the next weights.

    Attributes
    ----------
    network : nn.Module
        The averaged one.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.network, self.decay = copy.deepcopy(network), decay

    @torch.no_grad()
    def update(self, network: nn.Module, n_steps: int) -> None:
        """Take in the weights after so many steps.

        The first weights are random, and soon forgotten: after a few steps the average is that of
        the last tenth of them, until ``decay`` makes it longer.
        """
        decay = min(self.decay, (1 + n_steps) / (10 + n_steps))
        weights = zip(self.network.parameters(), network.parameters(), strict=True)
        for average, present in weights:
            average.lerp_(present, 1 - decay)
        # Of counts and permutations there is no average.
        buffers = zip(self.network.buffers(), network.buffers(), strict=True)
        for kept, last in buffers:
            kept.copy_(last)
