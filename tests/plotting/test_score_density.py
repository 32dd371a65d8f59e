"""Densities of scores."""

import numpy as np
import pytest

from skood import Likelihood
from skood.metrics import auroc
from skood.plotting import ScoreDensityDisplay

SCORES = {
    "normal": np.random.default_rng(0).normal(size=500),
    "shifted": np.random.default_rng(1).normal(2, size=300),
    "odd": np.random.default_rng(2).normal(-1, size=200),
}


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def heights(display, i):
    return [bar.get_height() for bar in display.ax_.containers[i]]


def test_the_legend_holds_the_auroc_of_each_set_against_the_first():
    display = ScoreDensityDisplay.from_predictions(SCORES)
    expected = [auroc(SCORES["normal"], SCORES[name]) for name in ("shifted", "odd")]
    assert list(display.aurocs.values()) == expected
    assert legend(display) == [
        "normal",
        f"shifted (AUROC {expected[0]:.3f})",
        f"odd (AUROC {expected[1]:.3f})",
    ]


def test_the_bars_are_the_densities():
    bins = np.linspace(-10, 10, 31)
    display = ScoreDensityDisplay.from_predictions(SCORES, bins=bins)
    for i, values in enumerate(SCORES.values()):
        np.testing.assert_allclose(heights(display, i), np.histogram(values, bins, density=True)[0])


def test_all_sets_have_the_same_bins():
    display = ScoreDensityDisplay.from_predictions(SCORES, bins=20)
    edges = [[bar.get_x() for bar in bars] for bars in display.ax_.containers]
    assert len(edges[0]) == 20
    assert edges[0] == edges[1] == edges[2]


def test_scores_beyond_the_axis_are_counted_in_the_outermost_bins():
    scores = {"a": np.r_[np.linspace(0, 1, 999), 1e6], "b": np.r_[np.linspace(0, 1, 999), -np.inf]}
    display = ScoreDensityDisplay.from_predictions(scores, density=False, bins=10)
    assert [sum(heights(display, i)) for i in (0, 1)] == [1000, 1000]
    assert -0.1 < display.ax_.get_xlim()[0] < display.ax_.get_xlim()[1] < 1.1


def test_the_threshold_is_a_line_within_the_axis():
    display = ScoreDensityDisplay.from_predictions(SCORES, threshold=9.0)
    (line,) = display.ax_.lines
    assert list(line.get_xdata()) == [9, 9]
    assert display.ax_.get_xlim()[1] >= 9
    assert legend(display)[-1] == "threshold"


def test_a_detector_gives_scores_and_threshold(given_detector):
    X = {name: values[:, None] for name, values in SCORES.items()}
    display = ScoreDensityDisplay.from_estimator(given_detector(), X)
    np.testing.assert_array_equal(display.scores["odd"], SCORES["odd"])
    assert display.threshold == 0.5


def test_above_the_threshold_are_the_rows_that_predict_flags(images, fit_small):
    detector = fit_small(Likelihood, images, fpr=0.2)
    display = ScoreDensityDisplay.from_estimator(detector, {"bars": images})
    above = display.scores["bars"] > display.threshold
    np.testing.assert_array_equal(above, detector.predict(images) == -1)


def test_equal_scores_are_drawn():
    display = ScoreDensityDisplay.from_predictions({"a": [1.0, 1.0], "b": [1.0]})
    assert display.aurocs == {"b": 0.5}


def test_the_display_draws_on_given_axes_and_again():
    display = ScoreDensityDisplay.from_predictions(SCORES)
    figure, ax = display.figure_, display.figure_.add_subplot()
    assert display.plot(ax, alpha=1.0) is display
    assert (display.ax_, display.figure_) == (ax, figure)


@pytest.mark.parametrize(
    "scores, message",
    [
        ([1.0, 2.0], r"scores must be a dict such as .* got a list"),
        ({}, "got an empty dict"),
        ({"a": [1.0], "b": []}, r"scores\['b'\] must be .* got shape \(0,\) with 0 NaN"),
        ({"a": [[1.0]]}, r"scores\['a'\] must be .* got shape \(1, 1\)"),
        ({"a": [1.0, np.nan]}, r"scores\['a'\] must be .* with 1 NaN"),
    ],
)
def test_wrong_scores_are_named(scores, message):
    with pytest.raises(ValueError, match=message):
        ScoreDensityDisplay.from_predictions(scores)


def test_a_model_is_no_detector(model, images):
    with pytest.raises(ValueError, match="detector must be a detector; HVAE has no ood_score"):
        ScoreDensityDisplay.from_estimator(model, {"bars": images})
