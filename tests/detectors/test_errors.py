"""What all detectors refuse, and with which words."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from skood import HVAE, HierarchicalLLR, Likelihood, TrainingError
from skood.calibration import CalibrationWarning
from skood.testing import all_detectors, all_model_detectors, easy_images, small

# Networks here are trained for two epochs: no layer has learned anything yet.
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


def frozen(detector, model, **parameters):
    """A copy of ``detector`` around a model that is not trained again."""
    return clone(detector).set_params(model=FrozenEstimator(model), random_state=0, **parameters)


def numbered(n):
    """Rows of two columns whose first names the row and whose second is noise."""
    noise = np.random.default_rng(0).normal(size=n)
    return np.column_stack([np.arange(n, dtype=float), noise])


@pytest.mark.parametrize("k", [0, -1, 1.5, "foo", None])
def test_a_k_of_a_wrong_kind_is_named(k, column_model):
    with pytest.raises(InvalidParameterError, match="The 'k' parameter of HierarchicalLLR"):
        HierarchicalLLR(column_model, k=k).fit(numbered(40))


@pytest.mark.parametrize("fpr", [0, 1, 2, -0.1, "5%"])
def test_an_fpr_outside_0_and_1_is_named(detector, fpr, column_model):
    detector = clone(detector).set_params(model=column_model, fpr=fpr)
    with pytest.raises(InvalidParameterError, match="The 'fpr' parameter of"):
        detector.fit(numbered(40))


def test_a_k_that_is_too_large_is_found_before_the_training(images, trainings):
    with pytest.raises(ValueError, match=r"k=3 is out of range: HVAE has 3 .* from 1 to 2"):
        small(HierarchicalLLR, k=3).fit(images)
    assert trainings == []


def test_a_model_of_one_layer_is_sent_to_likelihood_before_the_training(images, trainings):
    with pytest.raises(ValueError, match=r"at least 2 latent layers; HVAE has 1\. Use Likelihood"):
        small(HierarchicalLLR, model=small(HVAE, latent_dims=(4,))).fit(images)
    assert trainings == []


def test_a_frozen_model_of_one_layer_is_sent_to_likelihood(images):
    model = small(HVAE, latent_dims=(4,)).fit(images)
    with pytest.raises(ValueError, match="Use Likelihood"):
        frozen(HierarchicalLLR(), model).fit(images)


def test_something_that_is_no_model_is_named():
    message = "Likelihood asks its model for score, score_samples, which StandardScaler lacks"
    with pytest.raises(ValueError, match=message):
        Likelihood(StandardScaler()).fit(numbered(40))
    with pytest.raises(InvalidParameterError, match="The 'model' parameter of Likelihood"):
        Likelihood("HVAE").fit(numbered(40))


@pytest.mark.parametrize(
    "X, remedy",
    [
        (np.array([["a", "b"]] * 30), "could not convert string"),
        (np.where(np.eye(30, 2) == 1, np.nan, 0.0), "NaN"),
        (np.empty((0, 2)), "minimum of 1 is required"),
        (np.zeros((30, 8, 8, 2)), r"neither .* Give images as"),
        (np.zeros((30, 1, 1, 8, 8)), r"5 dimensions.* Give a table"),
        (np.zeros(30), "Reshape your data"),
    ],
    ids=["strings", "NaN", "empty", "two channels", "five dimensions", "one dimension"],
)
def test_wrong_data_are_refused_with_a_remedy(X, remedy, column_model):
    with pytest.raises(ValueError, match=remedy):
        Likelihood(column_model).fit(X)


def test_one_row_is_too_few_to_fit(detector, column_model):
    detector = clone(detector).set_params(model=column_model)
    with pytest.raises(ValueError, match=r"needs at least [23] rows .* X has 1 sample\."):
        detector.fit(numbered(1))


def test_the_fewest_rows_are_enough_to_fit(detector, column_model):
    detector = clone(detector).set_params(model=column_model)
    fewest = 2 if type(detector) is Likelihood else 3  # the others learn from a reference row
    with pytest.raises(ValueError, match=f"needs at least {fewest} rows"):
        detector.fit(numbered(fewest - 1))
    with pytest.warns(CalibrationWarning):
        detector.fit(numbered(fewest))
    assert np.isfinite(detector.score_samples(numbered(5))).all()


def test_a_wrong_number_of_channels_names_both_shapes():
    colour = np.stack([easy_images(60)] * 3, axis=-1)
    detector = small(Likelihood, random_state=0).set_params(fpr=0.2).fit(colour)
    with pytest.raises(ValueError, match=r"\(60, 8, 8, 1\).*\(8, 8, 3\).* transpose the images"):
        detector.predict(colour[..., :1])


def test_scoring_before_fit_says_so(detector):
    for name in ("ood_score", "score_samples", "decision_function", "predict", "p_values", "score"):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            getattr(clone(detector), name)(numbered(3))


def test_the_offset_before_fit_is_an_attribute_error():
    with pytest.raises(AttributeError, match="this Likelihood is not fitted yet"):
        Likelihood().offset_  # noqa: B018
    assert not hasattr(Likelihood(), "offset_")


def explode(*args, **kwargs):
    raise TrainingError("The loss is nan")


def check_a_refit_that_fails_changes_nothing(detector, images, monkeypatch, method=None, bad=None):
    detector.fit(images)
    before, expected = dict(vars(detector)), detector.score_samples(images)
    labels = detector.predict(images)
    with monkeypatch.context() as patched, pytest.raises((ValueError, TrainingError)):
        if method is not None:
            patched.setattr(method, explode)
        detector.fit(images[:60] if bad is None else bad)
    assert vars(detector) == before
    np.testing.assert_array_equal(detector.score_samples(images), expected)
    np.testing.assert_array_equal(detector.predict(images), labels)


@pytest.mark.parametrize("kind", all_detectors())
@pytest.mark.parametrize(
    "failure",
    [
        {"bad": np.full((30, 5), np.nan)},
        {"bad": np.full((30, 5), 1e200)},
        {"method": "skood.detectors._calibrated.CalibratedDetector._calibrate"},
        {"method": "skood.detectors._calibrated.threshold"},
    ],
    ids=["data", "scale of the data", "calibration", "threshold"],
)
def test_a_detector_scores_the_same_after_a_refit_that_fails(failure, kind, images, monkeypatch):
    detector = small(kind, calibration_fraction=0.5, random_state=0)
    check_a_refit_that_fails_changes_nothing(detector, images, monkeypatch, **failure)


@pytest.mark.parametrize("kind", all_model_detectors())
@pytest.mark.parametrize("method", ["_train", "map_network"])
def test_a_detector_scores_the_same_after_its_model_fails(method, kind, images, monkeypatch):
    detector = small(kind, calibration_fraction=0.5, random_state=0)
    path = f"skood.models.{type(detector.model).__name__}.{method}"
    check_a_refit_that_fails_changes_nothing(detector, images, monkeypatch, method=path)


def test_a_model_that_was_trained_before_the_first_calibration_failed_is_kept(images, monkeypatch):
    detector = small(Likelihood, random_state=0)
    with monkeypatch.context() as patched, pytest.raises(TrainingError):
        patched.setattr("skood.detectors._calibrated.threshold", explode)
        detector.fit(images)
    assert np.isfinite(detector.model_.score_samples(images)).all()
    with pytest.raises(NotFittedError):
        detector.predict(images)


@pytest.mark.parametrize("failure", ["data", "parameter", "training"])
def test_a_refit_that_fails_leaves_the_detector_as_it_was(failure, images, monkeypatch):
    detector = small(Likelihood, random_state=0).fit(images)
    before, expected = dict(vars(detector)), detector.score_samples(images)
    bad = np.full((30, 5), np.nan) if failure == "data" else images[:60]
    if failure == "parameter":
        detector.set_params(fpr=2)
    if failure == "training":
        monkeypatch.setattr("skood.training.loop.train", lambda *args, **kwargs: 1 / 0)
    with pytest.raises((ValueError, ZeroDivisionError)):
        detector.fit(bad)
    detector.set_params(fpr=0.05)
    assert vars(detector) == before
    np.testing.assert_array_equal(detector.score_samples(images), expected)
