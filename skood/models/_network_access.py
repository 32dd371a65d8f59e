"""What detectors use of a fitted model: its network on rows, and the noise of the scores."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skood.core.batches import LARGE_BATCH, map_batches, resolve_device
from skood.core.noise import Noise, Stream
from skood.core.progress import shows_progress
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows, check_rows

__all__ = ["NetworkAccess"]

_CPU = torch.device("cpu")
_Floats = NDArray[np.float64]


class NetworkAccess:
    """For models: `skood.core.estimator_protocols.NetworkModel`, but for `fit` and the scores."""

    network_: nn.Module
    rows_: RowSpec
    seed_: int
    batch_sizes_: tuple[int, ...]
    device: str | torch.device

    def scoring_noise(self, *other: int) -> Noise:
        """The same for all rows and all calls: a score is a fixed function of its row.

        Numbers make it another noise, to see how much depends on it.
        """
        seed = [self.seed_, Stream.SCORING, *other]
        return Noise(seed, resolve_device(self.device), shared=True)

    def with_scoring_noise_of(self, other: NetworkAccess) -> Any:
        """A copy that scores with the noise of another fitted model, and shares all else with this.

        For differences of likelihoods: both models then see the same x where noise is a part of it,
        as with binarised or dequantised pixels, and the same latents.
        """
        check_is_fitted(self)
        model = copy.copy(self)
        model.seed_ = other.seed_
        return model

    def _on_cpu_noise(self) -> Noise:
        return Noise([self.seed_, Stream.SCORING], shared=True)

    @shows_progress
    def map_network(
        self,
        function: Callable[[nn.Module, Tensor], Any],
        X: ArrayLike | Tensor | Rows,
        *,
        sizes: Sequence[int] | None = None,
        **options: Any,
    ) -> _Floats:
        """``function(network, x)`` over all rows of X, on the chosen device.

        Parameters
        ----------
        function : callable
            Row-wise; see `skood.core.batches.map_batches` for it and for the options.
        X : array-like of shape (n, ...)
        sizes : sequence of int, default=None
            Of the batches; None is ``batch_sizes_`` on a CPU.

        Returns
        -------
        ndarray, float64
        """
        check_is_fitted(self)
        rows = check_rows(self, X, reset=False)
        self.rows_.check(type(self).__name__, rows)
        device = resolve_device(self.device)
        # A copy: scoring must not change the estimator, and pickles should load without a GPU.
        network = self.network_ if device.type == "cpu" else copy.deepcopy(self.network_).to(device)
        return map_batches(
            partial(function, network),
            rows,
            partial(self.rows_.to_tensor, device=device),
            sizes or self._sizes_on(device),
            **options,
        )

    def _sizes_on(self, device: torch.device) -> tuple[int, ...]:
        if device.type == "cpu":
            return self.batch_sizes_
        # A GPU has about as many times the memory as its batches are larger.
        return (LARGE_BATCH["cuda"] // LARGE_BATCH["cpu"] * self.batch_sizes_[-1],)

    def first_rows(self, X: ArrayLike | Tensor | Rows, n: int) -> Tensor:
        """The first n rows of X as the network takes them, on the CPU."""
        rows = check_rows(self, X, reset=False)
        return self.rows_.to_tensor(rows.take(slice(n)), _CPU)
