"""Images and what the layers make of them."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skood import HVAE, VAE, HierarchicalLLR
from skood.core.protocols import LatentNetwork
from skood.plotting import ReconstructionDisplay
from skood.testing import all_models, image_layouts


def drawn(display):
    return [image.get_array() for image in display.ax_.images]


def test_the_pictures_drawn_are_the_inputs_and_their_reconstructions(model, images):
    display = ReconstructionDisplay.from_estimator(model, images[:5])
    rows = [images[:5], *(model.reconstruct(images[:5], k=k) for k in range(3))]
    np.testing.assert_array_equal(drawn(display), np.concatenate(rows))
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["input", "from z > 0", "from z > 1", "from z > 2"]


def test_with_samples_the_pictures_are_partial_generations(model, images):
    display = ReconstructionDisplay.from_estimator(model, images[:4], n_samples=3, random_state=7)
    samples = [
        model.partial_sample(images[:4], k=k, n_samples=3, random_state=7).reshape(-1, 8, 8)
        for k in (1, 2)
    ]
    np.testing.assert_array_equal(drawn(display), np.concatenate([images[:4], *samples]))


def test_k_chooses_the_rows(model, images):
    display = ReconstructionDisplay.from_estimator(model, images[:2], k=(2, 0))
    assert list(display.pictures) == ["input", "from z > 2", "from z > 0"]


def test_samples_may_come_from_the_model_alone(model, images):
    display = ReconstructionDisplay.from_estimator(model, images[:2], k=[3], n_samples=1)
    assert display.pictures["samples, z > 3"].shape == (1, 2, 8, 8)


@pytest.mark.parametrize("layout", image_layouts(1))
def test_all_layouts_of_images_are_drawn(layout, fit_small):
    X = image_layouts(60)[layout]
    fitted = fit_small(HVAE, X)
    display = ReconstructionDisplay.from_estimator(fitted, X[:3], k=[0])
    assert {picture.shape for picture in drawn(display)} == {(8, 8) if X.ndim == 3 else (8, 8, 3)}
    display.figure_.canvas.draw()


def test_colours_with_the_channels_first_are_shown_with_the_channels_last(fit_small):
    X = image_layouts(60)["colour in [0, 1], channels first"]
    fitted = fit_small(HVAE, X)
    display = ReconstructionDisplay.from_estimator(fitted, X[:3], k=[1])
    expected = np.concatenate([X[:3], fitted.reconstruct(X[:3], k=1)])
    np.testing.assert_allclose(drawn(display), np.moveaxis(expected, 1, -1))


def test_colour_bytes_are_scaled_for_matplotlib(fit_small):
    X = image_layouts(60)["colour bytes, channels last"]
    display = ReconstructionDisplay.from_estimator(fit_small(HVAE, X), X[:3], k=[0])
    np.testing.assert_allclose(drawn(display)[:3], X[:3] / 255)


@pytest.mark.parametrize("axis", [1, 3])
def test_one_channel_is_grey(axis, images, fit_small):
    X = np.expand_dims(images, axis)
    display = ReconstructionDisplay.from_estimator(fit_small(HVAE, X), X[:2], k=[0])
    np.testing.assert_array_equal(drawn(display)[:2], images[:2])


def test_real_valued_images_are_shown_on_the_scale_of_the_inputs(fit_small):
    X = np.random.default_rng(0).normal(size=(60, 8, 8))
    display = ReconstructionDisplay.from_estimator(fit_small(HVAE, X), X[:4])
    assert (display.vmin, display.vmax) == (X[:4].min(), X[:4].max())
    assert {image.get_clim() for image in display.ax_.images} == {(display.vmin, display.vmax)}


def test_dark_bytes_stay_dark(model, images):
    display = ReconstructionDisplay.from_estimator(model, images[:4] // 4)
    assert {image.get_clim() for image in display.ax_.images} == {(0, 255)}


def test_options_reach_matplotlib(model, images):
    display = ReconstructionDisplay.from_estimator(model, images[:2], cmap="magma")
    assert {image.get_cmap().name for image in display.ax_.images} == {"magma"}


@pytest.mark.parametrize("model_class", all_models())
def test_every_model_of_images_with_latent_layers_is_drawn(model_class, images, fit_small):
    fitted = fit_small(model_class, images)
    if isinstance(fitted.network_, LatentNetwork):
        display = ReconstructionDisplay.from_estimator(fitted, images[:2], n_samples=2)
        assert len(display.ax_.images) == 2 + 4 * max(1, fitted.n_layers_ - 1)


def test_one_layer_is_sampled_from_its_posterior(images, fit_small):
    fitted = fit_small(VAE, images)
    display = ReconstructionDisplay.from_estimator(fitted, images[:2], n_samples=2)
    assert list(display.pictures) == ["input", "samples, z > 0"]


def test_a_frozen_model_is_drawn(model, images):
    display = ReconstructionDisplay.from_estimator(FrozenEstimator(model), images[:2])
    assert len(display.ax_.images) == 8


def test_a_table_is_refused(table_model):
    with pytest.raises(ValueError, match="a table with 4 features, not on images"):
        ReconstructionDisplay.from_estimator(table_model, np.zeros((2, 4)))


def test_a_detector_is_refused_in_favour_of_its_model(images):
    with pytest.raises(
        ValueError, match=r"HierarchicalLLR has no encode\. Give ReconstructionDisplay its model_"
    ):
        ReconstructionDisplay.from_estimator(HierarchicalLLR(), images)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"k": 1}, r"k must be a sequence .* got 1"),
        ({"k": ()}, r"k must be a sequence .* got \(\)"),
        ({"k": [3]}, "k must be an integer from 0 to 2"),
        ({"n_samples": -1}, "n_samples must be an integer of at least 0; got -1"),
        ({"n_samples": 0.5}, "n_samples must be an integer of at least 0; got 0.5"),
    ],
)
def test_a_wrong_parameter_is_named(options, message, model, images):
    with pytest.raises(ValueError, match=message):
        ReconstructionDisplay.from_estimator(model, images[:2], **options)


def test_images_of_another_size_are_refused(model, images):
    with pytest.raises(ValueError, match=r"fitted on rows of shape \(8, 8\)"):
        ReconstructionDisplay.from_estimator(model, images[:2, 1:])
