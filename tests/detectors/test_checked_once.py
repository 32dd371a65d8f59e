"""Rows are validated once at the public door, however many parts look at them."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

import skood.core.rows
from skood import Glow, HierarchicalLLR, Likelihood
from skood.testing import (
    all_detectors,
    all_model_detectors,
    easy_images,
    model_for,
    small,
    takes_tables,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::skood.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning"),
]
INPUTS = {"images": easy_images(120), "table": np.random.default_rng(0).normal(size=(120, 4))}
DETECTORS = [small(kind) for kind in all_detectors()]
DETECTORS += [small(HierarchicalLLR, k=1, l=2), small(Likelihood, model=small(Glow))]


@pytest.fixture
def validations(monkeypatch):
    """A list that gets the rows of each validation."""
    seen, validate_data = [], skood.core.rows.validate_data

    def spy(estimator, X, **options):
        seen.append(len(X))
        return validate_data(estimator, X, **options)

    monkeypatch.setattr(skood.core.rows, "validate_data", spy)
    return seen


def ids(detector):
    return f"{type(detector).__name__}-{type(getattr(detector, 'model', None)).__name__}"


def inputs_of(detector):
    return {name: X for name, X in INPUTS.items() if name == "images" or takes_tables(detector)}


@pytest.mark.parametrize(
    "detector, X",
    [
        pytest.param(detector, X, id=f"{ids(detector)}-{name}")
        for detector in DETECTORS
        for name, X in inputs_of(detector).items()
    ],
)
def test_a_fit_and_each_score_validate_once(detector, X, validations):
    detector.set_params(random_state=0).fit(X)
    assert validations == [120]
    methods = ["ood_score", "score_samples", "decision_function", "predict", "p_values", "score"]
    for name in [*methods, "score_layers", "squared_norms", "score_members"]:
        if hasattr(detector, name):
            validations.clear()
            getattr(detector, name)(X[:50])
            assert validations == [50], name


@pytest.mark.parametrize("method", ["group_ood_score", "group_p_values"])
@pytest.mark.parametrize("detector", DETECTORS, ids=ids)
def test_groups_are_validated_once(detector, method, validations):
    *_, X = inputs_of(detector).values()
    detector.set_params(random_state=0).fit(X)
    validations.clear()
    getattr(detector, method)(X[:50], 1)
    assert validations == [50]


@pytest.mark.parametrize("kind", all_model_detectors())
def test_a_fit_around_a_frozen_model_validates_once(kind, validations):
    model = small(model_for(kind), random_state=0).fit(INPUTS["images"])
    validations.clear()
    kind(FrozenEstimator(model), random_state=0).fit(INPUTS["images"])
    assert validations == [120]
