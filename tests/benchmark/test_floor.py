"""The floor computes what it says, and flags what users' thresholds flag."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, mahalanobis
from sklearn.preprocessing import StandardScaler

from skood.benchmark._floor import NeighbourDistance, TrivialStatistics, floors
from skood.testing import easy_images

TABLE = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)


def test_the_trivial_statistics_of_an_image_computed_by_hand():
    X = np.array([[[0, 10, 30], [0, 0, 0]]], dtype=np.uint8)
    horizontal, vertical = (10 + 20) / 4, (10 + 30) / 3
    expected = [horizontal, vertical, 40 / 6, np.std([0, 10, 30, 0, 0, 0])]
    np.testing.assert_allclose(TrivialStatistics.statistics(X), [expected])


def test_the_statistics_of_a_colour_image_are_over_its_channels():
    X = easy_images(5)
    colour = np.stack([X, X, X], axis=-1)
    statistics = TrivialStatistics.statistics
    np.testing.assert_allclose(statistics(colour), statistics(X))


def test_trivial_statistics_score_by_the_mahalanobis_distance():
    X = easy_images(100)
    statistics = TrivialStatistics.statistics(X)
    precision = np.linalg.inv(np.cov(statistics.T))
    expected = [mahalanobis(row, statistics.mean(axis=0), precision) for row in statistics[:5]]
    np.testing.assert_allclose(TrivialStatistics().fit(X).ood_score(X[:5]), expected)


def test_neighbour_distance_is_the_mean_of_the_five_smallest():
    scaler = StandardScaler().fit(TABLE[:150])
    codes, row = scaler.transform(TABLE[:150]), scaler.transform(TABLE[150:151])
    expected = np.sort(np.linalg.norm(codes - row, axis=1))[:5].mean()
    found = NeighbourDistance(StandardScaler()).fit(TABLE[:150]).ood_score(TABLE[150:151])
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_no_training_row_is_its_own_neighbour():
    codes = StandardScaler().fit_transform(TABLE)
    distances = np.sort(cdist(codes, codes), axis=1)[:, 1:6].mean(axis=1)
    floor = NeighbourDistance(StandardScaler()).fit(TABLE)
    np.testing.assert_allclose(floor.offset_, np.quantile(-distances, 0.05), rtol=1e-5)


@pytest.mark.parametrize("name", ["IsolationForest", "GaussianMixture"])
def test_a_twentieth_of_the_training_rows_is_flagged(name):
    floor = floors(TABLE, 0)[name].fit(TABLE)
    assert np.mean(-floor.ood_score(TABLE) < floor.offset_) == 0.05


def test_local_outlier_factor_takes_its_own_scores_of_training_rows():
    floor = floors(TABLE, 0)["LocalOutlierFactor"].fit(TABLE)
    own = floor.estimator[-1].negative_outlier_factor_
    assert floor.offset_ == np.quantile(own, 0.05)


@pytest.mark.parametrize("X", [easy_images(100), TABLE], ids=["images", "table"])
def test_all_of_the_floor_finds_noise(X):
    far = np.random.default_rng(1).uniform(0, 255, X.shape).astype(X.dtype)
    for name, floor in floors(X, 0).items():
        floor.fit(X)
        assert np.all(-floor.ood_score(far) < floor.offset_), name


def test_groups_score_their_mean():
    floor = floors(TABLE, 0)["5 neighbours"].fit(TABLE)
    scores = floor.ood_score(TABLE[:10])
    expected = [scores[:5].mean(), scores[5:].mean()]
    np.testing.assert_allclose(floor.group_ood_score(TABLE[:10], 5), expected)


def test_trivial_statistics_are_for_images_and_densities_for_tables():
    assert "trivial statistics" not in floors(TABLE, 0)
    assert list(floors(easy_images(60), 0)) == [
        "trivial statistics",
        "IsolationForest",
        "5 neighbours, PCA",
    ]
