"""Exported files score as the detector does, without skood; what cannot be exported says so."""

import sys

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.mixture import GaussianMixture

from skood import (
    HVAE,
    MAF,
    ExportError,
    Gaussian,
    HierarchicalLLR,
    KNNDistance,
    Likelihood,
    ScoreNorm,
    export,
)
from skood.calibration import p_values
from skood.detectors._scoring_modules import DistanceFrom
from skood.testing import all_models, easy_images, image_layouts, small

pytestmark = [
    pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning"),
    pytest.mark.filterwarnings("ignore::skood.CollapseWarning"),
]


@pytest.fixture(scope="module")
def table():
    return np.random.default_rng(0).normal(size=(200, 4))


@pytest.fixture(scope="module")
def score_norm(table):
    return ScoreNorm(random_state=0).fit(table)


def run_onnx(path, X):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", *X.shape[1:]]
    return session.run(["score_samples", "p_value", "is_normal"], {"X": X})


def assert_says_the_same(outputs, detector, X):
    score, p_value, is_normal = outputs
    calibration_scores = detector.calibration_scores_
    low, high = np.quantile(calibration_scores, [0.25, 0.75])
    tolerance = {"rtol": 1e-5, "atol": 1e-3 * (high - low)}
    np.testing.assert_allclose(score, detector.score_samples(X), **tolerance)
    np.testing.assert_array_equal(p_value, p_values(score, calibration_scores))
    np.testing.assert_array_equal(is_normal > 0, score >= detector.offset_)


@pytest.mark.parametrize(
    "detector, layout",
    [
        (HierarchicalLLR(small(HVAE, latent_dims=(2, 2)), random_state=0), "grey bytes"),
        (ScoreNorm(random_state=0), "colour in [0, 1], channels first"),
    ],
    ids=["HierarchicalLLR", "ScoreNorm"],
)
def test_onnxruntime_scores_images_as_the_detector_does(detector, layout, tmp_path):
    detector.fit(image_layouts(120)[layout])
    export(detector, tmp_path / "detector.onnx")
    new = image_layouts(33, random_state=1)[layout]
    for X in (new, new[:1], new.max() - new):
        X = X.astype(np.uint8 if layout == "grey bytes" else np.float32)
        assert_says_the_same(run_onnx(tmp_path / "detector.onnx", X), detector, X)


@pytest.mark.exhaustive
@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.__name__)
@pytest.mark.parametrize("name", ["table", "images"])
def test_onnxruntime_scores_with_every_model(model, name, table, tmp_path):
    X = table if name == "table" else easy_images(200)
    detector = small(Likelihood, small(model, random_state=0), random_state=0).fit(X)
    export(detector, tmp_path / "detector.onnx", X[:20])
    assert_says_the_same(run_onnx(tmp_path / "detector.onnx", X[:50]), detector, X[:50])


def test_a_file_of_torch_scores_as_the_detector_does(table, tmp_path):
    detector = Likelihood(small(MAF, univariate="spline"), random_state=0).fit(table)
    export(detector, tmp_path / "detector.pt2", table[:20])
    module = torch.export.load(tmp_path / "detector.pt2").module()
    for X in (table[:50] * 3, table[:1]):
        outputs = [each.detach().numpy() for each in module(torch.from_numpy(X))]
        assert_says_the_same(outputs, detector, X)


def test_exporting_leaves_the_detector_as_it_was(score_norm, table, tmp_path):
    before = score_norm.score_samples(table)
    export(score_norm, tmp_path / "detector.pt2")
    np.testing.assert_array_equal(score_norm.score_samples(table), before)


def test_detectors_and_models_that_cannot_be_exported_are_named(table, tmp_path):
    with pytest.raises(ExportError, match="KNNDistance cannot be exported"):
        export(KNNDistance().fit(table), tmp_path / "detector.onnx")
    with pytest.raises(ExportError, match="over GaussianMixture cannot be exported"):
        export(Likelihood(GaussianMixture()).fit(table), tmp_path / "detector.onnx")


def test_a_network_that_torch_cannot_trace_is_named(table, tmp_path):
    detector = Likelihood(Gaussian(), random_state=0).fit(table)
    terms = detector.model_.network_.terms
    # Which way it goes is not known to whoever traces it.
    detector.model_.network_.terms = lambda x, noise: terms(x if x.sum() > 0 else -x, noise)
    with pytest.raises(ExportError, match="Likelihood over Gaussian cannot be exported"):
        export(detector, tmp_path / "detector.pt2")


def test_a_path_of_no_known_format_is_refused(score_norm, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.onnx or \.pt2"):
        export(score_norm, tmp_path / "detector.pkl")


def test_a_missing_package_is_named_with_its_extra(score_norm, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"onnxscript.*skood\[onnx\]"):
        export(score_norm, tmp_path / "detector.onnx")


class Wrong(ScoreNorm):
    """Its module does not compute its score."""

    def scoring_module(self):
        module = super().scoring_module()
        module.steps.append(DistanceFrom(1.0))
        return module


def test_another_score_is_an_error_and_the_file_before_it_stays(table, tmp_path):
    path = tmp_path / "detector.pt2"
    path.write_text("before")
    with pytest.raises(ExportError, match="more than rounding"):
        export(Wrong(random_state=0).fit(table), path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
