"""A detector that knows no model: `CalibratedDetector` needs scores only."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skood.calibration import false_positive_rate_interval
from skood.detectors._calibrated import CalibratedDetector
from skood.testing import easy_images, image_checks

pytestmark = pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
# Units of rows are known by models only.
CHECKS = [c for c in image_checks if c.__name__ != "check_other_scale_is_refused"]


class DistanceFromTheMean(CalibratedDetector):
    """The Euclidean distance from the mean of one half of the rows; the other calibrates."""

    def __init__(self, *, fpr=0.05, calibration_fraction=0.5, random_state=None):
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    def _learn(self, rows, seed, shared=None):
        self.mean_ = np.asarray(rows, dtype=float).mean(axis=0)

    def _statistic(self, rows):
        squares = np.square(np.asarray(rows, dtype=float) - self.mean_)
        return np.sqrt(np.array([row.sum() for row in squares]))


@parametrize_with_checks([DistanceFromTheMean()])
def test_the_checks_of_scikit_learn_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_checks_for_images_pass(check):
    check(DistanceFromTheMean(), easy_images(60))


def test_it_keeps_the_promised_rate_and_flags_what_is_far():
    rng = np.random.default_rng(0)
    detector = DistanceFromTheMean(fpr=0.1, random_state=0).fit(rng.normal(size=(1000, 3)))
    low, high = false_positive_rate_interval(500, 0.1, confidence=0.999)
    assert low <= (detector.predict(rng.normal(size=(20_000, 3))) == -1).mean() <= high
    assert (detector.predict(rng.normal(size=(100, 3)) + 9) == -1).all()


def test_groups_need_no_model_either():
    rng = np.random.default_rng(0)
    detector = DistanceFromTheMean(random_state=0).fit(rng.normal(size=(1000, 3)))
    X = rng.normal(size=(20, 3))
    means = detector.ood_score(X).reshape(4, 5).mean(axis=1)
    np.testing.assert_allclose(detector.group_ood_score(X, 5), means, rtol=1e-12)
    assert (detector.group_p_values(X + 3, 5) == 1 / 101).all()
