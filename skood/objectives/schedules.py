"""Weight of the Kullback-Leibler terms as a function of the progress of training (KL annealing).

Starting with a small weight lets the decoder learn to use the latent layers before their divergence
costs anything. Too short a warm-up lets upper layers collapse. Too long a one leaves little of the
training for the bound itself, since with a weight below 1 the loss is not the negative bound.
"""

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
        Steps done, and steps planned.
    warmup : float in [0, 1]
        Part of the planned training; 0 means full weight from the first step.

    Returns
    -------
    float
        In (0, 1].

    Notes
    -----
    C. K. Sonderby et al., "Ladder Variational Autoencoders", NeurIPS 2016, arXiv:1602.02282
    (deterministic warm-up); Havtorn et al. 2021, arXiv:2102.08248, appendix B: 200 of 2000 epochs,
    which is 0.1.

    Examples
    --------
    >>> from skood.core.protocols import Progress
    >>> from skood.objectives.schedules import linear_warmup
    >>> [round(linear_warmup(Progress(step, 1000), 0.1), 2) for step in (0, 50, 100, 500)]
    [0.01, 0.5, 1.0, 1.0]
    """
    if warmup <= 0:
        return 1.0
    return min(1.0, (progress.step + 1) / (warmup * progress.n_steps + 1))


def geometric_warmup(progress: Progress, warmup: float) -> float:
    """Weight of the Kullback-Leibler terms: rises to 1 in steps, each twice as long as the last.

    Parameters
    ----------
    progress : Progress
        Steps done, and steps planned.
    warmup : float in [0, 1]
        Part of the planned training; 0 means full weight from the first step.

    Returns
    -------
    float
        In [0, 1]: 0 in the first 1023rd of the warm-up, 1 after it.

    Notes
    -----
    I. Apostolopoulou, E. Rosenfeld, A. Dubrawski, "Self-Reflective Variational Autoencoder", 2020,
    arXiv:2007.05166, section 5.1, with N = 10: phase n = 0, ..., N - 1 lasts 2^n units of time with
    the weight 10^(n/N - 1), but 0 for n = 0; then the weight is 1. The exponent is printed as
    n / (N - 1) without brackets; only this reading gives 1 at n = N, and the 1024 epochs of warm-up
    of their table 4.

    Examples
    --------
    >>> from skood.core.protocols import Progress
    >>> from skood.objectives.schedules import geometric_warmup
    >>> [round(geometric_warmup(Progress(step, 1023), 1.0), 2) for step in (0, 1, 3, 600, 1023)]
    [0.0, 0.13, 0.16, 0.79, 1.0]
    """
    if warmup <= 0 or progress.step >= warmup * progress.n_steps:
        return 1.0
    units = progress.step / (warmup * progress.n_steps) * (2**_N_LEVELS - 1)
    level = int(math.log2(units + 1))
    return 0.0 if level == 0 else 10.0 ** (level / _N_LEVELS - 1)


SCHEDULES = {"linear": linear_warmup, "geometric": geometric_warmup}
