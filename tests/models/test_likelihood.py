"""Which likelihood a model has, and the scale of what it rebuilds and draws."""

import numpy as np
import pytest

from skood import HVAE, MAF, Trainer
from skood.nn.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gaussian,
)
from skood.testing import easy_images, small

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 5))
GREY = RNG.integers(0, 256, (12, 9, 11), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 9, 11, 3), dtype=np.uint8)
# A network that has seen a dozen rows for one epoch may well not use a layer.
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")

KINDS = {"bernoulli": Bernoulli, "gaussian": Gaussian, "discretized_logistic": DiscretizedLogistic}
KINDS["discretized_logistic_mixture"] = DiscretizedLogisticMixture


def hvae(likelihood="auto"):
    options = {"width": 4, "max_epochs": 1, "trainer": Trainer(patience=None), "random_state": 0}
    return HVAE((3, 2, 2), likelihood=likelihood, **options)


@pytest.mark.parametrize(
    "X, likelihood",
    [
        (GREY, Bernoulli),
        (COLOUR, DiscretizedLogisticMixture),
        (GREY / 255, Bernoulli),
        (COLOUR / 255, DiscretizedLogisticMixture),
        (GREY / 100 - 1, Gaussian),
        (COLOUR / 100 - 1, Gaussian),
        (TABLE, Gaussian),
        (TABLE > 0, Gaussian),
    ],
    ids=["grey", "colour", "grey 0-1", "colour 0-1", "grey real", "colour real", "table", "bool"],
)
def test_the_likelihood_follows_from_the_data(X, likelihood):
    assert type(hvae().fit(X).network_.likelihood) is likelihood


@pytest.mark.parametrize(
    "X, likelihood",
    [
        (GREY, DiscretizedLogisticMixture),
        (COLOUR / 255, DiscretizedLogisticMixture),
        (GREY / 100 - 1, Gaussian),
        (TABLE, Gaussian),
        (TABLE > 0, Gaussian),
    ],
)
def test_levels_are_those_of_pixels_and_anything_else_is_gaussian(X, likelihood):
    assert type(hvae("levels").fit(X).network_.likelihood) is likelihood


@pytest.mark.parametrize(
    "X, likelihood",
    [
        pytest.param(X, likelihood, id=f"{name}-{likelihood}")
        for name, X in {"grey": GREY, "grey 0-1": GREY / 255, "colour": COLOUR}.items()
        for likelihood in KINDS
    ]
    + [pytest.param(TABLE > 0, name, id=f"bool-{name}") for name in list(KINDS)[:3]],
)
def test_any_likelihood_can_be_asked_for_and_draws_on_the_scale_of_the_data(X, likelihood):
    model = hvae(likelihood).fit(X)
    assert type(model.network_.likelihood) is KINDS[likelihood]
    sample, mean = model.sample(5, random_state=0), model.reconstruct(X)
    assert np.isfinite(model.score_samples(X)).all()
    if likelihood != "gaussian":
        highest = 255 if X.dtype == np.uint8 else 1
        assert min(sample.min(), mean.min()) >= 0
        assert highest / 2 < max(sample.max(), mean.max()) <= highest + 1e-4


@pytest.mark.parametrize(
    "X, likelihood, message",
    [
        (TABLE, "bernoulli", "likelihood='bernoulli' needs uint8 values.*gaussian"),
        (GREY / 100, "discretized_logistic", r"from 0 to 2\.\d+\. Rescale X"),
        (TABLE > 0, "discretized_logistic_mixture", "is for images.*Use 'discretized_logistic'"),
        (GREY, "poisson", "The 'likelihood' parameter of HVAE"),
    ],
)
def test_a_likelihood_that_does_not_fit_is_refused_with_a_remedy(X, likelihood, message):
    with pytest.raises(ValueError, match=message):
        hvae(likelihood).fit(X)


@pytest.mark.parametrize("model", [HVAE, MAF])
def test_a_single_huge_value_in_a_column_warns(model):
    X = np.random.default_rng(0).normal(size=(500, 3))
    X[7, 2] = 9999
    with pytest.warns(UserWarning, match="Column 2 of X holds values such as 9999, .* look all"):
        small(model).fit(X)


@pytest.mark.parametrize(
    "column",
    [
        np.arange(500) == 3,
        np.linspace(-1, 1, 500) ** 3,
        np.random.default_rng(1).lognormal(size=500),
        np.random.default_rng(1).lognormal(sigma=2.5, size=500),
        np.zeros(500),
    ],
    ids=["rare", "dense in the middle", "long tail", "very long tail", "constant"],
)
def test_ordinary_columns_do_not_warn(column, recwarn):
    X = np.random.default_rng(0).normal(size=(500, 3))
    X[:, 1] = column
    small(MAF).fit(X)
    assert not [w for w in recwarn if "look all alike" in str(w.message)]


def test_bytes_that_are_but_0_and_1_are_black_and_white_where_that_is_said():
    masks = (easy_images(60) > 100).astype(np.uint8)
    model = small(HVAE, random_state=0, data_kind="unit")
    scores = model.fit(masks).score_samples(masks)
    floats = masks.astype(float)
    np.testing.assert_array_equal(scores, model.fit(floats).score_samples(floats))
    model.fit(masks)
    assert len(np.unique(scores)) > 1
    with pytest.raises(ValueError, match=r"pixels in \[0, 1\]"):
        model.score_samples(masks * 255)
