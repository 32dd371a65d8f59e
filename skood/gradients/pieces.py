"""Gradients of several rows, or groups of rows, with respect to one parameter tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Explicit", "Gradients", "Products", "joined"]


@dataclass(frozen=True)
class Explicit:
    """Gradients of some rows or groups, shape (n, *parameter)."""

    gradients: Tensor

    def squared_norms(self, weights: Tensor | None) -> Tensor:
        """Of each row or group, float64; each square is multiplied by its weight."""
        if weights is None:
            return _sum_of_squares(self.gradients)
        return (self.gradients.double().square() * weights).flatten(1).sum(1)

    def sum_of_squares(self) -> Tensor:
        """Over the rows or groups, of each element, float64."""
        return self.gradients.double().square().sum(0)


def _as_it_is(matrix: Tensor) -> Tensor:
    return matrix


@dataclass(frozen=True)
class Products:
    """Gradients that are sums over t of g_t a_t'; g is (n, t, n_out), a (n, t, n_in).

    ``arrange`` makes a parameter of each such matrix; ``mask`` is 0 where elements of the
    parameter are not used.
    """

    g: Tensor
    a: Tensor
    arrange: Callable[[Tensor], Tensor] = _as_it_is
    mask: Tensor | None = None

    def squared_norms(self, weights: Tensor | None) -> Tensor:
        """Of each row or group, float64; each square is multiplied by its weight."""
        n_terms, n_out, n_in = self.g.shape[1], self.g.shape[2], self.a.shape[2]
        if self._is_single:
            return self._norms_of_single(weights)
        if weights is not None or self.mask is not None:
            return self._explicit().squared_norms(weights)
        if n_terms * (n_in + n_out) < n_in * n_out:
            # |sum g_t a_t'|^2 = sum over s, t of (g_s . g_t)(a_s . a_t)
            return ((self.g @ self.g.mT).double() * (self.a @ self.a.mT).double()).sum((1, 2))
        return _sum_of_squares(self.g.mT @ self.a)

    def sum_of_squares(self) -> Tensor:
        """Over the rows or groups, of each element, float64."""
        if not self._is_single:
            return self._explicit().sum_of_squares()
        g, a = self._squares()
        return g.mT @ a if self.mask is None else (g.mT @ a) * self.mask

    @property
    def _is_single(self) -> bool:
        """Whether there is one term: squares of the gradients are products of squares then."""
        return self.g.shape[1] == 1 and self.arrange is _as_it_is

    def _norms_of_single(self, weights: Tensor | None) -> Tensor:
        g, a = self._squares()
        if self.mask is not None:
            weights = self.mask.double() if weights is None else weights * self.mask
        if weights is None:
            return g.sum(1) * a.sum(1)
        # Row by row: one product of matrices for all rows would round some in another way.
        weighted = torch.stack([weights.mT @ row for row in g])
        return (weighted * a).sum(1)

    def _squares(self) -> tuple[Tensor, Tensor]:
        # In one piece: sums along strides add up in an order that depends on the number of rows.
        g, a = self.g[:, 0].contiguous(), self.a[:, 0].contiguous()
        return g.double().square(), a.double().square()

    def _explicit(self) -> Explicit:
        gradients = self.arrange(self.g.mT @ self.a)
        return Explicit(gradients if self.mask is None else gradients * self.mask)


Gradients = Explicit | Products


def joined(calls: Sequence[Gradients], n_groups: int) -> Gradients:
    """The sum over the rows of each group, and over the calls of a layer, which are of one type."""
    products = [each for each in calls if isinstance(each, Products)]
    if products:
        g = _in_groups([each.g for each in products], n_groups)
        a = _in_groups([each.a for each in products], n_groups)
        return Products(g, a, products[0].arrange, products[0].mask)
    rows = [each.gradients for each in calls if isinstance(each, Explicit)]
    total = torch.stack(rows).sum(0) if len(rows) > 1 else rows[0]
    if n_groups == len(total):
        return Explicit(total)
    return Explicit(total.reshape(n_groups, -1, *total.shape[1:]).sum(1))


def _in_groups(calls: Sequence[Tensor], n_groups: int) -> Tensor:
    """The terms of all rows of a group, and of all calls, one after the other."""
    grouped = [call.reshape(n_groups, -1, call.shape[-1]) for call in calls]
    return torch.cat(grouped, dim=1) if len(grouped) > 1 else grouped[0]


def _sum_of_squares(x: Tensor) -> Tensor:
    """Of each row, float64.

    Several times faster in the precision of x, which is enough where no square is out of its range.
    """
    x = x.flatten(1)
    norms = torch.linalg.vector_norm(x, dim=1)
    out_of_range = ~((norms > 1e-15) & (norms < 1e15))
    squares = norms.double().square()
    if out_of_range.any():
        squares[out_of_range] = x[out_of_range].double().square().sum(1)
    return squares
