"""The checks for authors find what they are there to find."""

import numpy as np
import pytest

from skood import Likelihood
from skood.testing import easy_images, image_checks, image_layouts, small

pytestmark = [  # two epochs on 60 rows
    pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning"),
    pytest.mark.filterwarnings("ignore::skood.CollapseWarning"),
]
CHECKS = {check.__name__: check for check in image_checks}


class ComparesWithTheBatch(Likelihood):
    def _statistic(self, X):
        statistic = super()._statistic(X)
        return statistic - statistic.mean()


class LooksAtThePosition(Likelihood):
    def _statistic(self, X):
        return super()._statistic(X) + np.arange(len(X))


class ForgetsItsSeed(Likelihood):
    def fit(self, X, y=None):
        super().fit(X, y)
        self.shift_ = np.random.default_rng().normal()
        return self

    def _combine(self, statistics):
        return super()._combine(statistics) + getattr(self, "shift_", 0)


class IgnoresItsSeed(Likelihood):
    def fit(self, X, y=None):
        seed, self.random_state = self.random_state, 3
        super().fit(X, y)
        self.random_state = seed
        return self


class KeepsScores(Likelihood):
    def _combine(self, statistics):
        self.last_ = statistics
        return super()._combine(statistics)


class KeepsItsTrainingInPrivate(Likelihood):
    def fit(self, X, y=None):
        self._X = X
        return super().fit(X, y)


class ChangesItsParameter(Likelihood):
    def fit(self, X, y=None):
        self.fpr = float(np.float32(self.fpr))
        return super().fit(X, y)


class DrawsFromTheGlobalGenerator(Likelihood):
    def fit(self, X, y=None):
        np.random.rand()  # noqa: NPY002
        return super().fit(X, y)


class ScoresWithoutAFit(Likelihood):
    def p_values(self, X):
        return np.ones(len(X))


class FlipsTheSignTwice(Likelihood):
    def decision_function(self, X):
        return -super().decision_function(X)


class IsNotSavedWhole(Likelihood):
    def _to_save(self):
        attributes = super()._to_save()
        attributes["calibration_scores_"] = attributes["calibration_scores_"][1:]
        return attributes


@pytest.mark.parametrize(
    "broken, check",
    [
        (ComparesWithTheBatch, "check_one_row_alone_scores_the_same"),
        (ComparesWithTheBatch, "check_rows_in_any_batch_score_the_same"),
        (LooksAtThePosition, "check_rows_in_any_order_score_the_same"),
        (ForgetsItsSeed, "check_fit_is_the_same_for_the_same_random_state"),
        (IgnoresItsSeed, "check_fit_is_the_same_for_the_same_random_state"),
        (KeepsScores, "check_scoring_leaves_the_estimator_as_it_was"),
        (KeepsItsTrainingInPrivate, "check_fit_adds_only_names_that_end_in_underscore"),
        (ChangesItsParameter, "check_fit_adds_only_names_that_end_in_underscore"),
        (DrawsFromTheGlobalGenerator, "check_global_state_is_left_alone"),
        (IsNotSavedWhole, "check_saved_file_keeps_scores"),
        (ScoresWithoutAFit, "check_unfitted_estimator_says_so"),
        (ScoresWithoutAFit, "check_other_image_shape_is_refused"),
        (ScoresWithoutAFit, "check_other_scale_is_refused"),
        (FlipsTheSignTwice, "check_scores_are_one_float64_for_each_row"),
    ],
)
def test_a_broken_detector_fails_the_check(broken, check):
    with pytest.raises(AssertionError):
        CHECKS[check](small(broken), easy_images(60))


def test_the_layouts_hold_the_same_images():
    layouts = image_layouts(3)
    last, first = (
        layouts["colour bytes, channels last"],
        layouts["colour in [0, 1], channels first"],
    )
    np.testing.assert_array_equal(last[..., 0], layouts["grey bytes"])
    np.testing.assert_allclose(np.moveaxis(first, 1, -1) * 255, last)
