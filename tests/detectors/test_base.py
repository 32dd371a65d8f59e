"""What all detectors share: sign, threshold, p-values, groups, rates."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skood import HierarchicalLLR, Likelihood
from skood.calibration import CalibrationWarning
from skood.testing import easy_images

# Networks here are trained for two epochs: no layer has learned anything yet.
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


def frozen(detector, model, **parameters):
    """A copy of ``detector`` around a model that is not trained again."""
    return clone(detector).set_params(model=FrozenEstimator(model), random_state=0, **parameters)


def numbered(n):
    """Rows of two columns whose first names the row and whose second is noise."""
    noise = np.random.default_rng(0).normal(size=n)
    return np.column_stack([np.arange(n, dtype=float), noise])


# ------------------------------------------------------------------------ sign, threshold, p-values


def test_score_samples_is_minus_the_ood_score(detector, fitted_hvae, images):
    detector = frozen(detector, fitted_hvae).fit(images)
    np.testing.assert_array_equal(detector.score_samples(images), -detector.ood_score(images))


def test_predict_is_minus_one_where_the_decision_is_negative(detector, fitted_hvae, images):
    detector = frozen(detector, fitted_hvae, fpr=0.2).fit(images)
    decision = detector.decision_function(images)
    np.testing.assert_array_equal(detector.predict(images), np.where(decision >= 0, 1, -1))
    np.testing.assert_array_equal(decision, detector.score_samples(images) - detector.offset_)


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
        detector = frozen(Likelihood(), frozen_column_model).fit(numbered(18))
    detector.predict(numbered(3))  # a second warning would be an error


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


# ------------------------------------------------------------------------------------------- groups


def test_the_score_of_a_group_is_the_mean_of_its_rows(frozen_column_model):
    detector = frozen(Likelihood(), frozen_column_model).fit(numbered(40))
    scores = detector.group_ood_score(numbered(12), 4)
    np.testing.assert_array_equal(scores, [-1.5, -5.5, -9.5])


def test_groups_of_one_row_score_as_rows(frozen_column_model):
    X = numbered(12)
    detector = frozen(HierarchicalLLR(k=2), frozen_column_model).fit(numbered(40))
    np.testing.assert_array_equal(detector.group_ood_score(X, 1), detector.ood_score(X))
    np.testing.assert_array_equal(detector.group_p_values(X, 1), detector.p_values(X))


@pytest.mark.filterwarnings("ignore:.* calibration groups are too few")
def test_p_values_of_groups_refer_to_groups_of_calibration_rows(frozen_column_model):
    detector = frozen(Likelihood(), frozen_column_model).fit(numbered(43))
    means = -detector.calibration_statistics_[:40].reshape(10, 4).mean(1)
    X = np.column_stack([np.repeat([-1.0, 20.0, 99.0], 4), np.zeros(12)])
    expected = [(1 + (means <= mean).sum()) / 11 for mean in (-1, 20, 99)]
    np.testing.assert_allclose(detector.group_p_values(X, np.int64(4)), expected, rtol=1e-15)
    np.testing.assert_allclose(detector.calibration_group_scores(4), means, rtol=1e-15)


def test_calibration_groups_of_one_row_are_the_calibration_rows(frozen_column_model):
    detector = frozen(HierarchicalLLR(k=2), frozen_column_model).fit(numbered(40))
    scores = detector.calibration_group_scores(1)
    np.testing.assert_array_equal(np.sort(scores), detector.calibration_scores_)
    with pytest.raises(ValueError, match="group_size must be a positive integer; got 0"):
        detector.calibration_group_scores(0)


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


# ---------------------------------------------------------------------------------------- behaviour


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


def test_the_rate_on_fresh_images_is_in_its_interval(detector, trained_hvae):
    n, n_fresh, fpr = 199, 300, 0.05
    detector = frozen(detector, trained_hvae, fpr=fpr).fit(easy_images(n, random_state=2))
    n = len(detector.calibration_scores_)
    rank = int(fpr * (n + 1))
    flagged = (detector.predict(easy_images(n_fresh, random_state=3)) == -1).sum()
    low, high = stats.betabinom(n_fresh, rank, n + 1 - rank).ppf([0.0005, 0.9995])
    assert low <= flagged <= high


def test_inverted_images_are_flagged(detector, trained_hvae):
    detector = frozen(detector, trained_hvae).fit(easy_images(200, random_state=2))
    inverted = 255 - easy_images(100, random_state=3)
    assert np.mean(detector.predict(inverted) == -1) > 0.9
