"""The gradient norms of a fitted model, layer by layer."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr

from skood.core.batches import ShuffledBatches, padded_group, resolve_device, to_tensor
from skood.core.validation import check_rows, check_scale
from skood.gradients.norms import (
    numbers_per_row,
    plan_gradients,
    second_moments,
    squared_norms,
)

__all__ = ["LayerNorms"]

# Where the gradients of so many rows are found correctly, all are.
_PLANNED_ROWS = 8
# For the way back through a batch, by device; gradients come on top, two or three times as much.
_NUMBERS_KEPT = {"cpu": 2**27, "cuda": 2**29}
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
    row_size : int
        Numbers that a pass keeps of each row.
    """

    names: list[str]
    plan: dict
    weights: dict | None
    row_size: int
    target: str
    layers: str

    @classmethod
    def fit(cls, model, X, *, target, layers, fisher):
        """From normal rows X that the model was not trained on.

        Parameters
        ----------
        model : estimator
        X : ndarray of shape (n, ...)
        target : {"log_likelihood", "latent_sum"}
        layers : {"tensor", "module"}
        fisher : {"identity", "diagonal"}
        """
        X = check_rows(model, X, reset=False)
        check_scale(model, X, model.data_kind_)
        network, device = model._network_on_device()
        function = _TARGETS[target](_noise(model))
        x = to_tensor(X[:_PLANNED_ROWS], device)
        plan = plan_gradients(network, function, x)
        row_size = numbers_per_row(network, function, x[[0, 0]])
        names = list(dict.fromkeys(_layer_of(tensor, layers) for tensor in plan))
        weights = None
        if fisher == "diagonal":
            moments = functools.partial(second_moments, network, function, plan=plan)
            weights = _reciprocals(moments, X, device, _largest_batch(row_size, device))
        return cls(names, plan, weights, row_size, target, layers)

    def repeatability(self, model, X):
        """How much of the norms is that of the row, and not of the noise of the pass.

        Returns
        -------
        float
            Rank correlation of the norms of the rows of X with those under other noise, median over
            layers: 1 if there is no noise. NaN if all rows are the same.
        """
        pairs = zip(
            self.squared(model, X, 1).T,
            self.squared(model, X, 1, noise=model._scoring_noise(1)).T,
            strict=True,
        )
        varying = [pair for pair in pairs if np.ptp(pair, axis=1).all()]
        return float(np.median([spearmanr(*pair).statistic for pair in varying] or [np.nan]))

    def squared(self, model, X, group_size, noise=None):
        """Squared norms of groups of rows, shape (n // group_size, len(names)), float64.

        Under the noise of the model's scores, or other.
        """
        X = X[: len(X) // group_size * group_size]
        function = _TARGETS[self.target](_noise(model) if noise is None else noise.sample(0))
        device = resolve_device(model.device)
        weights = self._weights_on(device)
        rows_of_layers = self._rows_of_layers()

        def evaluate(network, x):
            with torch.inference_mode(False):  # in which there are no gradients
                x, counts = _filled_up(x.clone(), group_size)
                norms = squared_norms(
                    network,
                    lambda network, x: counts * function(network, x),
                    x,
                    self.plan,
                    group_size=padded_group(group_size),
                    weights=weights,
                )
            return np.stack([norms[rows].sum(0).cpu().numpy() for rows in rows_of_layers], axis=1)

        return model._map(
            X,
            evaluate,
            row_axis=0,
            group_size=group_size,
            largest_batch=_largest_batch(self.row_size, device),
        )

    def _weights_on(self, device):
        if self.weights is None:
            return None
        return {name: weights.to(device) for name, weights in self.weights.items()}

    def _rows_of_layers(self):
        layers = [_layer_of(tensor, self.layers) for tensor in self.plan]
        return [[i for i, layer in enumerate(layers) if layer == name] for name in self.names]


def _filled_up(x, group_size):
    """Groups with their last row repeated, and which rows count: 1, and 0 for repeated ones.

    All batches have one size then: matrix products of others may add up in another order.
    """
    size = padded_group(group_size)
    rows = torch.arange(size, device=x.device).clamp(max=group_size - 1)
    groups = x.reshape(-1, group_size, *x.shape[1:])[:, rows]
    counts = (torch.arange(size, device=x.device) < group_size).float()
    return groups.flatten(0, 1), counts.repeat(len(groups))


def _largest_batch(row_size, device):
    """A power of two, so that whole groups fill it up."""
    n_rows = _NUMBERS_KEPT.get(device.type, _NUMBERS_KEPT["cuda"]) // max(1, row_size)
    return 1 << max(0, n_rows.bit_length() - 1)


def _noise(model):
    return model._scoring_noise().sample(0)


def _log_likelihood(noise):
    return lambda network, x: network.terms(x, noise).log_weight


def _latent_sum(noise):
    return lambda network, x: network.transform(x, noise).sum(1)


_TARGETS = {"log_likelihood": _log_likelihood, "latent_sum": _latent_sum}


def _layer_of(tensor, layers):
    name = tensor.removeprefix("network.")
    return name.rpartition(".")[0] if layers == "module" else name


def _reciprocals(moments, X, device, batch_size):
    """Of the mean of each squared partial derivative over the rows of X, on the CPU."""
    totals = Counter()
    for x in ShuffledBatches(X, min(128, batch_size), device):
        totals.update(moments(x))
    means = {name: total.cpu() / len(X) for name, total in totals.items()}
    return {name: 1 / (mean + _DAMPING * mean.mean()) for name, mean in means.items()}
