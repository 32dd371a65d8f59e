"""Functions of the progress of training."""

from __future__ import annotations

import math

from skood.core.protocols import Progress

__all__ = ["SCHEDULES", "geometric_warmup", "linear_warmup"]

_N_LEVELS = 10


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


def geometric_warmup(progress: Progress, warmup: float) -> float:
    """The same weight in steps, of which each lasts twice as long as the one before it.

    Parameters
    ----------
    progress : Progress
    warmup : float in [0, 1]
        Part of the planned training; 0 means full weight from the first step.

    Notes
    -----
    The self-reflective VAE, section 5.1, with N = 10: phase n = 0, ..., N - 1 lasts 2^n units of
    time with the weight 10^(n/N - 1), but 0 for n = 0; then the weight is 1. The exponent is
    printed as n / (N - 1) without brackets; only this reading gives 1 at n = N, and the 1024
    epochs of warm-up of their table 4.
    """
    if warmup <= 0 or progress.step >= warmup * progress.n_steps:
        return 1.0
    units = progress.step / (warmup * progress.n_steps) * (2**_N_LEVELS - 1)
    level = int(math.log2(units + 1))
    return 0.0 if level == 0 else 10.0 ** (level / _N_LEVELS - 1)


SCHEDULES = {"linear": linear_warmup, "geometric": geometric_warmup}
