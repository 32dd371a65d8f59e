"""Norms of scores at several noise levels: what is flagged, by which distance, and what is not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import InvalidParameterError

from skood import HVAE, Gaussian, ScoreNorm
from skood.calibration import CalibrationWarning
from skood.testing import easy_images, small

RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(5, 5))


def table(n, seed=1):
    return np.random.default_rng(seed).normal(size=(n, 5)) @ MIXING


def textures(n, seed):
    """Smooth random textures, as real numbers."""
    white = np.random.default_rng(seed).normal(size=(n, 12, 12))
    return gaussian_filter(white, (0, 1, 1)) * 150 + 128


def as_bytes(x):
    return np.clip(x, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def images():
    """Normal images to fit on, others, and those blurred and with noise."""
    others = textures(400, seed=1)
    noise = np.random.default_rng(2).normal(0, 10, others.shape)
    blurred = gaussian_filter(others, (0, 0.7, 0.7))
    return [as_bytes(x) for x in (textures(3000, seed=0), others, blurred, others + noise)]


def log_norms(detector, X):
    norms = detector.model_.score_norms(X, detector.noise_levels)
    return np.log(norms)


def test_images_blurred_and_images_with_noise_are_both_flagged(images):
    normal, others, blurred, noisy = images
    detector = ScoreNorm(random_state=0).fit(normal)
    assert (detector.predict(others) == -1).mean() < 0.1
    assert (detector.predict(blurred) == -1).mean() > 0.9
    assert (detector.predict(noisy) == -1).mean() > 0.9


def test_at_a_low_level_they_lie_on_opposite_sides_of_normal_ones(images):
    detector = ScoreNorm(random_state=0).fit(images[0])
    normal, blurred, noisy = (log_norms(detector, X)[:, 0] for X in images[1:])
    assert np.median(blurred) < np.quantile(normal, 0.02)
    assert np.median(noisy) > np.quantile(normal, 0.98)


def test_the_score_is_the_mahalanobis_distance_of_the_log_norms():
    model = Gaussian().fit(table(500))
    X = table(400, seed=2)
    detector = ScoreNorm(FrozenEstimator(model), random_state=0).fit(X)
    apart = log_norms(detector, X) - detector.mean_
    expected = np.einsum("ni,ij,nj->n", apart, detector.precision_, apart)
    np.testing.assert_allclose(detector.ood_score(X), expected, rtol=1e-5)


def test_with_few_rows_the_covariance_of_the_norms_is_shrunk():
    few = ScoreNorm(random_state=0).fit(table(500))
    many = ScoreNorm(random_state=0).fit(table(700))
    assert few.shrinkage_ > 1e-3 and many.shrinkage_ == 1e-10
    # So the direction in which norms hardly vary counts for less.
    assert np.linalg.eigvalsh(few.precision_)[-1] < 0.1 * np.linalg.eigvalsh(many.precision_)[-1]


def test_the_false_positive_rate_on_fresh_rows_lies_in_its_interval():
    detector = ScoreNorm(random_state=0, fpr=0.1).fit(table(10_000))
    flagged = (detector.predict(table(10_000, seed=2)) == -1).mean()
    # 1000 rows set the threshold: a standard deviation of 0.01.
    assert 0.07 < flagged < 0.13


def test_a_row_at_the_mean_has_a_finite_score():
    X = np.concatenate([table(300), -table(300)])
    model = Gaussian().fit(X)
    detector = ScoreNorm(FrozenEstimator(model), random_state=0).fit(table(500, seed=2))
    mean = model.inverse_transform(np.zeros((1, 5)))
    assert np.isfinite(detector.ood_score(mean)).all()


def test_with_one_feature_all_levels_count_as_one():
    X = RNG.normal(size=(900, 1))
    detector = ScoreNorm(random_state=0).fit(X)
    log_norm, scores = log_norms(detector, X)[:, 0], detector.ood_score(X)
    squares = (log_norm - detector.mean_[0]) ** 2
    variance = squares.sum() / scores.sum()
    np.testing.assert_allclose(scores, squares / variance, rtol=1e-3, atol=1e-6)
    assert 0.7 < variance / log_norm.var() < 1.4  # that of 90 other rows


@pytest.mark.parametrize("levels", [(), (0.1, 0.0), (-1.0,), (np.inf,), (np.nan,), ("0.1",)])
def test_wrong_noise_levels_are_named_before_the_training(levels, monkeypatch):
    monkeypatch.setattr(Gaussian, "fit", None)
    with pytest.raises(ValueError, match=r"noise_levels must be positive numbers.* got ") as error:
        ScoreNorm(noise_levels=levels).fit(table(100))
    assert repr(levels) in str(error.value)


def test_noise_levels_of_another_type_are_named():
    with pytest.raises(InvalidParameterError, match="The 'noise_levels' parameter of ScoreNorm"):
        ScoreNorm(noise_levels=0.1).fit(table(100))


def test_an_array_of_noise_levels_is_as_good_as_a_tuple():
    X = table(900)
    scores = ScoreNorm(noise_levels=(0.1, 1.0), random_state=0).fit(X).ood_score(X)
    of_array = ScoreNorm(noise_levels=np.array([0.1, 1.0]), random_state=0).fit(X)
    np.testing.assert_array_equal(of_array.ood_score(X), scores)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_model_without_scores_is_refused_by_what_it_lacks(frozen, trainings):
    model = small(HVAE)
    message = "ScoreNorm asks its model for score_norms, which HVAE lacks.* such as Gaussian"
    with pytest.raises(ValueError, match=message):
        ScoreNorm(FrozenEstimator(model) if frozen else model).fit(easy_images(60))
    assert trainings == []


def test_the_fewest_rows_are_enough_to_fit():
    with pytest.raises(ValueError, match="needs at least 5 rows"):
        ScoreNorm().fit(table(4))
    with pytest.warns(CalibrationWarning):
        detector = ScoreNorm().fit(table(5))
    assert np.isfinite(detector.ood_score(table(5))).all()
