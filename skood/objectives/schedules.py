"""Functions of the progress of training."""

from __future__ import annotations

from skood.core.protocols import Progress

__all__ = ["linear_warmup"]


def linear_warmup(progress: Progress, warmup: float) -> float:
    """Weight of the Kullback-Leibler terms: rises linearly to 1 over the first part of training.

    Parameters
    ----------
    progress : Progress
    warmup : float in [0, 1]
        Part of the planned training; 0 means full weight from the first step.

    Notes
    -----
    Sonderby et al. 2016 (deterministic warm-up); Havtorn et al. 2021, appendix B: 200 of 2000
    epochs, which is 0.1.
    """
    if warmup <= 0:
        return 1.0
    return min(1.0, (progress.step + 1) / (warmup * progress.n_steps + 1))
