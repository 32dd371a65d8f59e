"""Norms of the gradients of single rows, for every parameter tensor, from one backward pass.

The gradient of the sum over a batch is no use where each row's own is wanted, and a pass for each
row is slow. But one backward pass yields, for every layer, its inputs a and the gradient g with
respect to its outputs, row by row. From these the gradient with respect to its parameters follows
without the rest of the network: for a linear layer it is g a', with the squared norm |g|^2 |a|^2;
for a convolution the sum of that over positions; for any other layer `torch.func` finds it.

Rows may come in groups: the gradient is then that of the sum over the rows of a group.

All functions work in any thread, under `torch.no_grad` and `torch.inference_mode`, and leave the
network as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from skood.gradients.calls import record
from skood.gradients.closed_forms import closed_form_of
from skood.gradients.of_layers import by_func, in_closed_form
from skood.gradients.pieces import Gradients
from skood.gradients.private import private_copy

__all__ = [
    "GradientPlan",
    "plan_gradients",
    "second_moments",
    "squared_norms",
]

Target = Callable[[nn.Module, Tensor], Tensor]
# For every parameter tensor: the module from whose inputs and outputs its gradient is found ("" is
# the whole), and whether in closed form or by torch.func.
GradientPlan = dict[str, tuple[str, str]]

# Numbers in memory at a time.
_LARGEST_PIECE = 2**24


class _Whole(nn.Module):
    """The function of a row as a module: the last resort is to differentiate all of it."""

    def __init__(self, network: nn.Module, target: Target):
        super().__init__()
        self.network = network
        self.target = target

    def forward(self, x: Tensor) -> Tensor:
        return self.target(self.network, x)


@torch.inference_mode(mode=False)
@torch.no_grad()
def plan_gradients(network: nn.Module, target: Target, x: Tensor) -> GradientPlan:
    """How to find the gradients of each parameter tensor; tensors without effect are left out.

    Every way is tried on the rows x and compared with the backward pass of each row alone: first
    the module that owns the tensor, then the modules around it, the whole network last. So a layer
    that shares its weights, or that uses them in an unusual way, is slow but not wrong.
    """
    # In double precision a wrong way cannot pass for a rounding error.
    whole, x = _Whole(copy.deepcopy(network).double(), target), _trackable(x).double()
    expected = _one_by_one(whole, x)
    plan: GradientPlan = {}
    # Up to rounding: weights of which only the direction counts have gradients like 1e-13.
    smallest = 30 * torch.finfo(next(network.parameters()).dtype).eps
    largest = max(norms.max() for norms in expected.values())
    left = {name for name, norms in expected.items() if norms.max() > smallest**2 * largest}
    candidates = {name: _candidates(whole, name) for name in left}
    while left:
        trial = {name: candidates[name].pop(0) for name in left}
        found = _norms_by_name(whole, x, trial)
        for name in list(left):
            if trial[name] == ("", "func") or _agree(found.get(name), expected[name]):
                plan[name] = trial[name]
                left.remove(name)
    return {name: plan[name] for name, _ in whole.named_parameters() if name in plan}


@torch.inference_mode(mode=False)
@torch.no_grad()
def squared_norms(
    network: nn.Module,
    target: Target,
    x: Tensor,
    plan: GradientPlan,
    *,
    group_size: int = 1,
    counts: Tensor | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Squared norm of the gradient of ``target``, summed over each group of rows.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    target : callable
        From the network and rows (n, ...) to a number for each row, shape (n,), that depends on no
        other row.
    x : Tensor of shape (n, ...)
    plan : GradientPlan
    group_size : int
        Divides n; consecutive rows are a group.
    counts : Tensor of shape (n,), optional
        How often each row counts in the sum over its group; 0 for rows that fill it up.
    weights : mapping from name to Tensor of the parameter's shape, optional
        Each squared partial derivative is multiplied by its weight, float64.

    Returns
    -------
    Tensor of shape (len(plan), n // group_size), float64
        In the order of the plan.
    """
    whole = _Whole(private_copy(network), target)
    norms = _norms_by_name(whole, _trackable(x), plan, group_size, counts, weights)
    return torch.stack([norms[name] for name in plan])


