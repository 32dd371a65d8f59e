"""A model that needs no training, whose every number can be computed by hand."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

import skood.training.loop
from skood import ELBO, HVAE, HierarchicalLLR, Likelihood, Typicality
from skood.testing import easy_images, small


class ColumnModel(BaseEstimator):
    """Finds its bounds in the columns of X: log p(x) = X[:, 0], L>k = X[:, 0] - k X[:, 1].

    A layer from the prior costs X[:, 1], and the top one of the three ten times as much.
    """

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        self.trained_on_ = X[:, 0].copy()
        self.n_layers_ = self.count_layers(X)
        return self

    def count_layers(self, X):
        return 3

    def bounds(self, X, *, n_importance_samples=1, below="mean", prior_layers=None):
        prior_layers = [(), (1,), (1, 2)] if prior_layers is None else prior_layers
        costs = [[sum(10.0 if layer == 3 else 1.0 for layer in layers)] for layers in prior_layers]
        return X[:, 0] - costs * X[:, 1], np.add(costs, 1.0) ** 2 + X[:, 1] ** 2

    def score_samples(self, X, *, n_importance_samples=1):
        return X[:, 0]

    def score(self, X, y=None):
        return float(X[:, 0].mean())


def _name(detector):
    return type(detector).__name__ + str(getattr(detector, "k", ""))


@pytest.fixture(
    params=[
        Likelihood(),
        Typicality(),
        *(HierarchicalLLR(k=k, n_importance_samples=2) for k in (1, "ada", "opt", "max")),
    ],
    ids=_name,
)
def detector(request):
    """One of each kind, not fitted."""
    return clone(request.param)


@pytest.fixture
def column_model():
    return ColumnModel()


@pytest.fixture
def frozen_column_model():
    return ColumnModel().fit(np.zeros((1, 2)))


@pytest.fixture
def rows_given_to(monkeypatch):
    """``rows_given_to(kind, name)`` is a list that gets X[:, 0] of each call of the method."""

    def record(kind, name):
        seen, method = [], getattr(kind, name)

        def spy(self, X, **options):
            seen.append(np.asarray(X)[:, 0])
            return method(self, X, **options)

        monkeypatch.setattr(kind, name, spy)
        return seen

    return record


@pytest.fixture
def trainings(monkeypatch):
    """A list that gets the rows of each training of a network."""
    done, train = [], skood.training.loop.train

    def spy(network, objective, rows, spec, **options):
        done.append(rows)
        return train(network, objective, rows, spec, **options)

    monkeypatch.setattr(skood.training.loop, "train", spy)
    return done


@pytest.fixture(scope="session")
def images():
    return easy_images(120)


@pytest.fixture(scope="session")
def fitted_hvae(images):
    return small(HVAE, random_state=0).fit(images)


@pytest.fixture(scope="session")
def trained_hvae():
    """A model that knows the bars of `easy_images`."""
    options = {"width": 16, "max_epochs": 40, "learning_rate": 3e-3, "batch_size": 64}
    options["latent_dims"] = (8, 16, 8)
    # Chosen because it flags inverted bars: it shows that the parts work together, no quality.
    options["objective"] = ELBO(free_bits=(2.0, 8.0, 8.0))
    return small(HVAE, random_state=0, **options).fit(easy_images(1000, random_state=1))
