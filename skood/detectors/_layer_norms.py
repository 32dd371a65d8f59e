"""The gradient norms of a fitted model, layer by layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from skood.core.batches import (
    check_fixed_sizes,
    fixed_sizes_for,
    numbers_kept_per_row,
    padded_group,
)
from skood.core.estimator_protocols import NetworkModel
from skood.core.modes import own_modes
from skood.core.noise import Noise
from skood.gradients.norms import GradientPlan, plan_gradients, second_moments, squared_norms

__all__ = ["LayerNorms"]

_Floats = NDArray[np.float64]
_Target = Callable[[nn.Module, Tensor], Tensor]

# Where the gradients of so many rows are found correctly, all are.
_PLANNED_ROWS = 8
_SIZED_ROWS = 128
# Of the mean over the tensor, added to each second moment: hardly used weights are not everything.
_DAMPING = 1e-3


@dataclass(frozen=True)
class LayerNorms:
    """How to find the squared norms of one model; `fit` says what the parameters mean.

    Attributes
    ----------
    names : list of str
        Of the layers, in the order of the model.
    plan : GradientPlan
    weights : dict from name to Tensor, or None
        Reciprocal second moments of the partial derivatives.
    sizes : tuple of int
        Of the batches, as memory allows.
    """

    names: list[str]
    plan: GradientPlan
    weights: dict[str, Tensor] | None
    sizes: tuple[int, ...]
    target: str
    layers: str

    def __post_init__(self) -> None:
        check_fixed_sizes(self.sizes)

    @classmethod
    def fit(
        cls, model: NetworkModel, X: Any, *, target: str, layers: str, fisher: str
    ) -> LayerNorms:
        """From normal rows X that the model was not trained on.

        Parameters
        ----------
        model : estimator
        X : Rows, or ndarray of shape (n, ...)
        target : {"log_likelihood", "latent_sum"}
        layers : {"tensor", "module"}
        fisher : {"identity", "diagonal"}
        """
        function = _TARGETS[target](Noise(model.scoring_noise().seed, shared=True).fork(0))
        network, x = model.network_, model.first_rows(X, _SIZED_ROWS)
        with own_modes(grad=True):
            plan = plan_gradients(network, function, x[:_PLANNED_ROWS])
            n_kept = numbers_kept_per_row(partial(function, network), x[torch.arange(2) % len(x)])
            norms = partial(squared_norms, network, function, plan=plan)
            sizes = fixed_sizes_for(norms, x, n_kept, backward=True)
            weights = None
            if fisher == "diagonal":
                moments = partial(second_moments, network, function, plan=plan)
                weights = _reciprocals(moments, model.first_rows(X, len(X)), sizes[-1])
        names = list(dict.fromkeys(_layer_of(tensor, layers) for tensor in plan))
        return cls(names, plan, weights, sizes, target, layers)

    def repeatability(self, model: NetworkModel, X: Any) -> float:
        """How much of the norms is that of the row, and not of the noise of the pass.

        Returns
        -------
        float
            Rank correlation of the norms of the rows of X with those under other noise, median over
            layers: 1 if there is no noise. NaN if all rows are the same.
        """
        pairs = zip(
            self.squared(model, X, 1).T,
            self.squared(model, X, 1, noise=model.scoring_noise(1)).T,
            strict=True,
        )
        varying = [pair for pair in pairs if np.ptp(pair, axis=1).all()]
        return float(np.median([spearmanr(*pair).statistic for pair in varying] or [np.nan]))

    def squared(
        self, model: NetworkModel, X: Any, group_size: int, noise: Noise | None = None
    ) -> _Floats:
        """Squared norms of groups of rows, shape (n // group_size, len(names)), float64.

        Under the noise of the model's scores, or other; ``group_size`` divides n.
        """
        function = _TARGETS[self.target]((noise or model.scoring_noise()).fork(0))
        rows_of_layers = self._rows_of_layers()

        def evaluate(network: nn.Module, x: Tensor) -> _Floats:
            x, counts = _filled_up(x, group_size)
            norms = squared_norms(
                network,
                function,
                x,
                self.plan,
                group_size=padded_group(group_size),
                counts=counts,
                weights=self._weights_on(x.device),
            )
            of_tensors = norms.cpu().numpy()
            # One after the other: NumPy's sum adds in another order where there is one group.
            return np.stack([sum(of_tensors[rows]) for rows in rows_of_layers], axis=1)

        options = {"row_axis": 0, "group_size": group_size, "sizes": self.sizes}
        return model.map_network(evaluate, X, **options)

    def _weights_on(self, device: torch.device) -> dict[str, Tensor] | None:
        if self.weights is None:
            return None
        return {name: weights.to(device) for name, weights in self.weights.items()}

    def _rows_of_layers(self) -> list[list[int]]:
        layers = [_layer_of(tensor, self.layers) for tensor in self.plan]
        return [[i for i, layer in enumerate(layers) if layer == name] for name in self.names]


def _filled_up(x: Tensor, group_size: int) -> tuple[Tensor, Tensor]:
    """Groups with their last row repeated, and which rows count: 1, and 0 for repeated ones.

    All batches have one size then: matrix products of others may add up in another order.
    """
    size = padded_group(group_size)
    with torch.inference_mode(False):  # in which there are no gradients
        rows = torch.arange(size, device=x.device).clamp(max=group_size - 1)
        groups = x.clone().reshape(-1, group_size, *x.shape[1:])[:, rows]
        counts = (torch.arange(size, device=x.device) < group_size).to(torch.float32)
        return groups.flatten(0, 1), counts.repeat(len(groups))


def _log_likelihood(noise: Noise) -> _Target:
    return lambda network, x: network.terms(x, noise).log_weight  # type: ignore[operator]


def _latent_sum(noise: Noise) -> _Target:
    return lambda network, x: network.transform(x, noise).sum(1)  # type: ignore[operator]


_TARGETS: dict[str, Callable[[Noise], _Target]] = {
    "log_likelihood": _log_likelihood,
    "latent_sum": _latent_sum,
}


def _layer_of(tensor: str, layers: str) -> str:
    name = tensor.removeprefix("network.")
    return name.rpartition(".")[0] if layers == "module" else name


def _reciprocals(
    moments: Callable[[Tensor], dict[str, Tensor]], x: Tensor, batch_size: int
) -> dict[str, Tensor]:
    """Of the mean of each squared partial derivative over the rows x."""
    totals: Counter[str] = Counter()
    for part in x.split(batch_size):
        totals.update(moments(part))
    means: dict[str, Any] = {name: total / len(x) for name, total in totals.items()}
    return {name: 1 / (mean + _DAMPING * mean.mean()) for name, mean in means.items()}
