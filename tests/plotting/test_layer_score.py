"""Heat maps of scores of layers."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skood import GradientNorm, HierarchicalLLR, Likelihood
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


def test_columns_and_unit_are_those_of_the_detector(given_detector):
    names = ["first", "second", "third"]
    display = LayerScoreDisplay.from_estimator(given_detector(names, "metres"), ROWS)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == names
    assert display.figure_.axes[1].get_ylabel() == "layer score (metres)"


def test_long_names_are_turned(given_detector):
    names = ["bijection.0.weight", "bijection.0.bias", "c"]
    display = LayerScoreDisplay.from_estimator(given_detector(names), ROWS)
    assert {label.get_rotation() for label in display.ax_.get_xticklabels()} == {90}


def test_many_columns_are_numbered(given_detector):
    rows = np.random.default_rng(0).normal(size=(3, 31))
    names = [f"layer {i}" for i in range(30)]
    display = LayerScoreDisplay.from_estimator(given_detector(names), rows)
    assert display.ax_.get_xlabel() == "column, from the first layer on"
    assert len(display.ax_.get_xticks()) < 30


def test_a_single_row_has_a_single_tick(given_detector):
    ax = LayerScoreDisplay.from_estimator(given_detector(), ROWS[:1]).ax_
    assert [tick for tick in ax.get_yticks() if -0.5 <= tick <= 0.5] == [0]


def test_zero_is_white_even_if_all_scores_are_zero(given_detector):
    (image,) = LayerScoreDisplay.from_estimator(given_detector(), 0 * ROWS).ax_.images
    np.testing.assert_allclose(image.to_rgba(np.zeros(1)), [[1, 1, 1, 1]], atol=0.05)


@pytest.mark.parametrize(
    "k, columns, unit",
    [
        ("ada", ["layer 1", "layer 2"], "nats"),
        (1, ["layer 1", "layer 2"], "nats"),
        ("max", ["LLR>1", "LLR>2"], "standard deviations"),
    ],
)
def test_a_hierarchical_detector_is_drawn(k, columns, unit, model, images):
    detector = HierarchicalLLR(FrozenEstimator(model), k=k, n_importance_samples=1)
    detector.set_params(random_state=0, fpr=0.1).fit(images)
    display = LayerScoreDisplay.from_estimator(detector, images[:7])
    np.testing.assert_array_equal(display.scores, detector.score_layers(images[:7]))
    assert (display.columns, display.unit) == (columns, unit)


def test_a_gradient_norm_is_drawn(model, images):
    detector = GradientNorm(FrozenEstimator(model), fpr=0.1, random_state=0).fit(images)
    display = LayerScoreDisplay.from_estimator(detector, images[:7])
    assert (display.columns, display.unit) == (detector.layer_names_, "standard deviations")


def test_a_detector_without_scores_of_layers_is_refused(images):
    message = r"Likelihood has no score_layers\. Give a fitted HierarchicalLLR"
    with pytest.raises(ValueError, match=message):
        LayerScoreDisplay.from_estimator(Likelihood(), images)


@pytest.mark.parametrize("member", ["layer_names_", "layer_score_unit_"])
def test_the_attribute_that_is_missing_is_named(member, given_detector):
    detector = given_detector()
    delattr(detector, member)
    with pytest.raises(ValueError, match=f"detector must be .* GivenDetector has no {member}"):
        LayerScoreDisplay.from_estimator(detector, ROWS)


def test_a_detector_that_is_not_fitted_is_refused_as_such(unfitted_detector):
    for detector in (unfitted_detector, HierarchicalLLR(), GradientNorm()):
        with pytest.raises(NotFittedError):
            LayerScoreDisplay.from_estimator(detector, ROWS)
