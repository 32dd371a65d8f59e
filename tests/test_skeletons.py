"""The files that CONTRIBUTING.md says to copy keep the contracts as they are."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skood import GradientNorm, Likelihood, Typicality
from skood.testing import easy_images, image_checks

SKELETONS = Path(__file__).parents[1] / "docs" / "skeletons"


def load(name):
    spec = importlib.util.spec_from_file_location(f"skeleton_{name}", SKELETONS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where pickle looks for its classes
    spec.loader.exec_module(module)
    return module


MyModel, MyDetector = load("model").MyModel, load("detector").MyDetector
MODEL = MyModel(max_epochs=2, random_state=0)

pytestmark = pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")


@parametrize_with_checks([MODEL, MyDetector(MODEL)])
def test_the_checks_of_scikit_learn_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", image_checks, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", [MODEL, MyDetector(MODEL)], ids=["model", "detector"])
def test_the_checks_for_images_pass(estimator, check):
    check(estimator, easy_images(60))


@pytest.mark.parametrize("detector", [Likelihood, Typicality, GradientNorm])
def test_every_detector_that_needs_no_layers_takes_the_model(detector):
    X = np.random.default_rng(0).normal(size=(300, 4))
    fitted = detector(MyModel(max_epochs=5), random_state=0).fit(X)
    assert (fitted.predict(X + 20) == -1).all()
