"""The autoregressive model of images: maps, likelihoods, samples, and use under every detector."""

import numpy as np
import pytest

from skood import (
    CombinedDetector,
    DoSE,
    GradientNorm,
    KNNDistance,
    Likelihood,
    PixelCNN,
    Trainer,
    Typicality,
)
from skood.core.estimator_protocols import missing_members
from skood.nn.likelihoods import DiscretizedLogistic, DiscretizedLogisticMixture, Gaussian
from skood.testing import all_model_detectors, easy_images, image_layouts, small

RNG = np.random.default_rng(0)
TABLE = RNG.normal(5, [1, 20, 0.1, 3], (80, 4))
GREY = easy_images(60)
ROWS = {**image_layouts(60), "real": RNG.normal(size=(60, 8, 8, 3)), "table": TABLE}
KINDS = pytest.mark.parametrize("kind", ROWS)


def pixel_cnn(**options):
    defaults = {"trainer": Trainer(patience=None), "random_state": 0}
    return PixelCNN(**(defaults | options))


@pytest.fixture(scope="module")
def fitted():
    """On bars with noise."""
    return pixel_cnn(max_epochs=20).fit(easy_images(400))


# --------------------------------------------------------------------------------------------- maps


@KINDS
def test_a_map_has_a_place_for_each_pixel_and_adds_up_to_the_score(kind):
    X = ROWS[kind]
    model = small(PixelCNN, random_state=0).fit(X)
    maps = model.log_likelihood_map(X)
    assert maps.dtype == np.float64
    assert maps.shape == ((80, 4) if kind == "table" else (60, 8, 8))
    np.testing.assert_allclose(maps.reshape(len(X), -1).sum(1), model.score_samples(X), rtol=1e-5)


def test_a_map_does_not_depend_on_later_pixels(fitted):
    X, later = GREY[:10], GREY[:10].copy()
    later[:, 4, 3:], later[:, 5:] = 200, 17
    before, after = fitted.log_likelihood_map(X), fitted.log_likelihood_map(later)
    np.testing.assert_allclose(after[:, :4], before[:, :4], atol=1e-5)
    np.testing.assert_allclose(after[:, 4, :3], before[:, 4, :3], atol=1e-5)
    assert (after[:, 4, 4] != before[:, 4, 4]).all()


def test_the_pixel_that_is_wrong_is_the_least_likely(fitted):
    X = easy_images(20, random_state=1)
    X[:, 6, 5] = 120
    maps = fitted.log_likelihood_map(X)
    found = maps.reshape(20, -1).argmin(1)
    assert (found == 6 * 8 + 5).mean() > 0.9


# -------------------------------------------------------------------------------------- likelihoods


@pytest.mark.parametrize(
    "X, data_kind, expected",
    [
        (GREY, "auto", DiscretizedLogisticMixture),
        (GREY / 255, "auto", DiscretizedLogisticMixture),
        (GREY / 100.0 - 1, "auto", Gaussian),
        (TABLE, "auto", Gaussian),
        (GREY.reshape(60, -1), "bytes", DiscretizedLogistic),
    ],
    ids=["bytes", "unit", "real", "table", "table of pixels"],
)
def test_the_likelihood_follows_from_the_data(X, data_kind, expected):
    model = small(PixelCNN, data_kind=data_kind, random_state=0).fit(X)
    assert type(model.network_.likelihood) is expected
    assert np.isfinite(model.score_samples(X)).all()


@pytest.mark.parametrize("likelihood", ["bernoulli", "discretized_logistic", "gaussian"])
def test_any_likelihood_can_be_asked_for(likelihood):
    model = small(PixelCNN, likelihood=likelihood, random_state=0).fit(GREY)
    assert np.isfinite(model.score_samples(GREY)).all()
    assert model.sample(2, random_state=0).shape == (2, 8, 8)


def test_black_and_white_images_are_their_own_binarisation():
    X = GREY > 100
    model = small(PixelCNN, likelihood="bernoulli", random_state=0).fit(X)
    other = model.map_network(lambda network, x: network.terms(x, model.scoring_noise(1)).log_px, X)
    np.testing.assert_array_equal(other, model.score_samples(X))


