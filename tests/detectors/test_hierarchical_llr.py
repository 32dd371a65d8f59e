"""Likelihood ratios between the layers of one model."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skood import BIVA, HierarchicalLLR, LadderVAE, SeReVAE
from skood.scores.ratios import (
    adaptive_likelihood_ratio,
    likelihood_ratios,
    most_significant_ratio,
    optimal_likelihood_ratio,
)
from skood.testing import easy_images, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


def detect(model, X, k, **parameters):
    parameters = {"n_importance_samples": 2, "random_state": 0} | parameters
    return HierarchicalLLR(FrozenEstimator(model), k, **parameters).fit(X)


@pytest.mark.parametrize("k", [1, 2])
def test_a_number_of_layers_gives_their_likelihood_ratio(k, fitted_hvae, images):
    bounds, _ = fitted_hvae.bounds(images, n_importance_samples=2)
    scores = detect(fitted_hvae, images, k).ood_score(images)
    np.testing.assert_array_equal(scores, bounds[0] - bounds[k])


@pytest.mark.parametrize(
    "k, ratio", [("ada", adaptive_likelihood_ratio), ("opt", optimal_likelihood_ratio)]
)
def test_ada_and_opt_give_the_ratios_of_the_paper(k, ratio, fitted_hvae, images):
    expected = ratio(*fitted_hvae.bounds(images, n_importance_samples=2))
    np.testing.assert_array_equal(detect(fitted_hvae, images, k).ood_score(images), expected)


def test_max_gives_the_ratio_most_unusual_for_the_reference(fitted_hvae, images):
    detector = detect(fitted_hvae, images, "max", fpr=0.1)
    ratios = likelihood_ratios(fitted_hvae.bounds(images, n_importance_samples=2)[0])
    expected = most_significant_ratio(ratios, detector.reference_ratios_)
    np.testing.assert_array_equal(detector.ood_score(images), expected)


def test_max_refers_to_half_of_the_rows_kept_out_of_training(frozen_column_model):
    X = np.column_stack([np.zeros(100), np.arange(100.0)])  # LLR>k of row i is k i
    detector = detect(frozen_column_model, X, "max")
    first, second = detector.reference_ratios_
    assert len(first) == len(detector.calibration_scores_) == 50
    assert set(first) < set(range(100))
    np.testing.assert_array_equal(second, 2 * first)


def test_other_values_of_k_need_no_reference_for_images(fitted_hvae, images):
    detector = detect(fitted_hvae, images, "ada")
    assert not hasattr(detector, "reference_ratios_")
    assert len(detector.calibration_scores_) == len(images)


def test_a_refit_with_another_k_scores_with_it(frozen_column_model):
    X = np.column_stack([np.zeros(100), np.random.default_rng(0).normal(size=100)])
    detector = detect(frozen_column_model, X, "max").set_params(k=1).fit(X)
    np.testing.assert_allclose(detector.ood_score(X), X[:, 1], atol=1e-12)


@pytest.mark.parametrize("k", [1, "ada", "opt", "max"])
def test_samples_of_the_prior_score_otherwise_than_its_mean(k, fitted_hvae, images):
    means, samples = (
        detect(fitted_hvae, images, k, below=below).ood_score(images)
        for below in ("mean", "sample")
    )
    assert not np.allclose(means, samples)


def test_samples_of_the_prior_are_those_of_the_model(fitted_hvae, images):
    bounds, _ = fitted_hvae.bounds(images, n_importance_samples=2, below="sample")
    scores = detect(fitted_hvae, images, 1, below="sample").ood_score(images)
    np.testing.assert_array_equal(scores, bounds[0] - bounds[1])


def test_more_importance_samples_change_the_scores(fitted_hvae, images):
    few, many = (
        detect(fitted_hvae, images, "ada", n_importance_samples=s).ood_score(images)
        for s in (1, 16)
    )
    assert not np.allclose(few, many)


@pytest.mark.parametrize("parameter", ["below", "n_importance_samples"])
def test_a_wrong_parameter_is_named(parameter, frozen_column_model):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of HierarchicalLLR"):
        detect(frozen_column_model, np.zeros((40, 2)), 1, **{parameter: 0})


def test_a_number_of_layers_computes_the_two_bounds_that_it_needs(frozen_column_model, monkeypatch):
    asked, bounds = [], type(frozen_column_model).bounds

    def spy(self, X, **options):
        asked.append([set(layers) for layers in options["prior_layers"]])
        return bounds(self, X, **options)

    monkeypatch.setattr(type(frozen_column_model), "bounds", spy)
    detect(frozen_column_model, np.random.default_rng(0).normal(size=(40, 2)), 2)
    assert asked == [[set(), {1, 2}]] * 2  # of the reference and of the calibration rows


def test_another_k_after_fit_is_refused_instead_of_scored_against_the_old_threshold():
    X = easy_images(150)
    detector = small(HierarchicalLLR, k=1, random_state=0).fit(X).set_params(k="max")
    with pytest.raises(ValueError, match=r"k was changed from 1 to 'max'.*Call fit again"):
        detector.predict(X)
    detector.set_params(k=1, fpr=0.2)
    assert detector.predict(X).shape == (150,)


@pytest.mark.parametrize("model", [LadderVAE, BIVA, SeReVAE])
def test_every_hierarchical_model_will_do(model, images):
    detector = small(HierarchicalLLR, model=small(model), k="ada", random_state=0).fit(images)
    scores = detector.ood_score(images)
    assert np.isfinite(scores).all() and len(np.unique(scores)) > len(images) // 2


# --------------------------------------------------------------------- between two layers: LLR>k<l


@pytest.mark.parametrize("k, l", [(1, 2), (1, 3), (2, 3), (2, 2)])
def test_the_ratio_between_two_layers_starts_from_the_bound_below_l(k, l, fitted_hvae, images):
    prior_layers = [range(l, 4), range(1, k + 1)]
    below_l, above_k = fitted_hvae.bounds(
        images, n_importance_samples=2, prior_layers=prior_layers
    )[0]
    scores = detect(fitted_hvae, images, k, l=l).ood_score(images)
    np.testing.assert_array_equal(scores, below_l - above_k)


def test_the_layers_from_l_on_and_those_up_to_k_come_from_the_prior(frozen_column_model):
    X = np.column_stack([np.zeros(100), np.random.default_rng(0).normal(size=100)])
    detector = detect(frozen_column_model, X, 1, l=2)  # layers 2 and 3 cost 11, layer 1 costs 1
    np.testing.assert_allclose(detector.ood_score(X), -10 * X[:, 1], atol=1e-12)


@pytest.mark.parametrize("k", ["ada", "opt", "max"])
def test_l_needs_an_integer_k(k, frozen_column_model):
    with pytest.raises(ValueError, match=f"l=2 needs an integer k; got k='{k}'. Use l=None"):
        detect(frozen_column_model, np.zeros((40, 2)), k, l=2)


def test_an_l_above_the_top_layer_is_found_before_the_training(images, trainings):
    with pytest.raises(ValueError, match=r"l=4 is out of range: HVAE has 3 .* from 2 to 3, or Non"):
        small(HierarchicalLLR, k=1, l=4).fit(images)
    assert trainings == []


@pytest.mark.parametrize("l", [1, 0, 2.5, "2"])
def test_an_l_of_a_wrong_kind_is_named(l, frozen_column_model):
    with pytest.raises(ValueError, match="The 'l' parameter of HierarchicalLLR"):
        detect(frozen_column_model, np.zeros((40, 2)), 1, l=l)


def test_another_l_after_fit_is_refused(fitted_hvae, images):
    detector = detect(fitted_hvae, images, 1, l=2).set_params(l=None)
    with pytest.raises(ValueError, match=r"l was changed from 2 to None.*Call fit again"):
        detector.predict(images)


# ------------------------------------------------------------------------------- layer by layer


def test_what_the_layers_add_with_ada_sums_to_the_score(fitted_hvae, images):
    detector = detect(fitted_hvae, images, "ada")
    layers = detector.score_layers(images)
    assert layers.shape == (len(images), 2)
    np.testing.assert_allclose(layers.sum(1), detector.ood_score(images), rtol=1e-12)


@pytest.mark.parametrize("k", [1, 2])
def test_what_the_first_k_layers_add_sums_to_the_score(k, fitted_hvae, images):
    detector = detect(fitted_hvae, images, k)
    layers = detector.score_layers(images)
    assert layers.shape == (len(images), 2)
    np.testing.assert_allclose(layers[:, :k].sum(1), detector.ood_score(images), rtol=1e-9)


def test_what_the_layers_add_does_not_depend_on_l(fitted_hvae, images):
    one, other = (detect(fitted_hvae, images, 1, l=l).score_layers(images) for l in (None, 2))
    np.testing.assert_array_equal(one, other)


def test_with_opt_the_score_is_the_sum_up_to_one_of_the_layers(fitted_hvae, images):
    detector = detect(fitted_hvae, images, "opt")
    sums, scores = detector.score_layers(images).cumsum(1), detector.ood_score(images)
    np.testing.assert_allclose(np.abs(sums - scores[:, None]).min(1), 0, atol=1e-9)


def test_with_max_the_score_is_the_largest_distance_of_a_layer(fitted_hvae, images):
    detector = detect(fitted_hvae, images, "max", fpr=0.1)
    layers = detector.score_layers(images)
    assert (layers < 0).any() and (layers > 0).any()
    np.testing.assert_array_equal(np.abs(layers).max(1), detector.ood_score(images))


@pytest.mark.parametrize("k", [1, "ada", "opt", "max"])
def test_one_row_alone_has_the_same_layers(k, fitted_hvae, images):
    detector = detect(fitted_hvae, images, k, fpr=0.1)
    layers = detector.score_layers(images)
    for row in (0, 50):
        np.testing.assert_array_equal(detector.score_layers(images[row : row + 1])[0], layers[row])


def test_layers_are_not_scored_before_the_fit(images):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        HierarchicalLLR().score_layers(images)


def test_layers_are_not_scored_after_a_change_of_k(fitted_hvae, images):
    detector = detect(fitted_hvae, images, 1).set_params(k="ada")
    with pytest.raises(ValueError, match="k was changed from 1 to 'ada'"):
        detector.score_layers(images)


def test_a_table_gets_a_warning_that_names_the_detector_for_tables():
    X = np.random.default_rng(0).normal(size=(200, 4))
    with pytest.warns(UserWarning, match=r"made for images.*CombinedDetector\(\)") as seen:
        small(HierarchicalLLR, random_state=0).fit(X)
    assert seen[0].filename == __file__
    detect(small(BIVA, random_state=0).fit(easy_images(60)), easy_images(60), 1)  # and images none
