"""Norms of the gradients of single rows, for every parameter tensor, from one backward pass.

The gradient of the sum over a batch is no use where each row's own is wanted, and a pass for each
row is slow. But one backward pass yields, for every layer, its inputs a and the gradient g with
respect to its outputs, row by row. From these the gradient with respect to its parameters follows
without the rest of the network: for a linear layer it is g a', with the squared norm |g|^2 |a|^2;
for a convolution the sum of that over positions; for any other layer `torch.func` finds it.

Rows may come in groups: the gradient is then that of the sum over the rows of a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from skood.nn.blocks import Linear

__all__ = ["GradientPlan", "plan_gradients", "second_moments", "squared_norms"]

Target = Callable[[nn.Module, Tensor], Tensor]
# For every parameter tensor: the module from whose inputs and outputs its gradient is found ("" is
# the whole), and whether by products of these or by torch.func.
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


@dataclass(frozen=True)
class _Explicit:
    """Gradients of some groups, shape (groups, *parameter)."""

    gradients: Tensor

    def squared_norms(self, weights: Tensor | None) -> Tensor:
        squares = self.gradients.double().square()
        return (squares if weights is None else squares * weights).flatten(1).sum(1)

    def sum_of_squares(self) -> Tensor:
        return self.gradients.double().square().sum(0)


@dataclass(frozen=True)
class _Products:
    """Gradients that are sums over t of g_t a_t'; g is (groups, t, n_out), a (groups, t, n_in)."""

    g: Tensor
    a: Tensor
    shape: torch.Size

    def squared_norms(self, weights: Tensor | None) -> Tensor:
        n_terms, n_out, n_in = self.g.shape[1], self.g.shape[2], self.a.shape[2]
        if n_terms == 1:
            g, a = self.g[:, 0].double().square(), self.a[:, 0].double().square()
            if weights is None:
                return g.sum(1) * a.sum(1)
            return ((weights.flatten(1).mT[None] @ g[:, :, None])[:, :, 0] * a).sum(1)
        if weights is None and n_terms * (n_in + n_out) < n_in * n_out:
            # |sum g_t a_t'|^2 = sum over s, t of (g_s . g_t)(a_s . a_t)
            return ((self.g @ self.g.mT).double() * (self.a @ self.a.mT).double()).sum((1, 2))
        return self._explicit().squared_norms(weights)

    def sum_of_squares(self) -> Tensor:
        if self.g.shape[1] == 1:
            g, a = self.g[:, 0].double().square(), self.a[:, 0].double().square()
            return (g.mT @ a).reshape(self.shape)
        return self._explicit().sum_of_squares()

    def _explicit(self) -> _Explicit:
        return _Explicit((self.g.mT @ self.a).reshape(-1, *self.shape))


_Gradients = _Explicit | _Products


def plan_gradients(network: nn.Module, target: Target, x: Tensor) -> GradientPlan:
    """How to find the gradients of each parameter tensor; tensors without effect are left out.

    Every way is tried on the rows x and compared with the backward pass of each row alone: first
    the module that owns the tensor, then the modules around it, the whole network last. So a layer
    that shares its weights, or that uses them in an unusual way, is slow but not wrong.
    """
    whole = _Whole(network, target)
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


