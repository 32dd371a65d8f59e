"""Ratios of rows that are less likely than all normal ones."""

import numpy as np

from skood.scores.likelihood_floor import with_likelihood_floor

NORMAL = {"largest_ratio": 3.0, "smallest_log_likelihood": -20.0}


def test_rows_as_likely_as_normal_ones_keep_their_ratio():
    ratios = [-5.0, 0.0, 50.0]
    np.testing.assert_array_equal(
        with_likelihood_floor(ratios, [-20.0, 7.0, 0.0], **NORMAL), ratios
    )


def test_less_likely_rows_lie_beyond_the_largest_normal_ratio_by_the_nats_they_lack():
    found = with_likelihood_floor([-1e9, 0.0, 50.0], [-21.0, -30.0, -30.0], **NORMAL)
    np.testing.assert_array_equal(found, [4.0, 13.0, 50.0])
