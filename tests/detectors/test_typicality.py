"""The typicality test."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skood import Typicality

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


def detect(model, X):
    return Typicality(FrozenEstimator(model), random_state=0).fit(X)


def rows(*log_px):
    """Rows to which the column model gives these log-likelihoods."""
    return np.column_stack([log_px, np.zeros(len(log_px))])


@pytest.fixture
def detector(frozen_column_model):
    return detect(frozen_column_model, np.random.default_rng(0).normal(-50, 2, size=(200, 2)))


def test_the_score_is_the_distance_of_the_likelihood_from_the_entropy(detector):
    scores = detector.ood_score(rows(-50, -60, -40))
    np.testing.assert_allclose(scores, np.abs([50, 60, 40] - np.float64(detector.entropy_)))


def test_rows_that_are_too_likely_and_too_unlikely_are_flagged(detector):
    typical = -detector.entropy_
    labels = detector.predict(rows(typical - 15, typical, typical + 15))
    np.testing.assert_array_equal(labels, [-1, 1, -1])


def test_the_entropy_is_the_mean_over_the_reference_rows(frozen_column_model, rows_given_to):
    reference = rows_given_to(Typicality, "_fit_reference")
    detector = detect(frozen_column_model, rows(*range(100)))
    assert [len(x) for x in reference] == [25]
    assert detector.entropy_ == -reference[0].mean()


def test_reference_rows_and_calibration_rows_are_disjoint(frozen_column_model):
    detector = detect(frozen_column_model, rows(*range(100)))
    calibration = -detector.calibration_statistics_
    reference = set(range(100)) - set(calibration)
    assert len(calibration) == 75 and len(reference) == 25
    assert detector.entropy_ == -np.mean(list(reference))


def test_the_score_of_a_group_is_the_distance_of_its_mean(detector):
    log_px = np.random.default_rng(1).normal(-50, 5, size=12)
    means = [-log_px[i : i + 3].mean() for i in range(0, 12, 3)]
    expected = [abs(mean - detector.entropy_) for mean in means]
    np.testing.assert_allclose(detector.group_ood_score(rows(*log_px), 3), expected, rtol=1e-13)


def test_the_score_of_a_group_is_not_the_mean_of_the_scores(detector):
    either_side = rows(-detector.entropy_ - 5, -detector.entropy_ + 5)
    assert detector.group_ood_score(either_side, 2)[0] == pytest.approx(0, abs=1e-9)
    assert detector.ood_score(either_side).mean() == pytest.approx(5)


def test_p_values_of_groups_match_brute_force(detector):
    log_px = np.random.default_rng(1).normal(-51, 2, size=20)
    groups = detector.calibration_statistics_.reshape(-1, 5).mean(1)
    reference = np.abs(groups - detector.entropy_)
    scores = np.abs(-log_px.reshape(-1, 5).mean(1) - detector.entropy_)
    expected = [(1 + (reference >= score).sum()) / (len(reference) + 1) for score in scores]
    np.testing.assert_allclose(detector.group_p_values(rows(*log_px), 5), expected)


@pytest.mark.filterwarnings("ignore:.* calibration groups are too few")
def test_groups_tell_a_shift_that_rows_do_not(detector):
    shifted = rows(*np.random.default_rng(1).normal(-52, 2, size=150))
    assert np.median(detector.group_p_values(shifted, 15)) < 0.1
    assert np.median(detector.p_values(shifted)) > 0.2
