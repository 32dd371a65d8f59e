"""Likelihood ratios between the layers of one model."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skood import HierarchicalLLR
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


def test_other_values_of_k_need_no_reference(frozen_column_model):
    X = np.random.default_rng(0).normal(size=(100, 2))
    detector = detect(frozen_column_model, X, "ada")
    assert not hasattr(detector, "reference_ratios_")
    assert len(detector.calibration_scores_) == 100


def test_a_refit_with_another_k_scores_with_it(frozen_column_model):
    X = np.random.default_rng(0).normal(size=(100, 2))
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
    bounds, _ = fitted_hvae.bounds(images, n_importance_samples=2, prior_mean=False)
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
        asked.append(options["layers"])
        return bounds(self, X, **options)

    monkeypatch.setattr(type(frozen_column_model), "bounds", spy)
    detect(frozen_column_model, np.random.default_rng(0).normal(size=(40, 2)), 2)
    assert asked == [(0, 2)]


def test_another_k_after_fit_is_refused_instead_of_scored_against_the_old_threshold():
    X = easy_images(150)
    detector = small(HierarchicalLLR, k=1, random_state=0).fit(X).set_params(k="max")
    with pytest.raises(ValueError, match=r"k was changed from 1 to 'max'.*Call fit again"):
        detector.predict(X)
    detector.set_params(k=1, fpr=0.2)
    assert detector.predict(X).shape == (150,)
