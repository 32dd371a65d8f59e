"""Warnings name the user's line, however many frames of skood and scikit-learn are in between."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from skood import CombinedDetector, HierarchicalLLR, KNNDistance
from skood.core.callers import stacklevel_of_user
from skood.testing import small

X = np.random.default_rng(0).normal(size=(60, 3))


def test_outside_of_the_package_it_is_nothing():
    assert stacklevel_of_user() == 1


@pytest.mark.parametrize(
    "estimator",
    [KNNDistance(fpr=0.001), small(HierarchicalLLR), CombinedDetector(fpr=0.001)],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("wrap", [lambda e: e, make_pipeline])
def test_a_warning_names_the_line_of_the_user(estimator, wrap):
    with pytest.warns(UserWarning) as seen:
        wrap(estimator).fit(X)
    assert {warning.filename for warning in seen} == {__file__}
