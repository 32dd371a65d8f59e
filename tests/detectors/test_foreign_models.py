"""Models that are not skood's: those that keep the protocol work, others are refused in time."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skood import HVAE, GradientNorm, HierarchicalLLR, Likelihood, Typicality
from skood.testing import small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
TABLE = np.random.default_rng(0).normal(50, 9, size=(150, 3))
FRAME = pd.DataFrame(TABLE, columns=["a", "b", "c"])


class Untrainable(BaseEstimator):
    """Has what every detector needs, and nothing more."""

    def fit(self, X, y=None):
        raise AssertionError("is trained although it will not do")

    def score_samples(self, X):
        return np.zeros(len(X))

    def score(self, X, y=None):
        return 0.0


class LayersWithoutBounds(Untrainable):
    def count_layers(self, X):
        return 3


class MapsNothing(Untrainable):
    def scoring_noise(self, *other):
        raise NotImplementedError

    def first_rows(self, X, n):
        raise NotImplementedError


@pytest.mark.parametrize("detector", [Likelihood, Typicality])
@pytest.mark.parametrize("X", [TABLE, FRAME], ids=["array", "data frame"])
def test_a_mixture_of_gaussians_works(detector, X):
    fitted = detector(GaussianMixture(2), random_state=0).fit(X)
    assert fitted.model_.random_state == 0 and fitted.score(X) == fitted.model_.score(X)
    log_px = fitted.model_.score_samples(X)
    if detector is Likelihood:
        np.testing.assert_array_equal(fitted.score_samples(X), log_px)
    far = X[:5] + 200
    assert (fitted.predict(far) == -1).all()


def test_a_mixture_of_gaussians_gets_a_table_of_bytes_as_floats():
    X = np.random.default_rng(0).integers(0, 256, size=(150, 3)).astype(np.uint8)
    fitted = Likelihood(GaussianMixture(2), random_state=0).fit(X)
    log_px = fitted.model_.score_samples(X.astype(float))  # of uint8 it would be another one
    np.testing.assert_array_equal(fitted.score_samples(X), log_px)


@pytest.mark.parametrize("of_model", [TABLE, FRAME], ids=["model: array", "model: frame"])
def test_a_frozen_mixture_is_asked_with_the_names_that_it_knows(of_model):
    model = GaussianMixture(2, random_state=0).fit(of_model)
    detector = Likelihood(FrozenEstimator(model), random_state=0).fit(FRAME)
    # A warning about names would be an error here.
    np.testing.assert_array_equal(detector.score_samples(FRAME), model.score_samples(of_model))


def test_with_memory_a_mixture_is_fitted_once(tmp_path, monkeypatch):
    fits, fit = [], GaussianMixture.fit
    monkeypatch.setattr(GaussianMixture, "fit", lambda self, X: fits.append(X) or fit(self, X))
    for fpr in (0.1, 0.2):
        Likelihood(GaussianMixture(2), fpr=fpr, memory=str(tmp_path), random_state=0).fit(TABLE)
    assert len(fits) == 1


@pytest.mark.parametrize("model", [GaussianMixture(2), small(HVAE)], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("X", [TABLE, FRAME], ids=["array", "data frame"])
def test_a_frozen_pipeline_works(model, X):
    pipeline = make_pipeline(StandardScaler(), model).fit(X)
    detector = Likelihood(FrozenEstimator(pipeline), random_state=0).fit(X)
    np.testing.assert_array_equal(detector.score_samples(X), pipeline.score_samples(X))


def test_a_pipeline_is_trained():
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    detector = Likelihood(pipeline, random_state=0).fit(FRAME)
    assert np.isfinite(detector.score_samples(FRAME)).all()


@pytest.mark.parametrize(
    "detector, model, missing",
    [
        (HierarchicalLLR, LayersWithoutBounds(), "bounds, which LayersWithoutBounds lacks"),
        (HierarchicalLLR, GaussianMixture(), "GaussianMixture has 0. Use Likelihood"),
        (GradientNorm, MapsNothing(), "map_network, which MapsNothing lacks"),
        (GradientNorm, Untrainable(), "first_rows, map_network, scoring_noise, which Untrainable"),
        (Likelihood, StandardScaler(), "score, score_samples, which StandardScaler lacks"),
    ],
)
def test_a_model_that_lacks_something_is_refused_before_the_training(detector, model, missing):
    for given in (model, FrozenEstimator(model)):
        with pytest.raises(ValueError, match=missing):
            detector(given, random_state=0).fit(TABLE)


@pytest.mark.parametrize("detector", [HierarchicalLLR, GradientNorm])
def test_a_pipeline_that_hides_the_layers_is_sent_to_the_outside(detector):
    pipeline = make_pipeline(StandardScaler(), small(HVAE))
    with pytest.raises(ValueError, match=r"which Pipeline lacks.* at the end of the Pipeline"):
        detector(pipeline, random_state=0).fit(TABLE)


def test_an_unfitted_frozen_pipeline_says_so():
    pipeline = make_pipeline(StandardScaler(), GaussianMixture())
    with pytest.raises(ValueError, match="not fitted yet"):
        Likelihood(FrozenEstimator(pipeline)).fit(TABLE)
