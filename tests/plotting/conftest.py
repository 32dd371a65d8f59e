"""A model fitted for a moment, and stand-ins whose numbers are given."""

import warnings
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skood import HVAE, CollapseWarning
from skood.testing import easy_images, small

matplotlib.use("Agg")  # tests open no windows


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def images():
    return easy_images(120)


def _fit_small(estimator_class, X, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # two epochs
        return small(estimator_class, random_state=0, **parameters).fit(X)


@pytest.fixture(scope="session")
def fit_small():
    """``fit_small(estimator_class, X, **parameters)``: an estimator fitted for a moment."""
    return _fit_small


@pytest.fixture(scope="session")
def model(images):
    return _fit_small(HVAE, images)


@pytest.fixture(scope="session")
def table_model():
    return _fit_small(HVAE, np.random.default_rng(0).normal(size=(120, 4)))


class GivenModel(BaseEstimator):
    """Latent means and divergences that were given, whatever X is."""

    def __init__(self, latents=(), kl=()):
        self.latents = latents
        self.kl = kl

    def fit(self, X=None, y=None):
        n_layers = len(self.latents) or np.shape(self.kl)[-1]
        self.network_ = SimpleNamespace(latent_shapes=[(1,)] * n_layers)
        self.history_ = {"kl": [list(epoch) for epoch in self.kl]}
        return self

    def encode(self, X):
        return self.latents

    def reconstruct(self, X, *, k=0):
        raise NotImplementedError


class GivenDetector(BaseEstimator):
    """Finds scores in X: a row's OOD score in its first column, those of layers in the others."""

    def __init__(self, layer_names=("a", "b", "c"), unit="nats"):
        self.layer_names = layer_names
        self.unit = unit

    def fit(self, X=None, y=None):
        self.offset_ = -0.5
        self.layer_names_, self.layer_score_unit_ = list(self.layer_names), self.unit
        return self

    def ood_score(self, X):
        return np.asarray(X)[:, 0]

    def score_layers(self, X):
        return np.asarray(X)[:, 1:]


@pytest.fixture
def given_model():
    """``given_model(latents, kl)``: fitted."""
    return lambda *args, **options: GivenModel(*args, **options).fit()


@pytest.fixture
def given_detector():
    """``given_detector(layer_names, unit)``: fitted."""
    return lambda *args: GivenDetector(*args).fit()


@pytest.fixture
def unfitted_detector():
    return GivenDetector()
