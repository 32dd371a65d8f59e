"""Every estimator once, on few rows: ``pytest tests/smoke.py``.

For the oldest and the newest versions of what skood depends on. It needs pytest and skood[plots],
and not the rest of the test extra. Run by name: the file's name keeps it out of ``pytest``.
"""

import pickle

import matplotlib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skood import load
from skood.plotting import ScoreDensityDisplay
from skood.testing import all_detectors, all_models, easy_images, small, takes_tables

MODELS = [small(model) for model in all_models()]
DETECTORS = [small(detector) for detector in all_detectors()]
# The estimators train for two epochs on sixty rows.
pytestmark = [
    pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning"),
    pytest.mark.filterwarnings("ignore::skood.CollapseWarning"),
]
DATA = {
    "table": np.random.default_rng(0).normal(size=(60, 4)),
    "images": easy_images(60),
}


@pytest.mark.parametrize(
    "estimator, X",
    [
        pytest.param(estimator, X, id=f"{type(estimator).__name__}-{name}")
        for estimator in MODELS + DETECTORS
        for name, X in DATA.items()
        if name == "images" or takes_tables(estimator)
    ],
)
def test_an_estimator_fits_scores_pickles_and_is_saved(estimator, X, tmp_path):
    fitted = clone(estimator).fit(X)
    scores = fitted.score_samples(X)
    assert scores.shape == (len(X),) and np.isfinite(scores).all()
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(X), scores)
    fitted.save(tmp_path / "file")
    assert np.array_equal(load(tmp_path / "file").score_samples(X), scores)


@pytest.mark.parametrize(
    "detector", [d for d in DETECTORS if takes_tables(d)], ids=lambda e: type(e).__name__
)
def test_a_detector_decides_in_a_pipeline(detector):
    X = DATA["table"]
    decisions = make_pipeline(StandardScaler(), clone(detector)).fit(X).predict(X)
    assert set(decisions) <= {-1, 1}


def test_a_plot_is_drawn():
    matplotlib.use("Agg")
    X = DATA["table"]
    detector = clone(DETECTORS[0]).fit(X)
    assert ScoreDensityDisplay.from_estimator(detector, {"normal": X}).ax_.has_data()
