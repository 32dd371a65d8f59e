"""Small fitted estimators."""

import warnings

import numpy as np
import pytest

import skood
from skood.testing import small


@pytest.fixture(scope="session")
def table():
    return np.random.default_rng(0).normal(size=(80, 4))


@pytest.fixture(scope="session")
def fit(table):
    """Fits an estimator on few rows, whatever it warns of."""

    def fitted(estimator, X=table):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return estimator.set_params(random_state=0).fit(X)

    return fitted


@pytest.fixture(scope="session")
def flow_detector(fit):
    """A detector over a network that is loaded in milliseconds."""
    return fit(skood.GradientNorm(small(skood.MAF)))
