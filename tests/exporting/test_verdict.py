"""p-values and decisions inside a graph are those of `skood.calibration`, whatever the scores."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from skood.calibration import p_values, threshold
from skood.exporting._verdict import Verdict


class FirstColumn(nn.Module):
    """A row's OOD score is its first value."""

    def forward(self, x):
        return x[:, 0]


def verdict(calibration_scores, fpr=0.1):
    offset = threshold(calibration_scores, fpr, warn=False)
    detector = SimpleNamespace(calibration_scores_=calibration_scores, offset_=offset)
    return Verdict(FirstColumn(), detector)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 9, 100])
def test_p_values_are_those_of_the_calibration_scores(n):
    rng = np.random.default_rng(n)
    calibration_scores = np.sort(rng.integers(0, 20, size=n) / 4)  # with ties
    scores = np.concatenate([calibration_scores, rng.normal(2, 3, size=50), [-1e300, 1e300]])
    got, p_value, is_normal = verdict(calibration_scores)(torch.from_numpy(-scores[:, None]))
    np.testing.assert_array_equal(got, scores)
    np.testing.assert_array_equal(p_value, p_values(scores, calibration_scores))
    offset = threshold(calibration_scores, 0.1, warn=False)
    np.testing.assert_array_equal(is_normal, np.where(scores >= offset, 1, -1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_with_a_number_that_is_not_finite_is_abnormal(bad):
    score, p_value, is_normal = verdict(np.arange(99.0))(torch.tensor([[-50.0, bad]]).double())
    assert score.isnan()
    assert p_value == 1 / 100
    assert is_normal == -1
