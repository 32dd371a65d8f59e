"""Bets are densities."""

import numpy as np
from scipy.integrate import trapezoid

from skood.martingales import log_bets

POWERS = 5


def test_bets_have_the_expectation_one():
    t = np.linspace(-400, 0, 100_000)  # in log p the powers are smooth
    whole = trapezoid(np.exp(log_bets(np.exp(t)) + t[:, None]), t, axis=0)
    low, others = whole[:POWERS], whole[2 * POWERS :]
    np.testing.assert_allclose(np.concatenate([low, others]), 1, atol=1e-4)


def test_bets_on_high_p_values_mirror_those_on_low_ones():
    p = np.arange(1, 1024) / 1024
    low, high = np.split(log_bets(p)[:, : 2 * POWERS], 2, axis=1)
    np.testing.assert_allclose(high, low[::-1], rtol=1e-12)


def test_there_are_22_bets_and_none_is_infinite():
    bets = log_bets([0.0, 1e-300, 0.5, 1.0])
    assert bets.shape == (4, 22)
    assert np.isfinite(bets).all()
