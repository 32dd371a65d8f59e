"""What layers carry during training."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skood import HVAE, Glow
from skood.plotting import LayerKLDisplay


def test_the_lines_are_the_divergences_of_the_history(model):
    display = LayerKLDisplay.from_estimator(model)
    kl = np.array(model.history_["kl"])
    for layer, line in enumerate(display.ax_.lines):
        np.testing.assert_array_equal(line.get_ydata(), kl[:, layer])
        np.testing.assert_array_equal(line.get_xdata(), np.arange(len(kl)) + 1)
        assert line.get_label() == f"{layer + 1}"


def test_living_layers_have_a_logarithmic_axis(given_model):
    display = LayerKLDisplay.from_estimator(given_model(kl=[[9.0, 0.3], [8.0, 0.2]]))
    assert display.ax_.get_yscale() == "log"


@pytest.mark.parametrize("nats", [1e-5, 0.0, -1e-3])
def test_a_collapsed_layer_is_seen(nats, given_model):
    display = LayerKLDisplay.from_estimator(given_model(kl=[[9.0, 0.3], [8.0, nats]]))
    assert display.ax_.get_yscale() == "symlog"
    low, high = display.ax_.get_ylim()
    assert low < nats < high


def test_no_epoch_gives_empty_lines(given_model):
    interrupted = given_model(latents=[None, None])
    assert LayerKLDisplay.from_estimator(interrupted).kl.shape == (0, 2)


def test_options_reach_matplotlib(given_model):
    display = LayerKLDisplay.from_estimator(given_model(kl=[[1.0]]), color="red")
    assert display.ax_.lines[0].get_color() == "red"


@pytest.mark.parametrize("thing, got", [(HVAE, "got the class HVAE"), (3, "int has no encode")])
def test_what_is_no_fitted_model_is_named(thing, got):
    with pytest.raises(ValueError, match=f"{got}. Give LayerKLDisplay a fitted model"):
        LayerKLDisplay.from_estimator(thing)


def test_a_model_without_latent_layers_is_refused():
    message = "must be a model with latent layers; Glow has no encode. Give LayerKLDisplay"
    with pytest.raises(ValueError, match=message):
        LayerKLDisplay.from_estimator(Glow())


def test_a_model_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        LayerKLDisplay.from_estimator(HVAE())


def test_epochs_are_whole_numbers(given_model):
    display = LayerKLDisplay.from_estimator(given_model(kl=[[1.0], [2.0]]))
    low, high = display.ax_.get_xlim()
    assert [tick for tick in display.ax_.get_xticks() if low <= tick <= high] == [1, 2]
