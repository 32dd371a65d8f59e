"""What a network takes from x before it draws anything, for several passes over the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

__all__ = ["Evidence"]


@dataclass(frozen=True)
class Evidence:
    """A function of x alone, and so the same for all importance samples, and all bounds.

    ``evidence[i]`` are the tensors of layer i + 1, with a row for each row of the batch: where that
    holds several samples of a row of x, they are repeated.

    Attributes
    ----------
    observed_of_x : Tensor of shape (n_x, ...)
        What the likelihood models.
    layers : sequence of tuples of Tensors of shapes (n_x, ...)
        What inference needs, from layer 1 on; a network may know that of few layers only.
    rows : Tensor of shape (n,), or None
        Which row of x each row of the batch stands for; None: the batch is x.
    """

    observed_of_x: Tensor
    layers: Sequence[tuple[Tensor, ...]]
    rows: Tensor | None = None

    def for_batch(self, rows: Tensor) -> Evidence:
        """The same for a batch in which each row stands for one of x."""
        return replace(self, rows=rows)

    @property
    def n_rows(self) -> int:
        """Rows in the batch; not by ``len``, which would fix it in an exported graph."""
        return (self.observed_of_x if self.rows is None else self.rows).shape[0]

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(self._in_batch(tensor) for tensor in self.layers[index])

    @property
    def observed(self) -> Tensor:
        """What the likelihood models, a row for each row of the batch."""
        return self._in_batch(self.observed_of_x)

    def _in_batch(self, tensor: Tensor) -> Tensor:
        return tensor if self.rows is None else tensor.index_select(0, self.rows)
