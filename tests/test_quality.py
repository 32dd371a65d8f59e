"""AUROC of detectors on small tasks, beside what it was: do they still find what they found?

``pytest --benchmark-quality`` runs this file and nothing else, and prints a table. The tasks are
Fashion-MNIST against MNIST in small: photographs and digits that scikit-learn ships, on which
models are trained for seconds, and tables. The values are no claim: they are what
``OMP_NUM_THREADS=1 pytest --benchmark-quality`` printed when they were written here, once, with
these seeds. A change that moves one of them on purpose replaces it, and its commit says why.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator

from skood import (
    HVAE,
    MAF,
    CombinedDetector,
    ConformalDetector,
    DoSE,
    Gaussian,
    GradientNorm,
    HierarchicalLLR,
    InputComplexity,
    KNNDistance,
    Likelihood,
    MixtureLikelihood,
    ScoreNorm,
    Typicality,
)
from skood.benchmark._made import made_sets
from skood.datasets import load_digit_images, load_photo_tiles
from skood.metrics import auroc

# Twice what a second thread changed, which adds up gradients in another order. Both ways, so that a
# score with the wrong sign fails where it was bad, too.
TOLERANCE = 0.05

# Task, OOD sets, and AUROC of each detector on them.
REFERENCE = {
    "photographs": {
        "Likelihood": {"digits": 0.239, "constant": 0.561, "noise added": 0.495},
        "Typicality": {"digits": 0.505, "constant": 0.609, "noise added": 0.51},
        "HierarchicalLLR": {"digits": 0.987, "constant": 0.286, "noise added": 0.491},
        "GradientNorm": {"digits": 0.973, "constant": 0.44, "noise added": 0.523},
        "DoSE": {"digits": 0.839, "constant": 0.51, "noise added": 0.521},
        "InputComplexity": {"digits": 0.457, "constant": 1.0, "noise added": 0.247},
        "CombinedDetector": {"digits": 0.995, "constant": 0.991, "noise added": 0.58},
        "ScoreNorm": {"digits": 0.708, "constant": 0.973, "noise added": 0.77},
    },
    "digits": {
        "Likelihood": {"7 to 9": 0.635, "flipped": 0.999, "noise added": 0.964},
        "Typicality": {"7 to 9": 0.557, "flipped": 0.996, "noise added": 0.937},
        "HierarchicalLLR": {"7 to 9": 0.539, "flipped": 0.898, "noise added": 0.7},
        "GradientNorm": {"7 to 9": 0.597, "flipped": 1.0, "noise added": 0.979},
        "DoSE": {"7 to 9": 0.608, "flipped": 0.972, "noise added": 0.917},
        "InputComplexity": {"7 to 9": 0.437, "flipped": 0.73, "noise added": 0.0},
        "CombinedDetector": {"7 to 9": 0.681, "flipped": 1.0, "noise added": 0.995},
        "ScoreNorm": {"7 to 9": 0.665, "flipped": 1.0, "noise added": 1.0},
    },
    "tumours": {
        "IsolationForest": {"malignant": 0.954},
        "KNNDistance": {"malignant": 0.949},
        "MixtureLikelihood": {"malignant": 0.946},
        "CombinedDetector": {"malignant": 0.949},
        "Likelihood, Gaussian": {"malignant": 0.955},
        "Likelihood, MAF": {"malignant": 0.955},
    },
    "patients": {
        "IsolationForest": {"mixed up": 0.622},
        "KNNDistance": {"mixed up": 0.761},
        "MixtureLikelihood": {"mixed up": 0.961},
        "CombinedDetector": {"mixed up": 0.934},
        "Likelihood, Gaussian": {"mixed up": 0.916},
        "Likelihood, MAF": {"mixed up": 0.583},
    },
    "rows_of_digits": {
        "IsolationForest": {"7 to 9": 0.735},
        "KNNDistance": {"7 to 9": 0.915},
        "MixtureLikelihood": {"7 to 9": 0.933},
        "CombinedDetector": {"7 to 9": 0.932},
        "Likelihood, Gaussian": {"7 to 9": 0.843},
        "Likelihood, MAF": {"7 to 9": 0.767},
    },
}


@dataclass
class Task:
    """Rows to fit detectors to, unseen normal rows, and OOD rows by name."""

    X: np.ndarray
    X_test: np.ndarray
    ood: dict[str, np.ndarray]
    detectors: dict[str, object]


@cache
def photographs():
    X_train, X, X_test = np.split(load_photo_tiles(16), [1_400, 1_700])
    ood = {"digits": load_digit_images(16)[:300], **made_sets(X_test)}
    return Task(X, X_test, ood, image_detectors(X_train))


@cache
def digits():
    known, unknown = digits_by_class(load_digit_images(16))
    X_train, X, X_test = np.split(known, [800, 1_000])
    return Task(X, X_test, {"7 to 9": unknown, **made_sets(X_test)}, image_detectors(X_train))


@cache
def tumours():
    X, y = load_breast_cancer(return_X_y=True)
    benign, X_test = np.split(in_random_order(X[y == 1]), [240])
    return Task(benign, X_test, {"malignant": X[y == 0]}, table_detectors())


@cache
def patients():
    X, X_test = np.split(in_random_order(load_diabetes(scaled=False).data), [300])
    mixed_up = np.random.default_rng(1).permuted(X_test, axis=0)  # each column by itself
    return Task(X, X_test, {"mixed up": mixed_up}, table_detectors())


@cache
def rows_of_digits():
    known, unknown = digits_by_class(load_digits().data)
    X, X_test = np.split(known, [840])
    return Task(X, X_test, {"7 to 9": unknown}, table_detectors())


TASKS = {task.__name__: task for task in (photographs, digits, tumours, patients, rows_of_digits)}


def image_detectors(X_train):
    """Detectors around one model, and one that has none to train."""
    model = FrozenEstimator(HVAE(max_epochs=30, random_state=0).fit(X_train))
    ratio = HierarchicalLLR(model, k=1, n_importance_samples=2)
    members = [("ratio", ratio), ("gradient", GradientNorm(model)), ("score_norm", ScoreNorm())]
    detectors = [
        Likelihood(model),
        Typicality(model),
        ratio,
        GradientNorm(model),
        DoSE(model),
        InputComplexity(model),
        CombinedDetector(members),
        ScoreNorm(FrozenEstimator(Gaussian(random_state=0).fit(X_train))),
    ]
    return {type(detector).__name__: detector for detector in detectors}


def table_detectors():
    flow = MAF("spline", n_transforms=2, width=32, max_epochs=60)
    return {
        "IsolationForest": ConformalDetector(IsolationForest(random_state=0)),
        "KNNDistance": KNNDistance(),
        "MixtureLikelihood": MixtureLikelihood(),
        "CombinedDetector": CombinedDetector(),
        "Likelihood, Gaussian": Likelihood(Gaussian()),
        "Likelihood, MAF": Likelihood(flow),
    }


def in_random_order(X):
    return np.random.default_rng(0).permutation(X)


def digits_by_class(X):
    is_known = load_digits().target < 7
    return in_random_order(X[is_known]), X[~is_known]


@pytest.mark.parametrize(
    ("task", "detector"), [(task, name) for task in REFERENCE for name in REFERENCE[task]]
)
def test_auroc_is_what_it_was(task, detector, record_property):
    reference = REFERENCE[task][detector]
    data = TASKS[task]()
    fitted = data.detectors[detector].set_params(calibration_fraction=0.25, random_state=0)
    fitted.fit(data.X)
    scores = fitted.ood_score(data.X_test)
    values = {name: auroc(scores, fitted.ood_score(data.ood[name])) for name in reference}
    record_property("quality", (task, detector, values, reference))
    assert values == pytest.approx(reference, abs=TOLERANCE)
