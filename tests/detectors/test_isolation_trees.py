"""The trees of an isolation forest score as the forest does, and cannot be made to do harm."""

import dataclasses

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from skood.detectors._isolation_trees import IsolationTrees

X = np.random.default_rng(0).normal(size=(300, 5))
NEW = np.random.default_rng(1).normal(size=(200, 5)) * 3


@pytest.mark.parametrize(
    "options",
    [
        *({}, {"n_estimators": 7}, {"max_samples": 1.0}, {"max_samples": 20}, {"max_samples": 1}),
        *({"max_features": 0.5}, {"bootstrap": True}, {"contamination": 0.1}),
    ],
)
def test_scores_are_those_of_the_forest_bit_for_bit(options):
    forest = IsolationForest(random_state=0, **options).fit(X)
    trees = IsolationTrees.of(forest)
    np.testing.assert_array_equal(trees.score_samples(NEW), forest.score_samples(NEW))
    np.testing.assert_array_equal(trees.score_samples(X[:1]), forest.score_samples(X[:1]))


def test_rows_that_are_all_equal_make_trees_of_one_node():
    forest = IsolationForest(random_state=0).fit(np.ones((50, 2)))
    trees = IsolationTrees.of(forest)
    np.testing.assert_array_equal(trees.score_samples(NEW[:, :2]), forest.score_samples(NEW[:, :2]))


@pytest.mark.parametrize("name", ["left", "right"])
@pytest.mark.parametrize("child", [0, -1])
def test_trees_in_which_a_row_would_walk_for_ever_are_refused(name, child):
    trees = IsolationTrees.of(IsolationForest(n_estimators=2, random_state=0).fit(X))
    children = getattr(trees, name).copy()
    children[1] = child
    with pytest.raises(ValueError, match="its trees are none"):
        dataclasses.replace(trees, **{name: children})


@pytest.mark.parametrize("name", ["left", "right", "feature"])
def test_places_that_do_not_exist_are_an_error_and_no_crash(name):
    trees = IsolationTrees.of(IsolationForest(n_estimators=2, random_state=0).fit(X))
    places = getattr(trees, name).copy()
    places[0] = 10**9
    with pytest.raises(IndexError):
        dataclasses.replace(trees, **{name: places}).score_samples(NEW)
