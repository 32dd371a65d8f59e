"""Whether the base variables of a flow look like noise."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator

from skood import HVAE, MAF, Gaussian, Glow, LatentGoodnessOfFit
from skood.scores.goodness_of_fit import (
    anderson_darling_exponential,
    anderson_darling_normal,
    normal_from_logistic,
    periodogram,
)
from skood.testing import image_layouts, small

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def gaussian():
    """Around a Gaussian in 64 dimensions, whose base variables are standard normal numbers."""
    model = Gaussian(random_state=0).fit(RNG.normal(size=(9_000, 64)))
    return LatentGoodnessOfFit(FrozenEstimator(model), random_state=0).fit(
        RNG.normal(size=(2_000, 64))
    )


def rows_with(gaussian, z):
    """Rows that have these base variables."""
    return gaussian.model_.inverse_transform(z)


def test_rows_whose_base_variables_are_too_large_too_small_or_shifted_are_flagged(gaussian):
    z = RNG.normal(size=(100, 64))
    for changed in (2 * z, 0.5 * z, z + 1, np.clip(z, -0.5, 0.5)):
        assert np.mean(gaussian.predict(rows_with(gaussian, changed)) == -1) > 0.9


def test_normal_base_variables_that_are_smooth_are_flagged(gaussian):
    z = RNG.normal(size=(100, 64))
    smooth = np.cumsum(z, axis=1)
    ranks = smooth.argsort(axis=1).argsort(axis=1)
    smooth = np.take_along_axis(np.sort(z, axis=1), ranks, axis=1)  # the same values as noise
    assert np.mean(gaussian.predict(rows_with(gaussian, smooth)) == -1) > 0.9
    assert np.mean(gaussian.predict(rows_with(gaussian, z)) == -1) < 0.12


def test_the_score_is_the_largest_log_survival_of_the_two_statistics(gaussian):
    X = RNG.normal(size=(50, 64)) * np.linspace(0.3, 3, 50)[:, None]
    z = gaussian.model_.transform(X)
    powers = periodogram(z)
    statistics = {
        "values": anderson_darling_normal(z),
        "spectrum": anderson_darling_exponential(powers / powers.mean(axis=1, keepdims=True)),
    }
    evidence = [-gaussian.log_survival_[name](values) for name, values in statistics.items()]
    np.testing.assert_allclose(gaussian.ood_score(X), np.max(evidence, axis=0), rtol=1e-12)


def test_of_few_columns_there_is_no_spectrum():
    detector = LatentGoodnessOfFit(Gaussian(), random_state=0)
    assert list(clone(detector).fit(RNG.normal(size=(300, 4))).log_survival_) == ["values"]
    names = list(clone(detector).fit(RNG.normal(size=(300, 5))).log_survival_)
    assert names == ["values", "spectrum"]


def powers_of(model, maps):
    """What the detector must find of each row: the statistic of the powers of all maps together."""
    powers = np.concatenate([periodogram(part) for part in maps], axis=1)
    return anderson_darling_exponential(powers / powers.mean(axis=1, keepdims=True))


@pytest.mark.parametrize("model", [Glow("flat"), Glow("conv"), MAF(), Gaussian()], ids=repr)
def test_base_variables_are_transformed_in_the_shape_in_which_they_lie(model):
    X = image_layouts(60)["colour bytes, channels last"]
    parameters = {"network": model.network} if isinstance(model, Glow) else {}
    model = small(type(model), random_state=0, **parameters).fit(X)
    z = model.transform(X)
    if isinstance(model, Gaussian):
        maps = [z]
    elif getattr(model, "network", "") == "conv":
        assert model.network_.base_shapes == [(6, 4, 4), (24, 2, 2)]
        maps = [z[:, :96].reshape(-1, 6, 4, 4), z[:, 96:].reshape(-1, 24, 2, 2)]
    else:
        z = normal_from_logistic(z) if model.network_.base == "logistic" else z
        maps = [z.reshape(-1, 3, 8, 8)]
    detector = LatentGoodnessOfFit(FrozenEstimator(model), random_state=0).fit(X)
    found = detector._statistics(detector._checked(X))
    np.testing.assert_allclose(found[0], anderson_darling_normal(z), rtol=1e-9)
    np.testing.assert_allclose(found[1], powers_of(model, maps), rtol=1e-9)


def test_logistic_base_variables_of_a_flow_that_fits_have_a_statistic_of_about_1():
    model = small(Glow, random_state=0).fit(RNG.normal(size=(200, 50)))
    X = model.sample(400, random_state=0)
    detector = LatentGoodnessOfFit(FrozenEstimator(model), random_state=0).fit(X)
    values, spectrum = detector._statistics(detector._checked(X))
    assert values.mean() == pytest.approx(1, abs=0.15)  # as under the law
    assert spectrum.mean() < 1  # and less where the mean is estimated


def test_rows_without_any_variation_have_a_finite_score(gaussian):
    constant = rows_with(gaussian, np.zeros((1, 64)))
    assert np.isfinite(gaussian.ood_score(constant)).all()
    assert gaussian.predict(constant) == [-1]


def test_the_farther_out_the_higher_the_score(gaussian):
    scores = gaussian.ood_score(RNG.normal(size=64) * np.array([[3], [30], [3e3]]))
    assert np.isfinite(scores).all() and (np.diff(scores) > 0).all()


@pytest.mark.parametrize("model", [HVAE(), PCA(2)], ids=["HVAE", "PCA"])
def test_a_model_that_is_no_flow_is_refused_before_training(model):
    with pytest.raises(ValueError, match=r"asks its model for .*, which .* lacks.* such as Glow"):
        LatentGoodnessOfFit(model).fit(RNG.normal(size=(50, 5)))