def test_it_comes_near_the_entropy_of_the_images(fitted):
    """That of 40 levels for each pixel, and of one line in seven."""
    entropy = np.log2(40) + np.log2(7) / 64
    bits = fitted.bits_per_dim(easy_images(200, random_state=1)).mean()
    assert entropy < bits < entropy + 0.2


# ------------------------------------------------------------------------------------------ samples


def test_samples_look_like_the_rows(fitted):
    """One bright line in each image, and dark noise."""
    samples = fitted.sample(50, random_state=0)
    n_bright = (samples > 150).all(2).sum(1)
    assert (n_bright == 1).mean() > 0.6 and n_bright.mean() < 1.3
    dark = samples[samples < 100]
    assert 15 < dark.mean() < 25


@KINDS
def test_samples_have_the_layout_and_scale_of_the_rows(kind):
    X = ROWS[kind]
    samples = small(PixelCNN, random_state=0).fit(X).sample(3, random_state=0)
    assert samples.shape == (3, *X.shape[1:]) and np.isfinite(samples).all()
    if kind not in ("real", "table"):
        white = 255 if X.dtype == np.uint8 else 1
        levels = samples * (255 / white)
        np.testing.assert_allclose(levels, levels.round(), atol=1e-4)
        assert levels.min() >= 0 and levels.max() <= 255


@pytest.mark.parametrize("shape", [(20, 3, 4), (20, 1, 5), (20, 5, 1), (20, 1, 1), (20, 3, 4, 3)])
def test_images_of_any_size_can_be_fitted(shape):
    X = RNG.integers(0, 256, shape, dtype=np.uint8)
    model = small(PixelCNN, random_state=0).fit(X)
    assert model.log_likelihood_map(X).shape == shape[:3]
    assert model.sample(2, random_state=0).shape == (2, *shape[1:])


# ---------------------------------------------------------------------------------- under detectors


@pytest.mark.parametrize(
    "detector",
    [Likelihood(), Typicality(), GradientNorm(), DoSE()],
    ids=lambda detector: type(detector).__name__,
)
def test_every_detector_without_layers_finds_noise(detector):
    detector.set_params(model=pixel_cnn(max_epochs=10), random_state=0).fit(easy_images(400))
    noise = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    assert (detector.predict(noise) == -1).mean() > 0.9
    assert (detector.predict(easy_images(100, random_state=1)) == 1).mean() > 0.8


TAKERS = [d for d in all_model_detectors() if not missing_members(d._model_protocol, PixelCNN)]


@pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
@pytest.mark.parametrize("detector", TAKERS)
def test_every_detector_that_asks_for_what_it_has_scores_with_it(detector):
    fitted = small(detector, small(PixelCNN), random_state=0).fit(GREY)
    scores = fitted.score_samples(GREY)
    assert np.isfinite(scores).all() and len(np.unique(scores)) > 30


def test_detectors_of_the_field_are_among_those():
    names = {detector.__name__ for detector in TAKERS}
    wanted = {"Likelihood", "Typicality", "GradientNorm", "DoSE", "InputComplexity"}
    assert wanted | {"BackgroundLikelihoodRatio", "WAIC"} <= names
    assert not names & {"HierarchicalLLR", "LikelihoodRegret", "LatentGoodnessOfFit"}


def test_it_can_be_combined_with_others():
    model = pixel_cnn(max_epochs=10)
    members = [("gradients", GradientNorm(model)), ("statistics", DoSE(model))]
    detector = CombinedDetector([*members, ("distance", KNNDistance())], random_state=0)
    detector.fit(easy_images(400))
    fitted = detector.detectors_
    assert fitted["gradients"].model_ is fitted["statistics"].model_
    noise = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    assert (detector.predict(noise) == -1).all()


@pytest.mark.parametrize("name", ["width", "n_hidden_layers", "likelihood"])
def test_a_wrong_parameter_is_refused(name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of PixelCNN"):
        small(PixelCNN).set_params(**{name: 0}).fit(GREY)


def test_a_likelihood_that_does_not_fit_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"is for images.*Use 'discretized_logistic'"):
        PixelCNN(likelihood="discretized_logistic_mixture").fit(TABLE > 0)