@torch.inference_mode(mode=False)
@torch.no_grad()
def second_moments(
    network: nn.Module, target: Target, x: Tensor, plan: GradientPlan, *, group_size: int = 1
) -> dict[str, Tensor]:
    """Sum over groups of each squared partial derivative, of the shapes of the parameters."""
    whole, x = _Whole(private_copy(network), target), _trackable(x)
    sums = {name: torch.zeros_like(p).double() for name, p in whole.named_parameters()}
    for name, gradients in _gradients(whole, x, plan, group_size):
        sums[name] += gradients.sum_of_squares()
    return {name: sums[name] for name in plan}


def _trackable(x: Tensor) -> Tensor:
    """A tensor that autograd may keep, which those made in inference mode are not."""
    return x.clone() if x.is_inference() else x


@torch.enable_grad()
def _one_by_one(whole: nn.Module, x: Tensor) -> dict[str, Tensor]:
    trained = [(name, p) for name, p in whole.named_parameters() if p.requires_grad]
    names, parameters = zip(*trained, strict=True)
    norms = []
    for row in x.split(1):
        gradients = torch.autograd.grad(whole(row).sum(), parameters, allow_unused=True)
        zero = x.new_zeros((), dtype=torch.float64)
        norms.append([zero if g is None else g.double().square().sum() for g in gradients])
    columns = [torch.stack(column) for column in zip(*norms, strict=True)]
    return dict(zip(names, columns, strict=True))


def _candidates(whole: nn.Module, name: str) -> list[tuple[str, str]]:
    owner = name.rpartition(".")[0]
    candidates = [(owner, "closed form")] if closed_form_of(whole.get_submodule(owner)) else []
    while owner:
        candidates.append((owner, "func"))
        owner = owner.rpartition(".")[0]
    return [*candidates, ("", "func")]


def _agree(found: Tensor | None, expected: Tensor) -> bool:
    if found is None:
        return False
    return bool(((found - expected).abs() <= 1e-9 * (expected + expected.max())).all())


def _norms_by_name(
    whole: nn.Module,
    x: Tensor,
    plan: GradientPlan,
    group_size: int = 1,
    counts: Tensor | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    pieces: dict[str, list[Tensor]] = {}
    for name, gradients in _gradients(whole, x, plan, group_size, counts):
        norms = gradients.squared_norms(weights[name] if weights else None)
        pieces.setdefault(name, []).append(norms)
    return {name: torch.cat(norms) for name, norms in pieces.items()}


def _gradients(
    whole: nn.Module,
    x: Tensor,
    plan: GradientPlan,
    group_size: int,
    counts: Tensor | None = None,
) -> Iterator[tuple[str, Gradients]]:
    """Name and gradients of some groups, one piece after the other."""
    by_module: dict[tuple[str, str], list[str]] = {}
    for name, way in plan.items():
        by_module.setdefault(way, []).append(name)
    every = dict(whole.named_modules(remove_duplicate=False))
    calls = record(whole, x, {path: every[path] for path, _ in by_module}, counts)
    n_groups = len(x) // group_size
    for (path, how), names in by_module.items():
        module = every[path]
        own = {name: name[len(path) + 1 :] if path else name for name in names}
        usable = [call for call in calls[path] if call.is_row_wise(len(x))]
        if not usable:
            continue
        pieces = in_closed_form if how == "closed form" else by_func
        size = sum(call.size(module, how) for call in usable) * group_size
        size += sum(module.get_parameter(o).numel() for o in own.values())
        step = max(1, _LARGEST_PIECE // max(1, size))
        for start in range(0, n_groups, step):
            groups = slice(start, min(n_groups, start + step))
            found = pieces(module, usable, list(own.values()), groups, group_size)
            for name in names:
                yield name, found[own[name]]
