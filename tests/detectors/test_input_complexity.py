"""Input complexity: what it is the difference of, what it sees, and what it refuses."""

import sys

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture

from skood import Gaussian, Glow, InputComplexity, Likelihood
from skood.scores.complexity import compressed_bits
from skood.testing import easy_images, image_layouts, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
RNG = np.random.default_rng(0)
REALS = RNG.normal(size=(60, 8, 8))


def noise(n, most=256):
    return RNG.integers(0, most, (n, 12, 12), dtype=np.uint8)


@pytest.mark.parametrize("compressors", [("png", "zlib"), ("zlib",)])
def test_the_score_is_the_bits_of_the_model_less_those_of_the_compressor(compressors):
    X = easy_images(120)
    detector = InputComplexity(Gaussian(), compressors=compressors, random_state=0).fit(X)
    bits = -detector.model_.score_samples(X) / np.log(2)
    expected = bits - compressed_bits(X[..., None], compressors)
    np.testing.assert_allclose(detector.ood_score(X), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "layout", ["colour bytes, channels last", "colour in [0, 1], channels first"]
)
def test_images_of_any_layout_are_compressed_as_the_same_bytes(layout):
    bytes_last = image_layouts(60)["colour bytes, channels last"]
    X = image_layouts(60)[layout]
    detector = InputComplexity(Gaussian(), random_state=0).fit(X)
    bits = -detector.model_.score_samples(X) / np.log(2) - detector.ood_score(X)
    np.testing.assert_allclose(bits, compressed_bits(bytes_last), atol=1e-6)


def test_plain_images_are_flagged_which_the_likelihood_calls_normal():
    plain = np.broadcast_to(RNG.integers(90, 160, (50, 1, 1)), (50, 12, 12)).astype(np.uint8)
    model = FrozenEstimator(Gaussian().fit(noise(1000)))
    assert (Likelihood(model).fit(noise(500)).predict(plain) == 1).all()
    detector = InputComplexity(model).fit(noise(500))
    assert (detector.predict(plain) == -1).all()
    assert (detector.predict(noise(100)) == -1).mean() < 0.15


def test_the_default_model_is_that_of_gradient_norm():
    assert isinstance(InputComplexity()._nested_default("model"), Glow)


def test_more_images_than_are_compressed_at_a_time_have_the_scores_of_each_alone(monkeypatch):
    detector = InputComplexity(Gaussian(), random_state=0).fit(noise(100))
    X = noise(25)
    expected = detector.ood_score(X)
    monkeypatch.setattr("skood.detectors._input_complexity._CHUNK", 10)
    np.testing.assert_array_equal(detector.ood_score(X), expected)


def test_a_table_is_refused_before_the_training_with_what_to_use_instead(trainings):
    message = r"compresses images, and X is a table with 3 columns.* KNNDistance"
    with pytest.raises(ValueError, match=message):
        InputComplexity(small(Glow)).fit(RNG.normal(size=(60, 3)))
    assert trainings == []


@pytest.mark.parametrize(
    "model, X",
    [
        (small(Glow), REALS),
        (small(Glow, data_kind="real"), easy_images(60)),
        (FrozenEstimator(Gaussian().fit(REALS)), REALS),
    ],
    ids=["by their values", "by the model's parameter", "by a frozen model"],
)
def test_images_of_real_numbers_are_refused_before_the_training(model, X, trainings):
    with pytest.raises(ValueError, match=r"X holds images of real numbers\. Scale X, or use"):
        InputComplexity(model).fit(X)
    assert trainings == []


def test_whole_numbers_said_to_be_bytes_are_compressed_as_such():
    X = easy_images(60)
    of_floats = InputComplexity(Gaussian(data_kind="bytes"), random_state=0).fit(X.astype(float))
    of_bytes = InputComplexity(Gaussian(), random_state=0).fit(X)
    np.testing.assert_allclose(of_floats.ood_score(X), of_bytes.ood_score(X), rtol=1e-6)


@pytest.mark.parametrize("compressors", [("gzip",), ("png", 3), ()])
def test_an_unknown_compressor_is_named_before_the_training(compressors, trainings):
    with pytest.raises(ValueError, match="compressors must be names out of png, zlib, jpeg_xl"):
        InputComplexity(small(Glow), compressors=compressors).fit(easy_images(60))
    assert trainings == []


def test_a_missing_package_is_named_before_the_training(trainings, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImportError, match=r"skood\[compression\]"):
        InputComplexity(small(Glow), compressors=("jpeg_xl",)).fit(easy_images(60))
    assert trainings == []


def test_a_model_of_others_is_refused_by_what_it_lacks():
    with pytest.raises(ValueError, match=r"first_rows, which GaussianMixture lacks.* such as Glow"):
        InputComplexity(GaussianMixture()).fit(easy_images(60))
