"""What is known of a training before it begins: which rows are held out, and how many epochs."""

from __future__ import annotations

import numpy as np

from skood.core.rows import Rows
from skood.training.trainer import Trainer

__all__ = ["count_epochs", "planned_epochs", "split"]

_FEWEST_TO_SPLIT = 20
# A handful is enough to see a flow overfit a small table, which costs it thousands of nats on other
# rows.
_FEWEST_HELD_OUT = 5


def planned_epochs(
    max_epochs: int | str, n_rows: int, batch_size: int, has_validation: bool = True
) -> int:
    """``"auto"`` is as many epochs as give about 7,000 steps, but at most 100.

    Fewer rows are overfitted sooner, and nobody waits minutes for them; they get 500 steps at
    least, unless nothing is held out to stop early.
    """
    if max_epochs != "auto":
        return int(max_epochs)
    steps_per_epoch = max(1, n_rows // batch_size)
    most = max(100, round(500 / steps_per_epoch)) if has_validation else 100
    return min(most, max(1, round(7_000 / steps_per_epoch)))


def count_epochs(n_rows: int, trainer: Trainer, max_epochs: int | str, batch_size: int) -> int:
    """`planned_epochs` for so many rows, of which some are held out."""
    n_held_out = _count_held_out(n_rows, trainer.validation_fraction)
    n_training = n_rows - n_held_out
    return planned_epochs(max_epochs, n_training, min(batch_size, n_training), n_held_out > 0)


def split(rows: Rows, fraction: float, rng: np.random.Generator) -> tuple[Rows, Rows | None]:
    """Rows to train on, and those that are held out, if any."""
    n_held_out = _count_held_out(len(rows), fraction)
    if not n_held_out:
        return rows, None
    order = rng.permutation(len(rows))
    return rows[np.sort(order[n_held_out:])], rows[np.sort(order[:n_held_out])]


def _count_held_out(n_rows: int, fraction: float) -> int:
    if fraction == 0 or n_rows < _FEWEST_TO_SPLIT:
        return 0
    return max(_FEWEST_HELD_OUT, int(fraction * n_rows))
