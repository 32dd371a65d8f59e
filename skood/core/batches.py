"""The way from an array to tensors on a device, in batches, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skood.core.validation import channel_axis

__all__ = [
    "ShuffledBatches",
    "map_batches",
    "padded_group",
    "resolve_device",
    "to_array",
    "to_tensor",
]

# Scores must not depend on how many rows are asked for at once. Matrix products of one size always
# add up in the same order; those of another size may not. So all batches in scoring have this size.
SCORING_BATCH = {"cpu": 128, "cuda": 1024}


def resolve_device(device: str | torch.device) -> torch.device:
    """``"auto"`` is the first GPU if there is one, else the CPU; anything else is taken as named.

    Raises
    ------
    ValueError
        If torch does not know or does not have the device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, TypeError, AssertionError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here ({error}). Use 'auto' or 'cpu'."
        ) from error
    return resolved


def to_tensor(rows: NDArray[Any], device: torch.device) -> Tensor:
    """Rows on the device: (n, features), or (n, channels, height, width) in float32.

    Tables of doubles stay doubles until they are standardised: a time stamp in seconds would lose
    its last digits in float32.
    """
    # np.array copies: torch must not share memory with an array that may be read-only.
    x = torch.from_numpy(np.array(rows)).to(device)
    if x.ndim == 2:
        return x.float() if x.dtype == torch.uint8 else x
    x = x.float()
    if x.ndim == 3:
        return x[:, None]
    if channel_axis(x.shape[1:]) == 2:
        return x.permute(0, 3, 1, 2).contiguous()
    return x


def to_array(x: Tensor, input_shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The inverse of `to_tensor` for rows of ``input_shape``, float64."""
    if len(input_shape) == 3 and channel_axis(input_shape) == 2:
        x = x.permute(0, 2, 3, 1)
    return x.reshape(len(x), *input_shape).cpu().double().numpy()


class ShuffledBatches:
    """Batches of rows in an order drawn anew at each pass.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
    batch_size : int
    device : torch.device
    rng : numpy Generator or None
        None keeps the order of the rows.
    """

    def __init__(
        self,
        X: NDArray[Any],
        batch_size: int,
        device: torch.device,
        rng: np.random.Generator | None = None,
    ):
        self.X, self.batch_size, self.device, self.rng = X, batch_size, device, rng

    def __len__(self) -> int:
        # Of the rows that do not fill a batch, another part is left out at each pass: a batch of
        # one or two rows would take as long a step as a full one.
        if self.rng is None:
            return -(-len(self.X) // self.batch_size)
        return max(1, len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        order = np.arange(len(self.X)) if self.rng is None else self.rng.permutation(len(self.X))
        for i in range(len(self)):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield to_tensor(self.X[np.sort(rows)], self.device)


def padded_group(group_size: int) -> int:
    """Rows to fill up a group to, so that whole groups make batches of `SCORING_BATCH` rows."""
    if group_size > SCORING_BATCH["cpu"]:
        return -(-group_size // SCORING_BATCH["cpu"]) * SCORING_BATCH["cpu"]
    return 1 << (group_size - 1).bit_length()


@torch.inference_mode()
def map_batches(
    function: Callable[[Tensor], Tensor | NDArray[np.float64]],
    X: NDArray[Any],
    device: torch.device,
    *,
    row_axis: int = -1,
    group_size: int = 1,
    largest_batch: int | None = None,
) -> NDArray[np.float64]:
    """Apply ``function`` to all rows in batches of one fixed size.

    The last batch is filled up by repeating its last group, so that the score of a row is the same
    to the last bit whatever rows it comes with.

    Parameters
    ----------
    function : callable
        From a batch (b, ...) to a tensor or array with the rows along ``row_axis``.
    X : ndarray of shape (n, ...)
    device : torch.device
    row_axis : int, default=-1
    group_size : int, default=1
        Where ``function`` gives one result for each so many consecutive rows; divides n. A batch
        has room for each group to be filled up to `padded_group` rows.
    largest_batch : int, optional
        Rows that there is memory for, if fewer than usual; but a group is always in one batch.

    Returns
    -------
    ndarray, float64
        The results for all n rows, or groups, joined along ``row_axis``.
    """
    size = SCORING_BATCH.get(device.type, SCORING_BATCH["cuda"])
    size = min(size, largest_batch or size)
    size = max(1, size // padded_group(group_size)) * group_size
    results = []
    for start in range(0, len(X), size):
        x = to_tensor(X[start : start + size], device)
        n_groups, n_missing = len(x) // group_size, (size - len(x)) // group_size
        x = torch.cat([x, *[x[-group_size:]] * n_missing])
        result = function(x)
        if isinstance(result, Tensor):
            result = result.double().cpu().numpy()
        results.append(result.take(range(n_groups), axis=row_axis))
    return np.concatenate(results, axis=row_axis)
