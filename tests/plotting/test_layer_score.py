"""Heat maps of scores of layers."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skood import HierarchicalLLR, Likelihood
from skood.plotting import LayerScoreDisplay

ROWS = np.random.default_rng(0).normal(size=(6, 4))


def test_the_map_holds_the_scores_of_the_layers(given_detector):
    display = LayerScoreDisplay.from_estimator(given_detector(), ROWS)
    (image,) = display.ax_.images
    np.testing.assert_array_equal(image.get_array(), ROWS[:, 1:])


def test_the_colours_are_centred_on_zero(given_detector):
    display = LayerScoreDisplay.from_estimator(given_detector(), ROWS)
    low, high = display.ax_.images[0].get_clim()
    assert -low == high == np.abs(ROWS[:, 1:]).max()


@pytest.mark.parametrize(
    "k, column, unit", [("ada", "layer 2", "nats"), ("max", "LLR>2", "standard deviations")]
)
def test_columns_and_unit_are_those_of_the_detector(k, column, unit, given_detector):
    display = LayerScoreDisplay.from_estimator(given_detector(k), ROWS)
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert (labels[1], display.unit) == (column, unit)
    assert display.figure_.axes[1].get_ylabel() == f"OOD score ({unit})"


def test_a_real_detector_is_drawn(model, images):
    detector = HierarchicalLLR(FrozenEstimator(model), k="ada", n_importance_samples=1)
    detector.set_params(random_state=0, fpr=0.1).fit(images)
    display = LayerScoreDisplay.from_estimator(detector, images[:7])
    np.testing.assert_allclose(display.scores.sum(1), detector.ood_score(images[:7]))


def test_a_detector_without_layers_is_refused(images):
    with pytest.raises(ValueError, match=r"got Likelihood\. Give a fitted HierarchicalLLR"):
        LayerScoreDisplay.from_estimator(Likelihood(), images)
