"""Kinds and units of values from `fit` to the scores of models."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture

from skood import HVAE, MAF, Gaussian, Glow
from skood.core.data_kinds import kind_for
from skood.core.rows import check_rows
from skood.testing import small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
RNG = np.random.default_rng(0)
TABLE = RNG.normal([0, 5, -3], [1, 2, 0.1], (100, 3))
UNIT = RNG.random((40, 8, 8)).round(1)
MODELS = pytest.mark.parametrize("model_class", [HVAE, MAF])
IMAGE_MODELS = pytest.mark.parametrize("model_class", [HVAE, Glow])


def fitted(model_class, X, **options):
    return small(model_class, max_epochs=2, random_state=0, **options).fit(X)


@MODELS
@pytest.mark.parametrize("unit", [1e-35, 1e-5, 1e30])
def test_the_unit_of_a_column_changes_no_score_but_by_its_logarithm(model_class, unit):
    units = np.array([1, unit, 1])
    expected = fitted(model_class, TABLE).score_samples(TABLE)
    scores = fitted(model_class, TABLE * units).score_samples(TABLE * units)
    np.testing.assert_allclose(scores + np.log(unit), expected, atol=2e-3)


@IMAGE_MODELS
@pytest.mark.parametrize("dtype, error", [(np.float32, 2e-7), (np.float64, 3e-16)])
def test_rounding_at_0_and_1_changes_no_score(model_class, dtype, error):
    model, X = fitted(model_class, UNIT), UNIT.astype(dtype)
    beyond = X + dtype(error) * np.where(X == 0, -1, X == 1).astype(dtype)
    assert beyond.min() < 0 and beyond.max() > 1
    np.testing.assert_array_equal(model.score_samples(beyond), model.score_samples(X))


@IMAGE_MODELS
def test_frames_brighter_than_bytes_that_were_all_0_or_1_are_scored(model_class):
    X = (UNIT > 0.5).astype(np.uint8)
    with pytest.warns(UserWarning, match="no pixel is above 1"):
        model = fitted(model_class, X)
    assert model.data_kind_ == "bytes"
    assert np.isfinite(model.score_samples(2 * X[:3])).all()


@IMAGE_MODELS
def test_black_and_white_scores_alike_in_any_type_and_container(model_class):
    X = UNIT > 0.5
    model = fitted(model_class, X)
    expected = model.score_samples(X)
    for same in (X.astype(int), X.astype(np.float32), X.tolist(), torch.from_numpy(X).bfloat16()):
        np.testing.assert_array_equal(model.score_samples(same), expected)


@MODELS
def test_bfloat16_scores_like_the_numbers_it_holds(model_class):
    X = torch.from_numpy(TABLE).bfloat16()
    model = fitted(model_class, X)
    np.testing.assert_array_equal(model.score_samples(X), model.score_samples(X.float()))


@IMAGE_MODELS
def test_a_kind_that_is_said_and_wrong_leaves_the_model_unfitted(model_class):
    with pytest.raises(ValueError, match=r"data_kind='unit' needs values from 0 to 1"):
        model = small(model_class, data_kind="unit")
        model.fit(2 + UNIT)
    assert not model.__sklearn_is_fitted__()


@IMAGE_MODELS
def test_channels_far_smaller_than_others_still_count(model_class):
    X = RNG.normal(3, 1, (60, 8, 8, 3)) * [1e-6, 1, 1e6]
    model = small(model_class, max_epochs=4, random_state=0).fit(X)
    odd = X[:20].copy()
    odd[..., 0] += 8e-6
    assert model.score_samples(odd).max() < model.score_samples(X[:20]).min() - 100


def test_the_kind_of_the_values_is_the_one_that_the_model_knows():
    X = np.random.default_rng(0).random((60, 8, 8))
    images = check_rows(BaseEstimator(), X, reset=True)
    assert kind_for(Gaussian(), images) == kind_for(GaussianMixture(), images) == "unit"
    assert kind_for(Gaussian(data_kind="real"), images) == "real"
    assert kind_for(Gaussian().fit(9 * X), images) == "real"
