"""How all detectors are fitted: the split, frozen models, searches, Ctrl-C."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skood import (
    BIVA,
    HVAE,
    GradientNorm,
    HierarchicalLLR,
    LadderVAE,
    Likelihood,
    SeReVAE,
    Typicality,
)
from skood.calibration import CalibrationWarning
from skood.testing import easy_images, small

# Networks here are trained for two epochs: no layer has learned anything yet.
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


def frozen(detector, model, **parameters):
    """A copy of ``detector`` around a model that is not trained again."""
    return clone(detector).set_params(model=FrozenEstimator(model), random_state=0, **parameters)


def numbered(n):
    """Rows of two columns whose first names the row and whose second is noise."""
    noise = np.random.default_rng(0).normal(size=n)
    return np.column_stack([np.arange(n, dtype=float), noise])


# ---------------------------------------------------------------------------------------- the split


@pytest.mark.parametrize("fraction, n_calibration", [(0.2, 20), (0.5, 50), (0.35, 35)])
def test_calibration_rows_are_those_not_trained_on(column_model, fraction, n_calibration):
    detector = Likelihood(column_model, calibration_fraction=fraction, random_state=0)
    detector.fit(numbered(100))
    trained, calibrated = detector.model_.trained_on_, -detector.calibration_statistics_
    assert len(calibrated) == n_calibration
    assert sorted([*trained, *calibrated]) == list(range(100))


@pytest.mark.parametrize("detector", [Typicality(), HierarchicalLLR(k="max")])
def test_training_reference_and_calibration_rows_are_disjoint(
    detector, column_model, rows_given_to
):
    reference = rows_given_to(type(detector), "_fit_reference")
    calibration = rows_given_to(type(detector), "_statistic")
    detector = clone(detector).set_params(model=column_model, calibration_fraction=0.8)
    trained = detector.fit(numbered(100)).model_.trained_on_
    assert [len(trained), len(reference)] == [20, 1]
    assert sorted([*trained, *reference[0], *calibration[-1]]) == list(range(100))
    assert min(len(reference[0]), len(calibration[-1])) >= 20


def test_random_state_rules_the_split(column_model):
    kept = [
        Likelihood(column_model, random_state=seed).fit(numbered(100)).calibration_statistics_
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(kept[0], kept[1])
    assert set(kept[0]) != set(kept[2])


def test_without_a_random_state_every_fit_splits_anew(column_model):
    detector = Likelihood(column_model)
    first = detector.fit(numbered(100)).calibration_statistics_
    assert set(first) != set(detector.fit(numbered(100)).calibration_statistics_)


def test_random_state_seeds_a_model_that_has_no_seed(column_model):
    assert Likelihood(column_model, random_state=5).fit(numbered(100)).model_.random_state == 5


def test_a_random_state_of_the_model_is_kept(column_model):
    column_model.set_params(random_state=7)
    assert Likelihood(column_model, random_state=5).fit(numbered(100)).model_.random_state == 7


def test_a_generator_as_random_state_makes_split_and_seed_repeatable(column_model):
    def fit(generator):
        return Likelihood(column_model, random_state=generator).fit(numbered(100))

    first, second = fit(np.random.RandomState(3)), fit(np.random.RandomState(3))
    np.testing.assert_array_equal(first.calibration_statistics_, second.calibration_statistics_)
    assert first.model_.random_state == second.model_.random_state


def test_the_model_given_is_cloned_and_not_fitted(column_model):
    detector = Likelihood(column_model).fit(numbered(100))
    assert detector.model is column_model and detector.model_ is not column_model
    assert not hasattr(column_model, "trained_on_")


def test_no_model_stands_for_an_hvae(images, monkeypatch):
    monkeypatch.setattr("skood.detectors._model_detector.HVAE", lambda: small(HVAE))
    assert isinstance(Likelihood(random_state=0).fit(images).model_, HVAE)


# ------------------------------------------------------------------------------------ frozen models


def test_a_frozen_model_is_not_trained_and_all_rows_calibrate(fitted_hvae, images, trainings):
    before = [weight.clone() for weight in fitted_hvae.network_.parameters()]
    detector = frozen(Likelihood(n_importance_samples=1), fitted_hvae).fit(images)
    assert trainings == [] and detector.model_ is fitted_hvae
    weights = fitted_hvae.network_.parameters()
    assert all((a == b).all() for a, b in zip(before, weights, strict=True))
    np.testing.assert_array_equal(
        detector.calibration_scores_, np.sort(fitted_hvae.score_samples(images))
    )


def test_several_detectors_share_one_network(fitted_hvae, images):
    kinds = [Likelihood(), Typicality(), HierarchicalLLR(k=1), HierarchicalLLR(k="ada")]
    detectors = [frozen(detector, fitted_hvae).fit(images) for detector in kinds]
    assert {id(detector.model_.network_) for detector in detectors} == {id(fitted_hvae.network_)}


def test_an_unfitted_frozen_model_says_so(images):
    with pytest.raises(NotFittedError, match="HVAE"):
        Likelihood(FrozenEstimator(small(HVAE))).fit(images)


def test_a_frozen_model_of_other_images_names_both_shapes(fitted_hvae):
    with pytest.raises(ValueError, match=r"\(30, 6, 6\).*\(8, 8\)"):
        Likelihood(FrozenEstimator(fitted_hvae)).fit(easy_images(30, side=6))


# ------------------------------------------------------------------------- memory and grid searches


def searchable(kind, **parameters):
    """A small detector that has enough calibration rows in half of 120 rows."""
    return small(kind, **{"calibration_fraction": 0.5, "random_state": 0} | parameters)


@pytest.mark.parametrize("random_state", [0, None])
def test_a_search_over_k_trains_one_network_for_each_fold(
    random_state, images, trainings, tmp_path
):
    detector = searchable(HierarchicalLLR, memory=str(tmp_path), random_state=random_state)
    search = GridSearchCV(detector, {"k": [1, 2, "ada"]}, cv=3, refit=False)
    search.fit(images)
    assert len(trainings) == 3


@pytest.mark.parametrize("random_state", [0, None])
def test_with_memory_a_fit_with_another_fpr_trains_nothing(
    random_state, images, trainings, tmp_path
):
    detector = small(Likelihood, memory=str(tmp_path), random_state=random_state).fit(images)
    again = clone(detector).set_params(fpr=0.2).fit(images)
    assert len(trainings) == 1
    np.testing.assert_array_equal(again.calibration_scores_, detector.calibration_scores_)


@pytest.mark.parametrize("changed", ["rows", "seed", "model"])
def test_with_memory_other_rows_seeds_and_models_are_trained(changed, images, trainings, tmp_path):
    detector = small(Likelihood, memory=str(tmp_path), random_state=0).fit(images)
    if changed == "seed":
        detector.set_params(random_state=1)
    elif changed == "model":
        detector.set_params(model__width=9)
    detector.fit(images[::-1] if changed == "rows" else images)
    assert len(trainings) == 2


def test_detectors_of_different_kinds_share_the_memory(images, trainings, tmp_path):
    small(Likelihood, memory=str(tmp_path), random_state=0).fit(images)
    small(HierarchicalLLR, k="ada", memory=str(tmp_path), random_state=0).fit(images)
    assert len(trainings) == 1


def test_without_memory_every_fit_trains(images, trainings):
    detector = small(Likelihood, random_state=0).fit(images)
    detector.fit(images)
    assert len(trainings) == 2


@pytest.mark.parametrize("model", [HVAE, LadderVAE, BIVA, SeReVAE])
def test_a_search_over_the_model_needs_no_labels(model, images):
    grid = {"model__latent_dims": [(2, 2), (4, 3, 2)]}
    detector = searchable(Likelihood, model=small(model))
    search = GridSearchCV(detector, grid, cv=2).fit(images)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert best.model_.n_layers_ == len(search.best_params_["model__latent_dims"])
    assert search.score(images) == best.model_.score(images)


def test_a_search_over_k_with_labels_ranks_the_outliers(trained_hvae):
    X = np.concatenate([easy_images(200, random_state=2), 255 - easy_images(50, random_state=3)])
    y = np.repeat([1, -1], [200, 50])
    search = GridSearchCV(
        frozen(HierarchicalLLR(), trained_hvae),
        {"k": [1, 2, "ada", "opt", "max"]},
        scoring="roc_auc",
        cv=[(np.arange(100), np.arange(100, 250))],
        refit=False,  # it would calibrate on the outliers too
    ).fit(X, y)
    assert search.best_params_["k"] in (1, 2, "ada", "opt", "max")
    assert search.best_score_ > 0.9


def test_cross_validate_gives_the_held_out_likelihood(images):
    result = cross_validate(searchable(Likelihood), images, cv=2, return_estimator=True)
    held_out = images[: len(images) // 2]  # the first of two folds without shuffling
    assert result["test_score"][0] == result["estimator"][0].model_.score(held_out)


def test_a_pipeline_scales_tables_before_the_detector():
    X = np.random.default_rng(0).normal(50, 9, size=(120, 4))
    pipeline = make_pipeline(StandardScaler(), small(Likelihood, random_state=0)).fit(X)
    scaled = pipeline[0].transform(X)
    np.testing.assert_array_equal(pipeline.score_samples(X), pipeline[-1].score_samples(scaled))
    np.testing.assert_array_equal(pipeline.predict(X), pipeline[-1].predict(scaled))


def test_score_is_the_mean_log_likelihood(frozen_column_model):
    detector = frozen(HierarchicalLLR(k=1), frozen_column_model).fit(numbered(40))
    assert detector.score(numbered(11)) == 5.0


# -------------------------------------------------------------- Ctrl-C; see also test_interrupts.py


def test_ctrl_c_while_the_threshold_is_being_set_keeps_the_trained_model(monkeypatch):
    detector = Likelihood(small(HVAE), random_state=0).fit(easy_images(100))
    first = detector.model_

    def interrupt(self, X):
        raise KeyboardInterrupt

    monkeypatch.setattr(Likelihood, "_statistic", interrupt)
    with pytest.raises(KeyboardInterrupt):
        detector.fit(easy_images(120))
    assert detector.model_ is not first
    assert detector.model_.score_samples(easy_images(3)).shape == (3,)
    with pytest.raises(AttributeError, match="not fitted"):
        _ = detector.offset_


# --------------------------------------------------------------------------------- when a fit fails


def test_a_refit_that_fails_after_training_changes_nothing(images):
    detector = small(Likelihood, random_state=0).fit(images)
    before, offset = detector.score_samples(images[:5]), detector.offset_
    network = detector.model_.network_

    def fail(X):
        raise ValueError("no threshold")

    detector._statistic, statistic = fail, detector._statistic
    with pytest.raises(ValueError, match="no threshold"):
        detector.fit(images[::2])
    detector._statistic = statistic
    assert detector.model_.network_ is network and detector.offset_ == offset
    np.testing.assert_array_equal(detector.score_samples(images[:5]), before)


def test_nothing_of_the_fit_before_is_left_after_ctrl_c_during_the_threshold(images):
    detector = small(Likelihood, random_state=0).fit(images)

    def interrupt(X):
        raise KeyboardInterrupt

    detector._statistic = interrupt
    with pytest.raises(KeyboardInterrupt):
        detector.fit(images[::2])
    del detector._statistic
    with pytest.raises(NotFittedError):
        detector.predict(images[:5])
    frozen(detector, detector.model_).fit(images)  # what was trained can be used


def test_no_row_left_to_train_on_names_the_parameter(images):
    with pytest.raises(ValueError, match=r"calibration_fraction=0.999 leaves none of the \d+ rows"):
        small(Likelihood, calibration_fraction=0.999).fit(images)


@pytest.mark.parametrize("detector", [Likelihood, GradientNorm])
def test_a_frozen_model_of_another_table_names_both_widths(detector):
    model = small(HVAE).fit(numbered(40))
    with pytest.raises(ValueError, match="X has 3 features, but HVAE is expecting 2"):
        detector(FrozenEstimator(model)).fit(np.ones((30, 3)))


def test_a_detector_that_tells_nothing_apart_warns(images):
    detector = small(Likelihood, random_state=0)
    detector._statistic = lambda X: np.ones(len(X))
    with pytest.warns(CalibrationWarning, match="the same score -1.*tells nothing apart"):
        detector.fit(images)


def test_too_few_calibration_groups_for_fpr_warn(images):
    detector = small(Typicality, calibration_fraction=0.5, random_state=0).fit(images)
    n_groups = len(detector.calibration_statistics_) // 6
    with pytest.warns(CalibrationWarning, match=f"{n_groups} calibration groups are too few"):
        detector.group_p_values(images[:12], 6)
