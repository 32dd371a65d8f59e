"""Images, and the log-likelihood of each of their pixels."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skood import HVAE, Likelihood, PixelCNN
from skood.plotting import LikelihoodMapDisplay
from skood.testing import image_layouts


@pytest.fixture(scope="module")
def pixel_cnn(images, fit_small):
    return fit_small(PixelCNN, images)


def drawn(display):
    return [image.get_array() for image in display.ax_.images]


def test_the_pictures_drawn_are_the_inputs_and_the_negative_log_likelihoods(pixel_cnn, images):
    display = LikelihoodMapDisplay.from_estimator(pixel_cnn, images[:5])
    np.testing.assert_array_equal(drawn(display)[:5], images[:5])
    np.testing.assert_array_equal(drawn(display)[5:], -pixel_cnn.log_likelihood_map(images[:5]))
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["input", "-log p"]


def test_all_maps_have_one_scale_and_all_images_that_of_the_data(pixel_cnn, images):
    display = LikelihoodMapDisplay.from_estimator(pixel_cnn, images[:4] // 4)
    scales = [image.get_clim() for image in display.ax_.images]
    assert set(scales[:4]) == {(0, 255)}
    assert set(scales[4:]) == {(display.maps.min(), np.quantile(display.maps, 0.99))}


@pytest.mark.parametrize("layout", image_layouts(1))
def test_all_layouts_of_images_are_drawn(layout, fit_small):
    X = image_layouts(60)[layout]
    display = LikelihoodMapDisplay.from_estimator(fit_small(PixelCNN, X), X[:3])
    shapes = [picture.shape for picture in drawn(display)]
    assert shapes == [(8, 8) if X.ndim == 3 else (8, 8, 3)] * 3 + [(8, 8)] * 3
    display.figure_.canvas.draw()


def test_options_reach_the_maps(pixel_cnn, images):
    display = LikelihoodMapDisplay.from_estimator(pixel_cnn, images[:2], cmap="viridis", vmax=9)
    assert [image.get_cmap().name for image in display.ax_.images] == ["gray"] * 2 + ["viridis"] * 2
    assert display.ax_.images[-1].get_clim()[1] == 9


def test_a_frozen_model_is_drawn(pixel_cnn, images):
    display = LikelihoodMapDisplay.from_estimator(FrozenEstimator(pixel_cnn), images[:2])
    assert len(display.ax_.images) == 4


def test_a_model_without_maps_is_refused(model, images):
    with pytest.raises(
        ValueError, match=r"HVAE has no log_likelihood_map\. Give Likelih.* a fitted PixelCNN"
    ):
        LikelihoodMapDisplay.from_estimator(model, images)


def test_a_detector_is_refused_in_favour_of_its_model(images):
    with pytest.raises(ValueError, match=r"Likelihood has no log_likelihood_map.* its model_"):
        LikelihoodMapDisplay.from_estimator(Likelihood(HVAE()), images)


def test_a_table_is_refused(fit_small):
    table = np.random.default_rng(0).normal(size=(120, 4))
    with pytest.raises(ValueError, match=r"a table with 4 features.* use log_likelihood_map"):
        LikelihoodMapDisplay.from_estimator(fit_small(PixelCNN, table), table)
