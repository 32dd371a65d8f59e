"""Data frames: names of columns go from the model to the detector, and are compared."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator

from skood import HierarchicalLLR
from skood.testing import all_model_detectors, model_for, small, takes_tables

pytestmark = [
    pytest.mark.filterwarnings("ignore::skood.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning"),
]
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(120, 3)), columns=["a", "b", "c"])
KINDS = [kind for kind in all_model_detectors() if takes_tables(small(kind))]
SWAPPED = FRAME[["b", "a", "c"]]


@cache
def fitted(model):
    return small(model, random_state=0).fit(FRAME[:60])


def around(kind):
    return kind(FrozenEstimator(fitted(model_for(kind))), random_state=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_model_and_its_detector_know_the_same_names(kind):
    detector = around(kind).fit(FRAME[60:])  # a warning would be an error
    np.testing.assert_array_equal(detector.feature_names_in_, FRAME.columns)
    scores = detector.score_samples(FRAME)
    expected = around(kind).fit(FRAME[60:].to_numpy()).score_samples(FRAME.to_numpy())
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_another_order_of_columns_is_refused_by_the_frozen_model(kind):
    message = rf"{model_for(kind).__name__} was fitted on the columns \['a', 'b', 'c'\]"
    with pytest.raises(ValueError, match=message):
        around(kind).fit(SWAPPED)


@pytest.mark.parametrize("method", ["predict", "score_samples", "score", "p_values"])
@pytest.mark.parametrize("kind", KINDS)
def test_another_order_of_columns_is_refused_by_the_detector(kind, method):
    detector = around(kind).fit(FRAME[60:])
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(detector, method)(SWAPPED)


def test_a_refused_order_leaves_the_detector_as_it_was():
    detector = around(HierarchicalLLR).fit(FRAME[60:])
    before = dict(vars(detector))
    with pytest.raises(ValueError, match="same columns in the same order"):
        detector.fit(SWAPPED)
    assert vars(detector) == before


def test_a_detector_of_arrays_around_a_model_of_frames_takes_no_names():
    detector = around(HierarchicalLLR).fit(FRAME[60:].to_numpy())
    assert not hasattr(detector, "feature_names_in_")
    assert np.isfinite(detector.score_samples(FRAME.to_numpy())).all()


def test_a_detector_that_trains_on_a_frame_passes_the_names_on():
    detector = small(HierarchicalLLR, random_state=0).fit(FRAME)
    np.testing.assert_array_equal(detector.model_.feature_names_in_, FRAME.columns)
    assert np.isfinite(detector.model_.score_samples(FRAME)).all()
    assert np.isfinite(detector.score(FRAME))
