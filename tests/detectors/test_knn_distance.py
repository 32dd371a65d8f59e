"""The distance to the nearest neighbours, beside one computed by hand."""

import multiprocessing
import warnings

import numpy as np
import pytest
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from skood import KNNDistance

pytestmark = pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
UNITS = np.array([1.0, 1e-3, 1e6])


def table(n, seed, n_columns=3):
    return np.random.default_rng(seed).normal(size=(n, n_columns)) * np.resize(UNITS, n_columns)


@pytest.fixture
def training_rows(monkeypatch):
    """A list that gets the rows of each fit that are not kept for calibration."""
    seen, learn = [], KNNDistance._learn

    def spy(self, rows, *args):
        seen.append(np.asarray(rows))
        return learn(self, rows, *args)

    monkeypatch.setattr(KNNDistance, "_learn", spy)
    return seen


def mean_distance(X, training, n_neighbors):
    distances = np.sqrt(np.square(X[:, None] - training).sum(axis=2))
    return np.sort(distances, axis=1)[:, :n_neighbors].mean(axis=1)


@pytest.mark.parametrize("n_neighbors", [1, 5])
def test_the_score_is_the_mean_distance_in_standard_deviations(n_neighbors, training_rows):
    detector = KNNDistance(n_neighbors=n_neighbors, random_state=0).fit(table(100, seed=0))
    (training,), fresh = training_rows, table(20, seed=1)
    scale = training.std(axis=0)
    expected = mean_distance(fresh / scale, training / scale, n_neighbors)
    np.testing.assert_allclose(detector.ood_score(fresh), expected, rtol=1e-9)


def test_more_neighbors_than_rows_are_all_rows(training_rows):
    detector = KNNDistance(n_neighbors=50, random_state=0).fit(table(10, seed=0))
    (training,), fresh = training_rows, table(5, seed=1)
    scale = training.std(axis=0)
    expected = mean_distance(fresh / scale, training / scale, 50)
    np.testing.assert_allclose(detector.ood_score(fresh), expected, rtol=1e-9)


def test_a_change_of_the_units_of_a_column_changes_nothing():
    X, fresh = table(200, seed=0), table(50, seed=1)
    factors = np.array([1024.0, 1.0, 1.0])
    expected = KNNDistance(random_state=0).fit(X).ood_score(fresh)
    scores = KNNDistance(random_state=0).fit(X * factors).ood_score(fresh * factors)
    np.testing.assert_allclose(scores, expected, rtol=1e-9)


def test_long_rows_are_projected_on_64_principal_axes(training_rows):
    rng = np.random.default_rng(0)
    X, fresh = rng.normal(size=(300, 80)), rng.normal(size=(20, 80))
    detector = KNNDistance(random_state=0).fit(X)
    (training,) = training_rows
    loc, scale = training.mean(axis=0), training.std(axis=0)
    pca = PCA(64, svd_solver="full").fit((training - loc) / scale)
    Z, of_training = (pca.transform((rows - loc) / scale) for rows in (fresh, training))
    np.testing.assert_allclose(detector.ood_score(fresh), mean_distance(Z, of_training, 5))


@pytest.mark.parametrize("X", [np.ones((50, 80)), np.random.default_rng(0).normal(size=(2, 80))])
def test_long_rows_that_are_all_equal_have_principal_axes_too(X):
    detector = KNNDistance(random_state=0).fit(X)  # a warning of NumPy would be an error
    assert np.isfinite(detector.score_samples(X)).all()


def test_the_middle_of_a_ring_is_flagged():
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, size=(2, 500))
    ring, fresh = (np.c_[np.cos(angle), np.sin(angle)] for angle in angles)
    detector = KNNDistance(random_state=0).fit(ring)
    assert (detector.predict([[0, 0], [0.1, -0.1]]) == -1).all()
    assert (detector.predict(fresh) == -1).mean() < 0.12


def score_into(connection, detector, X):
    connection.send(detector.score_samples(X))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
def test_a_forked_process_scores_after_its_parent_has_used_threads():
    X = np.random.default_rng(0).normal(size=(2000, 30))
    with threadpool_limits(2, user_api="openmp"):
        detector = KNNDistance(random_state=0).fit(X)
        expected = detector.score_samples(X)
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=score_into, args=(theirs, detector, X))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks, which are tested
            child.start()
        try:
            assert ours.poll(60), "the forked process hangs, or died"
            np.testing.assert_array_equal(ours.recv(), expected)
        finally:
            child.kill()
            child.join()