def squared_norms(
    network: nn.Module,
    target: Target,
    x: Tensor,
    plan: GradientPlan,
    *,
    group_size: int = 1,
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
    weights : mapping from name to Tensor of the parameter's shape, optional
        Each squared partial derivative is multiplied by its weight, float64.

    Returns
    -------
    Tensor of shape (len(plan), n // group_size), float64
        In the order of the plan.
    """
    norms = _norms_by_name(_Whole(network, target), x, plan, group_size, weights)
    return torch.stack([norms[name] for name in plan])


def second_moments(
    network: nn.Module, target: Target, x: Tensor, plan: GradientPlan, *, group_size: int = 1
) -> dict[str, Tensor]:
    """Sum over groups of each squared partial derivative, of the shapes of the parameters."""
    whole = _Whole(network, target)
    sums = {name: torch.zeros_like(p).double() for name, p in whole.named_parameters()}
    for name, _, gradients in _gradients(whole, x, plan, group_size):
        sums[name] += gradients.sum_of_squares()
    return {name: sums[name] for name in plan}


def _one_by_one(whole: nn.Module, x: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*whole.named_parameters(), strict=True)
    norms = []
    for row in x.split(1):
        gradients = torch.autograd.grad(whole(row).sum(), parameters, allow_unused=True)
        zero = x.new_zeros((), dtype=torch.float64)
        norms.append([zero if g is None else g.double().square().sum() for g in gradients])
    columns = [torch.stack(column) for column in zip(*norms, strict=True)]
    return dict(zip(names, columns, strict=True))


def _candidates(whole: nn.Module, name: str) -> list[tuple[str, str]]:
    owner = name.rpartition(".")[0]
    candidates = [(owner, "products")] if _has_products(whole.get_submodule(owner)) else []
    while owner:
        candidates.append((owner, "func"))
        owner = owner.rpartition(".")[0]
    return [*candidates, ("", "func")]


def _agree(found: Tensor | None, expected: Tensor) -> bool:
    if found is None:
        return False
    scale = 1e-6 * expected.max()
    return bool(((found - expected).abs() <= 1e-3 * expected + scale).all())


def _norms_by_name(
    whole: nn.Module,
    x: Tensor,
    plan: GradientPlan,
    group_size: int = 1,
    weights: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    n_groups = len(x) // group_size
    norms: dict[str, Tensor] = {}
    for name, groups, gradients in _gradients(whole, x, plan, group_size):
        if name not in norms:
            norms[name] = torch.zeros(n_groups, dtype=torch.float64, device=x.device)
        norms[name][groups] = gradients.squared_norms(weights[name] if weights else None)
    return norms


def _gradients(
    whole: nn.Module, x: Tensor, plan: GradientPlan, group_size: int
) -> Iterator[tuple[str, slice, _Gradients]]:
    """Name, groups and gradients, a piece at a time."""
    by_module: dict[tuple[str, str], list[str]] = {}
    for name, way in plan.items():
        by_module.setdefault(way, []).append(name)
    calls = _record(whole, x, {module for module, _ in by_module})
    n_groups = len(x) // group_size
    for (path, how), names in by_module.items():
        module = whole.get_submodule(path)
        own = {name: name[len(path) + 1 :] if path else name for name in names}
        usable = [call for call in calls[path] if call.is_row_wise(len(x))]
        if not usable:
            continue
        pieces = _pieces_of_products if how == "products" else _pieces_of_func
        size = sum(call.size(module, how) for call in usable) * group_size
        if how == "func":
            size += sum(module.get_parameter(o).numel() for o in own.values())
        step = max(1, _LARGEST_PIECE // max(1, size))
        for start in range(0, n_groups, step):
            groups = slice(start, min(n_groups, start + step))
            found = pieces(module, usable, list(own.values()), groups, group_size)
            for name in names:
                yield name, groups, found[own[name]]


@dataclass
class _Call:
    """One call of a module: what went in, what came out, and the gradient for that."""

    inputs: list[Any]
    inputs_spec: Any
    outputs: list[Any]
    gradients: list[Tensor]

    def is_row_wise(self, n: int) -> bool:
        """Whether every output has a row for each row of x, and some input too."""
        tensors = all(isinstance(y, Tensor) and y.ndim and len(y) == n for y in self.outputs)
        return tensors and bool(self.rows(n))

    def rows(self, n: int) -> list[int]:
        """Which of the inputs have a row for each row of x."""
        return [
            i for i, a in enumerate(self.inputs) if isinstance(a, Tensor) and a.ndim and len(a) == n
        ]

    def size(self, module: nn.Module, how: str) -> int:
        """Numbers that a row needs."""
        outputs = sum(y[0].numel() for y in self.outputs)
        inputs = sum(self.inputs[i][0].numel() for i in self.rows(len(self.outputs[0])))
        if how == "products" and isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            area = module.kernel_size[0] * cast(int, module.kernel_size[1])
            return area * max(inputs, outputs) + module.weight.numel()
        return inputs + outputs


@torch.enable_grad()
def _record(whole: nn.Module, x: Tensor, paths: set[str]) -> dict[str, list[_Call]]:
    """Run the whole once, forward and backward, and keep the calls of some modules."""
    calls: dict[str, list[_Call]] = {path: [] for path in paths}

    def keep(path: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            inputs, spec = pytree.tree_flatten((args, kwargs))
            calls[path].append(_Call(inputs, spec, pytree.tree_leaves(result), []))

        return hook

    handles = [
        whole.get_submodule(path).register_forward_hook(keep(path), with_kwargs=True)
        for path in paths
    ]
    try:
        total = whole(x).sum()
    finally:
        for handle in handles:
            handle.remove()
    every = [call for of_module in calls.values() for call in of_module]
    outputs = [y for call in every for y in call.outputs if isinstance(y, Tensor)]
    tracked = [y for y in outputs if y.requires_grad]
    found = torch.autograd.grad(total, tracked, allow_unused=True) if tracked else ()
    gradients = iter(found)
    for call in every:
        for y in call.outputs:
            g = next(gradients) if isinstance(y, Tensor) and y.requires_grad else None
            if isinstance(y, Tensor):
                call.gradients.append(torch.zeros_like(y) if g is None else g.detach())
        call.inputs = [a.detach() if isinstance(a, Tensor) else a for a in call.inputs]
    return calls


def _has_products(module: nn.Module) -> bool:
    """Whether the type is one whose forward is known: a subclass may do something else."""
    if type(module) in (nn.Linear, Linear):
        return True
    if type(module) not in (nn.Conv2d, nn.ConvTranspose2d):
        return False
    convolution = cast(nn.Conv2d, module)
    return (
        convolution.groups == 1
        and convolution.padding_mode == "zeros"
        and not isinstance(convolution.padding, str)
    )


def _pieces_of_products(
    module: nn.Module, calls: Sequence[_Call], names: list[str], groups: slice, group_size: int
) -> dict[str, _Gradients]:
    rows = slice(groups.start * group_size, groups.stop * group_size)
    pairs = [_positions(module, call.inputs[0][rows], call.gradients[0][rows]) for call in calls]
    n_groups = groups.stop - groups.start
    g, a, b = (
        torch.cat([part.reshape(n_groups, -1, part.shape[-1]) for part in parts], dim=1)
        for parts in zip(*pairs, strict=True)
    )
    pieces: dict[str, _Gradients] = {}
    if "weight" in names:
        pieces["weight"] = _Products(g, a, module.get_parameter("weight").shape)
    if "bias" in names:
        pieces["bias"] = _Explicit(b.sum(1))
    return pieces


def _positions(module: nn.Module, a: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The two factors of the weights' gradient, and the bias's: (rows, positions, ...) each."""
    if isinstance(module, nn.Conv2d):
        g = g.flatten(2).mT
        return g, _patches(module, a), g
    if isinstance(module, nn.ConvTranspose2d):
        return a.flatten(2).mT, _patches(module, g), g.flatten(2).mT
    a, g = a.reshape(len(a), -1, a.shape[-1]), g.reshape(len(g), -1, g.shape[-1])
    return g, a, g


def _patches(module: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> Tensor:
    geometry: dict[str, Any] = {
        name: getattr(module, name) for name in ("dilation", "padding", "stride")
    }
    return F.unfold(x, cast(Any, module.kernel_size), **geometry).mT


def _pieces_of_func(
    module: nn.Module, calls: Sequence[_Call], names: list[str], groups: slice, group_size: int
) -> dict[str, _Gradients]:
    parameters = {name: module.get_parameter(name).detach() for name in names}
    total: dict[str, Tensor] = {}
    for call in calls:
        for name, gradients in _gradients_of_call(module, call, parameters, groups, group_size):
            total[name] = total[name] + gradients if name in total else gradients
    return {name: _Explicit(gradients) for name, gradients in total.items()}


def _gradients_of_call(
    module: nn.Module, call: _Call, parameters: dict[str, Tensor], groups: slice, group_size: int
) -> Iterator[tuple[str, Tensor]]:
    varying = call.rows(len(call.outputs[0]))
    rows = slice(groups.start * group_size, groups.stop * group_size)

    def in_groups(tensor: Tensor) -> Tensor:
        return tensor[rows].reshape(-1, group_size, *tensor.shape[1:])

    def gradient(inputs: list[Tensor], cotangents: tuple[Tensor, ...]) -> dict[str, Tensor]:
        everything = list(call.inputs)
        for i, a in zip(varying, inputs, strict=True):
            everything[i] = a
        args, kwargs = pytree.tree_unflatten(everything, call.inputs_spec)

        def run(parameters: dict[str, Tensor]) -> tuple[Tensor, ...]:
            result = torch.func.functional_call(module, parameters, args, kwargs)
            return tuple(pytree.tree_leaves(result))

        _, pull_back = torch.func.vjp(run, parameters)
        return cast("dict[str, Tensor]", pull_back(cotangents)[0])

    inputs = [in_groups(call.inputs[i]) for i in varying]
    cotangents = tuple(in_groups(g) for g in call.gradients)
    yield from torch.func.vmap(gradient)(inputs, cotangents).items()
