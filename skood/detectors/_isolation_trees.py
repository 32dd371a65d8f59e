"""The trees of an isolation forest as arrays, which can be saved and cannot do harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

__all__ = ["IsolationTrees"]

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]


@dataclass(frozen=True)
class IsolationTrees:
    """What a fitted `sklearn.ensemble.IsolationForest` scores rows with, and its very scores.

    The nodes of all trees follow one another, each before its children. A leaf is its own child.

    Attributes
    ----------
    roots : ndarray of shape (n_trees,), int
    left, right : ndarray of shape (n_nodes,), int
        Places of the children.
    feature : ndarray of shape (n_nodes,), int
    threshold : ndarray of shape (n_nodes,), float64
        A row goes to the left where its feature is at most this.
    length : ndarray of shape (n_nodes,), float64
        Of the path of a row that ends here, with the mean length of those that would go on.
    usual_length : float
        Mean length of a path, over the trees in all.
    """

    roots: _Integers
    left: _Integers
    right: _Integers
    feature: _Integers
    threshold: _Floats
    length: _Floats
    usual_length: float

    def __post_init__(self) -> None:
        """Raise ValueError for trees in which a row would walk for ever: a file can hold any."""
        nodes = np.arange(len(self.left))
        children = np.minimum(self.left, self.right)
        is_leaf = (self.left == nodes) & (self.right == nodes)
        if not ((children > nodes) | is_leaf).all() or not np.isfinite(self.length).all():
            raise ValueError("its trees are none")

    @classmethod
    def of(cls, forest: IsolationForest) -> IsolationTrees:
        """Those of a fitted forest."""
        parts, roots, n_nodes = [], [], 0
        for tree, features in zip(forest.estimators_, forest.estimators_features_, strict=True):
            parts.append(_nodes(tree.tree_, features, n_nodes))
            roots.append(n_nodes)
            n_nodes += tree.tree_.node_count
        usual_length = len(roots) * _mean_length(np.array([forest.max_samples_]))[0]
        left, right, feature, threshold, length = map(np.concatenate, zip(*parts, strict=True))
        places = np.array(roots), left, right, feature
        return cls(*places, threshold, length, float(usual_length))

    def score_samples(self, X: ArrayLike) -> _Floats:
        """Minus 2 to the power of minus the relative length of the mean path, shape (n,)."""
        X = np.asarray(X, dtype=np.float32)  # as scikit-learn's trees have it
        rows, total = np.arange(len(X)), np.zeros(len(X))
        for root in self.roots:
            nodes, before = np.full(len(X), root), None
            while before is None or (nodes != before).any():
                goes_left = X[rows, self.feature[nodes]] <= self.threshold[nodes]
                before, nodes = nodes, np.where(goes_left, self.left[nodes], self.right[nodes])
            total += self.length[nodes]
        relative = total / self.usual_length if self.usual_length else np.ones(len(X))
        scores: _Floats = -(2**-relative)
        return scores


def _nodes(tree: Any, features: _Integers, n_before: int) -> tuple[NDArray[Any], ...]:
    """Columns of `IsolationTrees` for a tree that sees these columns of X, after so many nodes."""
    is_leaf, own = tree.children_left < 0, np.arange(tree.node_count)
    left, right = (
        np.where(is_leaf, own, children) for children in (tree.children_left, tree.children_right)
    )
    depth = np.zeros(tree.node_count)
    for node in own[~is_leaf]:  # a parent comes before its children
        depth[[left[node], right[node]]] = depth[node] + 1
    # In the order in which scikit-learn adds up, for the same last digits.
    length = (depth + 1) + _mean_length(tree.n_node_samples) - 1.0
    feature = np.where(is_leaf, features[0], features[tree.feature])
    return left + n_before, right + n_before, feature, tree.threshold, length


def _mean_length(n_rows: NDArray[Any]) -> _Floats:
    """Of paths in trees of so many rows (Liu, Ting, Zhou 2008, eq. 1)."""
    n = np.asarray(n_rows, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        length = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, length))
