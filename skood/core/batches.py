"""The way from rows to tensors on a device, in batches, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skood.core.modes import own_modes
from skood.core.progress import QUIET_SECONDS, progress
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows

__all__ = [
    "ShuffledBatches",
    "check_fixed_sizes",
    "filled_up",
    "fixed_sizes",
    "fixed_sizes_for",
    "map_batches",
    "numbers_kept_per_row",
    "padded_group",
    "resolve_device",
]

# Scores must not depend on how many rows are asked for at once. Matrix products of one size always
# add up in the same order; those of another size may not. So all batches in scoring have this size,
# or that of a small batch where both have been seen to give bitwise equal results.
LARGE_BATCH = {"cpu": 128, "cuda": 1024}
SMALL_BATCH = 32
# Numbers that a pass may keep, by device: half a gigabyte on a CPU.
_NUMBERS_KEPT = {"cpu": 2**27, "cuda": 2**29}
# Without gradients, tensors are freed at once, and the next ones take their place; but larger ones
# go back to the system, and each new one costs page faults. Batches that would keep more numbers
# than this take up to 2.7 times as long per row as smaller ones (docs/results.md).
_NUMBERS_REUSED = 2**24


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
            f"device={device!r} cannot be used here ({error}). Use 'auto' or 'cpu'; for an "
            "estimator from a file, skood.load(path, device='cpu')."
        ) from error
    return resolved


class ShuffledBatches:
    """Batches of rows in an order drawn anew at each pass.

    Parameters
    ----------
    rows : Rows
    spec : RowSpec
    batch_size : int
    device : torch.device
    rng : numpy Generator or None
        None keeps the order of the rows.
    """

    def __init__(
        self,
        rows: Rows,
        spec: RowSpec,
        batch_size: int,
        device: torch.device,
        rng: np.random.Generator | None = None,
    ):
        self.rows, self.spec, self.batch_size = rows, spec, batch_size
        self.device, self.rng = device, rng

    def __len__(self) -> int:
        # Of the rows that do not fill a batch, another part is left out at each pass: a batch of
        # one or two rows would take as long a step as a full one.
        if self.rng is None:
            return -(-len(self.rows) // self.batch_size)
        return max(1, len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        n = len(self.rows)
        order = np.arange(n) if self.rng is None else self.rng.permutation(n)
        for i in range(len(self)):
            places = np.sort(order[i * self.batch_size : (i + 1) * self.batch_size])
            yield self.spec.to_tensor(self.rows.take(places), self.device)


def padded_group(group_size: int) -> int:
    """Rows to fill up a group to, so that whole groups make batches of one size."""
    if group_size > LARGE_BATCH["cpu"]:
        return -(-group_size // LARGE_BATCH["cpu"]) * LARGE_BATCH["cpu"]
    return 1 << (group_size - 1).bit_length()


def numbers_kept_per_row(function: Callable[[Tensor], Tensor], x: Tensor) -> int:
    """How many numbers a pass through ``function`` keeps of each row; x has two rows."""
    with own_modes(grad=True):
        x = x.clone()  # autograd may not keep tensors made in inference mode
        return _numbers_kept(function, x) - _numbers_kept(function, x[:1])


def _numbers_kept(function: Callable[[Tensor], Tensor], x: Tensor) -> int:
    total = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal total
        total += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        function(x)
    return total


def fixed_sizes_for(
    function: Callable[[Tensor], Tensor], x: Tensor, numbers_per_row: int, *, backward: bool
) -> tuple[int, ...]:
    """Sizes of batches for a row-wise ``function``, ascending, as memory and rounding allow.

    Parameters
    ----------
    function : callable
        From rows (n, ...) to a tensor with a result for each row along its last axis.
    x : Tensor of shape (m, ...)
        Some rows, at least one, on which results of both sizes are compared.
    numbers_per_row : int
        See `numbers_kept_per_row`.
    backward : bool
        Whether ``function`` makes a backward pass, so that these numbers are kept.

    Returns
    -------
    tuple of int
        One size, or two whose results for x are bitwise equal.
    """
    largest = largest_batch(numbers_per_row, x.device, backward=backward)
    if largest <= SMALL_BATCH or x.device.type != "cpu":
        return (largest,)
    x = x[torch.arange(largest) % len(x)]
    small = torch.cat([function(part) for part in x.split(SMALL_BATCH)], dim=-1)
    return (SMALL_BATCH, largest) if torch.equal(small, function(x)) else (largest,)


def check_fixed_sizes(sizes: Any) -> None:
    """Raise ValueError for sizes that `fixed_sizes_for` never gives, such as those of an attack."""
    if not sizes or not all(type(n) is int and 1 <= n <= LARGE_BATCH["cpu"] for n in sizes):
        raise ValueError(f"{sizes!r} are no sizes of batches")


def largest_batch(numbers_per_row: int, device: torch.device, *, backward: bool) -> int:
    """A power of two, so that whole groups fill it up; at most `LARGE_BATCH`."""
    usual = LARGE_BATCH.get(device.type, LARGE_BATCH["cuda"])
    if device.type == "cpu" and not backward:
        usual = min(usual, max(SMALL_BATCH, _rows_within(_NUMBERS_REUSED, numbers_per_row)))
    limit = _NUMBERS_KEPT.get(device.type, _NUMBERS_KEPT["cuda"])
    return min(usual, _rows_within(limit, numbers_per_row))


def _rows_within(limit: int, numbers_per_row: int) -> int:
    n_rows = limit // max(1, numbers_per_row)
    return 1 << max(0, n_rows.bit_length() - 1)


def fixed_sizes(n: int, sizes: Sequence[int]) -> Iterator[int]:
    """Sizes of the batches for n rows: large ones, and small ones for what is left if few do."""
    small, large = sizes[0], sizes[-1]
    yield from [large] * (n // large)
    left = n % large
    # A small batch takes more time per row.
    n_small = -(-left // small)
    if left:
        yield from [small] * n_small if n_small * small <= large // 2 else [large]


def filled_up(x: Tensor, size: int, group_size: int = 1) -> Tensor:
    """A batch of that size: the last group of rows is repeated."""
    return torch.cat([x, *[x[-group_size:]] * ((size - len(x)) // group_size)])


def map_batches(
    function: Callable[[Tensor], Tensor | NDArray[np.float64]],
    rows: Rows | NDArray[Any],
    to_tensor: Callable[[NDArray[Any]], Tensor],
    sizes: Sequence[int],
    *,
    row_axis: int = -1,
    group_size: int = 1,
    fill_up: bool = True,
) -> NDArray[np.float64]:
    """Apply ``function`` to all rows in batches of fixed sizes.

    The last batch is `filled_up`, so that the score of a row is bitwise the same whatever rows it
    comes with.

    Parameters
    ----------
    function : callable
        From a batch (b, ...) to a tensor or array with the rows along ``row_axis``.
    rows : Rows, or ndarray of shape (n, ...)
    to_tensor : callable
        From an array with some of them to a tensor on the device.
    sizes : sequence of int
        Of the batches, ascending; see `fixed_sizes_for`.
    row_axis : int, default=-1
    group_size : int, default=1
        Where ``function`` gives one result for each so many consecutive rows; divides n. A batch
        has room for each group to be filled up to `padded_group` rows, but a group is always in
        one batch.
    fill_up : bool, default=True
        False for a ``function`` that fills up batches of its own, and gets as many rows as there
        are.

    Returns
    -------
    ndarray, float64
        The results for all n rows, or groups, joined along ``row_axis``.
    """
    room = padded_group(group_size)
    in_groups = sorted({max(1, size // room) for size in sizes})
    results, start = [], 0
    with own_modes(grad=False), progress(len(rows), "rows", quiet_seconds=QUIET_SECONDS) as show:
        for n_groups in fixed_sizes(len(rows) // group_size, in_groups):
            stop = start + n_groups * group_size
            some = rows.take(slice(start, stop)) if isinstance(rows, Rows) else rows[start:stop]
            x = to_tensor(some)
            n_present = len(x) // group_size
            result = function(filled_up(x, n_groups * group_size, group_size) if fill_up else x)
            if isinstance(result, Tensor):
                result = result.double().cpu().numpy()
            results.append(result.take(range(n_present), axis=row_axis))
            start = stop
            show(min(stop, len(rows)))
    return np.concatenate(results, axis=row_axis)
