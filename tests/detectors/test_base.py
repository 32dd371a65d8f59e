"""What all detectors share: split, sign, threshold, p-values, groups, errors."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from skorch.callbacks import Callback

from skood import HVAE, HierarchicalLLR, InterruptedFitWarning, Likelihood, Trainer, Typicality
from skood.calibration import CalibrationWarning
from skood.testing import easy_images, small

# Networks here are trained for two epochs: no layer has learned anything yet.
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")

DETECTORS = [
    Likelihood(),
    Typicality(),
    *(HierarchicalLLR(k=k, n_importance_samples=2) for k in (1, "ada", "opt", "max")),
]


def name_of(detector):
    return type(detector).__name__ + str(getattr(detector, "k", ""))


every_detector = pytest.mark.parametrize("detector", DETECTORS, ids=name_of)


def frozen(detector, model, **parameters):
    """A copy of ``detector`` around a model that is not trained again."""
    return clone(detector).set_params(model=FrozenEstimator(model), random_state=0, **parameters)


def numbered(n, random_state=0):
    """Rows of two columns whose first names the row and whose second is noise."""
    noise = np.random.default_rng(random_state).normal(size=n)
    return np.column_stack([np.arange(n, dtype=float), noise])


# ---------------------------------------------------------------------- sign, threshold, p-values


@every_detector
def test_score_samples_is_minus_the_ood_score(detector, fitted_hvae, images):
    detector = frozen(detector, fitted_hvae).fit(images)
    np.testing.assert_array_equal(detector.score_samples(images), -detector.ood_score(images))


@every_detector
def test_predict_is_minus_one_where_the_decision_is_negative(detector, fitted_hvae, images):
    detector = frozen(detector, fitted_hvae, fpr=0.2).fit(images)
    decision = detector.decision_function(images)
    np.testing.assert_array_equal(detector.predict(images), np.where(decision >= 0, 1, -1))
    np.testing.assert_array_equal(decision, detector.score_samples(images) - detector.offset_)


@every_detector
@pytest.mark.parametrize("fpr", [0.05, 0.1, 0.29, 0.5])
def test_predict_is_minus_one_where_the_p_value_is_at_most_fpr(detector, fpr, fitted_hvae, images):
    detector = frozen(detector, fitted_hvae, fpr=fpr).fit(images)
    rows = np.concatenate([images, easy_images(100, random_state=1) // 2 + 60])
    labels = detector.predict(rows)
    assert set(labels) == {-1, 1}
    np.testing.assert_array_equal(labels == -1, detector.p_values(rows) <= fpr)


def test_set_params_of_fpr_moves_the_threshold_without_a_fit(frozen_column_model):
    X = numbered(99)
    detector = frozen(Likelihood(fpr=0.1), frozen_column_model).fit(X)
    assert detector.offset_ == 9  # tenth smallest of 0, ..., 98
    detector.set_params(fpr=0.29)
    assert detector.offset_ == 28
    assert (detector.predict(X) == -1).sum() == 28


def test_calibration_scores_are_sorted_and_belong_to_the_calibration_rows(frozen_column_model):
    detector = frozen(Likelihood(), frozen_column_model).fit(numbered(40))
    np.testing.assert_array_equal(detector.calibration_scores_, np.arange(40))
    assert sorted(-detector.calibration_statistics_) == list(range(40))


def test_calibration_statistics_are_in_random_order(frozen_column_model):
    detector = frozen(Likelihood(), frozen_column_model).fit(numbered(40))
    assert list(-detector.calibration_statistics_) != list(range(40))


def test_too_few_calibration_rows_warn(frozen_column_model):
    with pytest.warns(CalibrationWarning, match=r"18 calibration rows are too few for fpr=0\.05"):
        frozen(Likelihood(), frozen_column_model).fit(numbered(18))


def test_enough_calibration_rows_do_not_warn(frozen_column_model):
    frozen(Likelihood(), frozen_column_model).fit(numbered(19))  # a warning would be an error


def test_an_impossible_fpr_after_fit_is_refused(frozen_column_model):
    detector = frozen(Likelihood(), frozen_column_model).fit(numbered(30)).set_params(fpr=2)
    with pytest.raises(ValueError, match="fpr is 2; give a number between 0 and 1"):
        detector.predict(numbered(3))


def test_too_few_rows_for_a_new_fpr_warn_at_predict(frozen_column_model):
    detector = frozen(Likelihood(), frozen_column_model).fit(numbered(30))
    detector.set_params(fpr=0.01)
    with pytest.warns(CalibrationWarning, match="30 calibration rows are too few"):
        detector.predict(numbered(3))


# ------------------------------------------------------------------------------------- the split


@pytest.mark.parametrize("fraction, n_calibration", [(0.2, 20), (0.5, 50), (0.35, 35)])
def test_calibration_rows_are_those_not_trained_on(column_model, fraction, n_calibration):
    detector = Likelihood(column_model, calibration_fraction=fraction, random_state=0)
    detector.fit(numbered(100))
    trained, calibrated = detector.model_.trained_on_, -detector.calibration_statistics_
    assert len(calibrated) == n_calibration
    assert sorted([*trained, *calibrated]) == list(range(100))


@pytest.mark.parametrize("detector", [Typicality(), HierarchicalLLR(k="max")], ids=name_of)
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
    monkeypatch.setattr("skood.detectors._base.HVAE", lambda: small(HVAE))
    assert isinstance(Likelihood(random_state=0).fit(images).model_, HVAE)


# ----------------------------------------------------------------------------------- frozen models


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
    detectors = [frozen(detector, fitted_hvae).fit(images) for detector in DETECTORS]
    assert {id(detector.model_.network_) for detector in detectors} == {id(fitted_hvae.network_)}


def test_an_unfitted_frozen_model_says_so(images):
    with pytest.raises(NotFittedError, match="HVAE"):
        Likelihood(FrozenEstimator(small(HVAE))).fit(images)


def test_something_frozen_that_is_no_model_is_named(fitted_hvae, images):
    pipeline = make_pipeline(StandardScaler(), fitted_hvae)
    with pytest.raises(ValueError, match=r"holds a Pipeline.* Freeze the model itself"):
        Likelihood(FrozenEstimator(pipeline)).fit(images)


def test_a_frozen_model_of_other_images_names_both_shapes(fitted_hvae):
    with pytest.raises(ValueError, match=r"\(30, 6, 6\).*\(8, 8\)"):
        Likelihood(FrozenEstimator(fitted_hvae)).fit(easy_images(30, side=6))


# ------------------------------------------------------------------------ memory and grid searches


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


def test_a_search_over_the_model_needs_no_labels(images):
    grid = {"model__latent_dims": [(2, 2), (4, 3, 2)]}
    search = GridSearchCV(searchable(Likelihood), grid, cv=2).fit(images)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert best.model_.network_.n_layers == len(search.best_params_["model__latent_dims"])
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


# ------------------------------------------------------------------------------------------ groups


def test_the_score_of_a_group_is_the_mean_of_its_rows(frozen_column_model):
    detector = frozen(Likelihood(), frozen_column_model).fit(numbered(40))
    scores = detector.group_ood_score(numbered(12), 4)
    np.testing.assert_array_equal(scores, [-1.5, -5.5, -9.5])


def test_groups_of_one_row_score_as_rows(frozen_column_model):
    X = numbered(12)
    detector = frozen(HierarchicalLLR(k=2), frozen_column_model).fit(numbered(40))
    np.testing.assert_array_equal(detector.group_ood_score(X, 1), detector.ood_score(X))
    np.testing.assert_array_equal(detector.group_p_values(X, 1), detector.p_values(X))


def test_p_values_of_groups_refer_to_groups_of_calibration_rows(frozen_column_model):
    detector = frozen(Likelihood(), frozen_column_model).fit(numbered(43))
    means = -detector.calibration_statistics_[:40].reshape(10, 4).mean(1)
    X = np.column_stack([np.repeat([-1.0, 20.0, 99.0], 4), np.zeros(12)])
    expected = [(1 + (means <= mean).sum()) / 11 for mean in (-1, 20, 99)]
    np.testing.assert_allclose(detector.group_p_values(X, np.int64(4)), expected, rtol=1e-15)


@pytest.mark.parametrize("group_size", [0, -1, 5, 24, 2.0, "2", None])
def test_a_group_size_that_does_not_divide_the_rows_is_an_error(group_size, frozen_column_model):
    detector = frozen(Likelihood(), frozen_column_model).fit(numbered(40))
    for method in (detector.group_ood_score, detector.group_p_values):
        with pytest.raises(ValueError, match=r"divides the 12 rows of X; got .* Cut X"):
            method(numbered(12), group_size)


def test_a_group_larger_than_the_calibration_set_has_no_p_value(frozen_column_model):
    detector = frozen(Likelihood(), frozen_column_model).fit(numbered(40))
    with pytest.raises(ValueError, match="smaller group_size"):
        detector.group_p_values(numbered(41), 41)


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize("k", [0, -1, 1.5, "foo", None])
def test_a_k_of_a_wrong_kind_is_named(k, column_model):
    with pytest.raises(InvalidParameterError, match="The 'k' parameter of HierarchicalLLR"):
        HierarchicalLLR(column_model, k=k).fit(numbered(40))


@pytest.mark.parametrize("fpr", [0, 1, 2, -0.1, "5%"])
@every_detector
def test_an_fpr_outside_0_and_1_is_named(detector, fpr, column_model):
    detector = clone(detector).set_params(model=column_model, fpr=fpr)
    with pytest.raises(InvalidParameterError, match="The 'fpr' parameter of"):
        detector.fit(numbered(40))


def test_a_k_that_is_too_large_is_found_before_the_training(images, trainings):
    with pytest.raises(ValueError, match=r"k=3 is out of range: HVAE has 3 .* from 1 to 2"):
        small(HierarchicalLLR, k=3).fit(images)
    assert trainings == []


def test_a_model_of_one_layer_is_sent_to_likelihood_before_the_training(images, trainings):
    with pytest.raises(ValueError, match=r"at least 2 latent layers; HVAE has 1\. Use Likelihood"):
        small(HierarchicalLLR, model=small(HVAE, latent_dims=(4,))).fit(images)
    assert trainings == []


def test_a_frozen_model_of_one_layer_is_sent_to_likelihood(images):
    model = small(HVAE, latent_dims=(4,)).fit(images)
    with pytest.raises(ValueError, match="Use Likelihood"):
        frozen(HierarchicalLLR(), model).fit(images)


def test_something_that_is_no_model_is_named():
    with pytest.raises(InvalidParameterError, match="The 'model' parameter of Likelihood"):
        Likelihood(StandardScaler()).fit(numbered(40))


@pytest.mark.parametrize(
    "X, remedy",
    [
        (np.array([["a", "b"]] * 30), "could not convert string"),
        (np.where(np.eye(30, 2) == 1, np.nan, 0.0), "NaN"),
        (np.empty((0, 2)), "minimum of 1 is required"),
        (np.zeros((30, 8, 8, 2)), r"neither .* Give images as"),
        (np.zeros((30, 1, 1, 8, 8)), r"5 dimensions.* Give a table"),
        (np.zeros(30), "Reshape your data"),
    ],
    ids=["strings", "NaN", "empty", "two channels", "five dimensions", "one dimension"],
)
def test_wrong_data_are_refused_with_a_remedy(X, remedy, column_model):
    with pytest.raises(ValueError, match=remedy):
        Likelihood(column_model).fit(X)


@every_detector
def test_one_row_is_too_few_to_fit(detector, column_model):
    detector = clone(detector).set_params(model=column_model)
    with pytest.raises(ValueError, match=r"needs at least [23] rows .* X has 1 sample\."):
        detector.fit(numbered(1))


@every_detector
def test_the_fewest_rows_are_enough_to_fit(detector, column_model):
    needs_reference = bool(detector._reference_fraction)
    detector = clone(detector).set_params(model=column_model)
    with pytest.warns(CalibrationWarning):
        detector.fit(numbered(3 if needs_reference else 2))
    assert np.isfinite(detector.score_samples(numbered(5))).all()


def test_a_wrong_number_of_channels_names_both_shapes():
    colour = np.stack([easy_images(60)] * 3, axis=-1)
    detector = small(Likelihood, random_state=0).set_params(fpr=0.2).fit(colour)
    with pytest.raises(ValueError, match=r"\(60, 8, 8, 1\).*\(8, 8, 3\).* transpose the images"):
        detector.predict(colour[..., :1])


@every_detector
def test_scoring_before_fit_says_so(detector):
    for name in ("ood_score", "score_samples", "decision_function", "predict", "p_values", "score"):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            getattr(clone(detector), name)(numbered(3))


def test_the_offset_before_fit_is_an_attribute_error():
    with pytest.raises(AttributeError, match="this Likelihood is not fitted yet"):
        Likelihood().offset_  # noqa: B018
    assert not hasattr(Likelihood(), "offset_")


@pytest.mark.parametrize("failure", ["data", "parameter", "training"])
def test_a_refit_that_fails_leaves_the_detector_as_it_was(failure, images, monkeypatch):
    detector = small(Likelihood, random_state=0).fit(images)
    before, expected = dict(vars(detector)), detector.score_samples(images)
    bad = np.full((30, 5), np.nan) if failure == "data" else images[:60]
    if failure == "parameter":
        detector.set_params(fpr=2)
    if failure == "training":
        monkeypatch.setattr("skood.models._base.train", lambda *args, **kwargs: 1 / 0)
    with pytest.raises((ValueError, ZeroDivisionError)):
        detector.fit(bad)
    detector.set_params(fpr=0.05)
    assert vars(detector) == before
    np.testing.assert_array_equal(detector.score_samples(images), expected)


# ---------------------------------------------------------------------------------------- Ctrl-C


class CtrlC(Callback):
    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == 2:
            raise KeyboardInterrupt


def test_ctrl_c_leaves_a_fitted_detector(images):
    model = small(HVAE, max_epochs=50, trainer=Trainer(callbacks=(CtrlC(),)))
    detector = Likelihood(model, random_state=0)
    with pytest.warns(InterruptedFitWarning, match="interrupted in epoch 2 of 50"):
        detector.fit(images)
    assert detector.model_.n_iter_ == 1
    assert set(detector.predict(images)) <= {-1, 1}


# -------------------------------------------------------------------------------------- behaviour


@every_detector
@pytest.mark.parametrize("fpr", [0.05, 0.1])
def test_fresh_normal_rows_are_flagged_at_the_rate_promised(detector, fpr, column_model):
    rng = np.random.default_rng(0)
    detector = clone(detector).set_params(model=column_model, fpr=fpr, calibration_fraction=0.5)
    rates = []
    for seed in range(200):
        X = rng.standard_t(4, size=(400, 2))
        detector.set_params(random_state=seed).fit(X[:150])
        rates.append(np.mean(detector.predict(X[150:]) == -1))
    n = len(detector.calibration_scores_)
    expected = int(fpr * (n + 1)) / (n + 1)  # exact for scores without ties, and at most fpr
    assert np.mean(rates) == pytest.approx(expected, abs=3 * np.std(rates) / np.sqrt(200))


@every_detector
def test_the_rate_on_fresh_images_is_in_its_interval(detector, trained_hvae):
    n, n_fresh, fpr = 199, 300, 0.05
    detector = frozen(detector, trained_hvae, fpr=fpr).fit(easy_images(n, random_state=2))
    n = len(detector.calibration_scores_)
    rank = int(fpr * (n + 1))
    flagged = (detector.predict(easy_images(n_fresh, random_state=3)) == -1).sum()
    low, high = stats.betabinom(n_fresh, rank, n + 1 - rank).ppf([0.0005, 0.9995])
    assert low <= flagged <= high


@every_detector
def test_inverted_images_are_flagged(detector, trained_hvae):
    detector = frozen(detector, trained_hvae).fit(easy_images(200, random_state=2))
    inverted = 255 - easy_images(100, random_state=3)
    assert np.mean(detector.predict(inverted) == -1) > 0.9


class InterruptInEpoch2(Callback):
    """Not inside the test: the cache pickles it."""

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


def test_an_interrupted_training_is_not_kept_in_the_cache(tmp_path):
    model = small(HVAE, trainer=Trainer(callbacks=(InterruptInEpoch2(),)), random_state=0)
    detector = Likelihood(model, memory=str(tmp_path), random_state=0)
    for _ in range(2):
        with pytest.warns(InterruptedFitWarning):
            detector.fit(easy_images(100))


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
