"""Estimators of scikit-learn with a threshold that keeps its promise."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skood import ConformalDetector
from skood.calibration import false_positive_rate_interval
from skood.testing import easy_images

ESTIMATORS = [
    IsolationForest(n_estimators=20),
    GaussianMixture(2),
    LocalOutlierFactor(novelty=True),
    OneClassSVM(),
    KernelDensity(),
    make_pipeline(StandardScaler(), OneClassSVM()),
]


def table(n, seed, n_columns=3):
    return np.random.default_rng(seed).normal(size=(n, n_columns))


class MeanOfImages(BaseEstimator):
    """Takes images as they are, and notes their shape and type."""

    def fit(self, X, y=None):
        self.fitted_on_ = X.shape[1:], X.dtype
        return self

    def score_samples(self, X):
        assert (X.shape[1:], X.dtype) == self.fitted_on_
        return X.mean(axis=(1, 2))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_scores_are_those_of_the_estimator_fitted_on_the_rows_that_do_not_calibrate(estimator):
    detector = ConformalDetector(estimator, random_state=0).fit(table(200, seed=0))
    fresh = table(50, seed=1)
    expected = detector.estimator_.score_samples(fresh)
    np.testing.assert_array_equal(detector.score_samples(fresh), expected)
    assert type(detector.estimator_) is type(estimator) and detector.estimator_ is not estimator
    assert len(detector.calibration_scores_) == 40


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_what_is_far_is_flagged(estimator):
    detector = ConformalDetector(estimator, random_state=0).fit(table(200, seed=0))
    assert (detector.predict(table(20, seed=1) + 9) == -1).all()


def test_the_rate_of_an_overfitted_mixture_holds_where_its_own_quantile_flags_far_more():
    mixture, fpr, n = GaussianMixture(10, random_state=0), 0.1, 600
    X, fresh = table(n, seed=0, n_columns=10), table(4000, seed=1, n_columns=10)
    of_training = mixture.fit(X).score_samples(X)
    assert (mixture.score_samples(fresh) < np.quantile(of_training, fpr)).mean() > 0.25
    detector = ConformalDetector(mixture, fpr=fpr, calibration_fraction=0.5, random_state=0).fit(X)
    low, high = false_positive_rate_interval(n // 2, fpr, confidence=0.999)
    assert low <= (detector.predict(fresh) == -1).mean() <= high


def test_a_frozen_estimator_is_not_fitted_and_all_rows_calibrate(monkeypatch):
    estimator = IsolationForest(random_state=0).fit(table(100, seed=0))
    monkeypatch.setattr(IsolationForest, "fit", lambda self, X, y=None: 1 / 0)
    detector = ConformalDetector(FrozenEstimator(estimator)).fit(table(100, seed=1))
    assert detector.estimator_ is estimator
    expected = np.sort(estimator.score_samples(table(100, seed=1)))
    np.testing.assert_array_equal(detector.calibration_scores_, expected)


def test_a_frozen_estimator_that_is_not_fitted_says_so():
    with pytest.raises(NotFittedError, match="IsolationForest instance is not fitted yet"):
        ConformalDetector(FrozenEstimator(IsolationForest())).fit(table(100, seed=0))


def test_a_frozen_estimator_of_arrays_takes_data_frames():
    estimator = IsolationForest(random_state=0).fit(table(100, seed=0))
    frame = pd.DataFrame(table(100, seed=1), columns=["a", "b", "c"])
    detector = ConformalDetector(FrozenEstimator(estimator)).fit(frame)
    # That X has feature names would be a warning, and so an error.
    assert np.isfinite(detector.score_samples(frame)).all()


@pytest.mark.parametrize(
    "estimator",
    [LocalOutlierFactor(), LinearRegression(), make_pipeline(StandardScaler(), LinearRegression())],
)
def test_an_estimator_without_score_samples_is_refused_with_a_remedy(estimator, monkeypatch):
    monkeypatch.setattr(type(estimator), "fit", lambda self, X, y=None: 1 / 0)
    with pytest.raises(ValueError, match=r"lacks\. Use .* LocalOutlierFactor\(novelty=True\)"):
        ConformalDetector(estimator).fit(table(100, seed=0))


def test_images_are_handed_on_as_vectors():
    images = easy_images(100)
    detector = ConformalDetector(IsolationForest(), random_state=0).fit(images)
    expected = detector.estimator_.score_samples(images.reshape(100, -1))
    np.testing.assert_array_equal(detector.score_samples(images), expected)


@pytest.mark.parametrize("X", [easy_images(100), easy_images(100)[:, 0]], ids=["images", "table"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_bytes_score_as_the_same_numbers_in_floats(estimator, X):
    detector = ConformalDetector(estimator, random_state=0).fit(X)
    expected = detector.estimator_.score_samples(X.reshape(100, -1).astype(float))
    np.testing.assert_array_equal(detector.score_samples(X), expected)


def test_without_flatten_images_are_handed_on_as_they_are():
    images = easy_images(100)
    detector = ConformalDetector(MeanOfImages(), flatten=False, random_state=0).fit(images)
    assert detector.estimator_.fitted_on_ == ((8, 8), np.uint8)
    np.testing.assert_array_equal(detector.score_samples(images), images.mean(axis=(1, 2)))


def test_images_on_another_scale_are_refused():
    images = easy_images(100)
    detector = ConformalDetector(random_state=0).fit(images)
    with pytest.raises(ValueError, match="8-bit"):
        detector.predict(images / 255)


@pytest.mark.parametrize(
    "estimator, name",
    [
        (IsolationForest(), "random_state"),
        (make_pipeline(StandardScaler(), IsolationForest()), "isolationforest__random_state"),
    ],
)
def test_random_state_reaches_an_estimator_that_has_none_of_its_own(estimator, name):
    X = table(100, seed=0)
    scores = [
        ConformalDetector(estimator, random_state=seed).fit(X).estimator_.score_samples(X)
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()
    own = ConformalDetector(estimator.set_params(**{name: 7}), random_state=3).fit(X)
    assert own.estimator_.get_params()[name] == 7
