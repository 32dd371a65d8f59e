"""What is Glow's own: the way from data to base variables and back, and its two architectures."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import NotFittedError

from skood import Trainer
from skood.models._glow import Glow
from skood.testing import easy_images, image_layouts

LAYOUTS = image_layouts(80)
GREY = LAYOUTS["grey bytes"]
LOC, SCALE = np.array([0.0, 1000.0, -3.0]), np.array([1.0, 20.0, 0.01])
TABLE = np.random.default_rng(0).normal(LOC, SCALE, size=(120, 3))
DATA = {**LAYOUTS, "table": TABLE}


def glow(network="auto", **options):
    defaults = {"n_steps": 2, "width": 8, "max_epochs": 2, "random_state": 0}
    return Glow(network, trainer=Trainer(patience=None), **(defaults | options))


@pytest.fixture(scope="module")
def fitted():
    """``fitted(data, network)``: a small model of that data, the same one for all tests."""
    models = {}

    def fit(data, network="auto"):
        if (data, network) not in models:
            models[data, network] = glow(network).fit(DATA[data])
        return models[data, network]

    return fit


@pytest.mark.parametrize("network", ["conv", "flat"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_come_back_from_their_base_variables_exactly(layout, network, fitted):
    model, X = fitted(layout, network), DATA[layout]
    Z = model.transform(X)
    assert Z.shape == (80, X[0].size) and Z.dtype == np.float64
    np.testing.assert_allclose(model.inverse_transform(Z), X, rtol=1e-6)


def test_tables_come_back_from_their_base_variables(fitted):
    model = fitted("table")
    returned = model.inverse_transform(model.transform(TABLE))
    np.testing.assert_allclose((returned - LOC) / SCALE, (TABLE - LOC) / SCALE, atol=1e-4)


def test_base_variables_of_samples_of_a_table_are_logistic(fitted):
    model = fitted("table")
    Z = model.transform(model.sample(1000, random_state=0))
    for column in Z.T:
        assert stats.kstest(column, stats.logistic.cdf).pvalue > 0.001


def test_base_variables_of_samples_of_images_are_about_normal(fitted):
    model = fitted("colour bytes, channels last", "conv")
    Z = model.transform(model.sample(300, random_state=0))
    assert abs(Z.mean()) < 0.1 and abs(Z.std() - 1) < 0.1


@pytest.mark.parametrize("n_columns", [1, 63, 65])
def test_another_number_of_columns_is_refused_on_the_way_back(n_columns, fitted):
    with pytest.raises(ValueError, match=f"Z has {n_columns} columns.*Glow have 64 values"):
        fitted("grey bytes").inverse_transform(np.zeros((2, n_columns)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_base_variables_that_are_not_finite_are_refused(value, fitted):
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        fitted("table").inverse_transform(np.full((2, 3), value))


def test_the_way_back_needs_a_fit():
    with pytest.raises(NotFittedError):
        Glow().inverse_transform(np.zeros((2, 3)))


def test_base_variables_have_names(fitted):
    assert fitted("table").get_feature_names_out().tolist() == ["glow0", "glow1", "glow2"]


@pytest.mark.parametrize(
    "data, base",
    [
        ("colour bytes, channels last", "normal"),
        ("colour in [0, 1], channels first", "normal"),
        ("grey bytes", "logistic"),
        ("table", "logistic"),
    ],
)
def test_colour_images_take_the_multi_scale_flow_and_all_else_the_flat_one(data, base, fitted):
    assert fitted(data).network_.base == base


SIDES = pytest.mark.parametrize("shape", [(6, 8, 3), (8, 6, 3), (7, 7), (9, 12, 3)])


@SIDES
def test_images_that_cannot_be_squeezed_take_the_flat_form(shape):
    X = np.random.default_rng(0).integers(0, 256, (20, *shape), dtype=np.uint8)
    model = glow(max_epochs=1).fit(X)
    assert model.network_.base == "logistic"
    assert np.isfinite(model.score_samples(X)).all()
    assert model.sample(3).shape == (3, *shape)


@SIDES
def test_the_multi_scale_flow_refuses_images_that_cannot_be_squeezed(shape):
    X = np.full((20, *shape), 7, dtype=np.uint8)
    with pytest.raises(ValueError, match=r"squeezes images 2 times by 2.*multiples of 4.*n_levels"):
        glow("conv").fit(X)


def test_the_multi_scale_flow_refuses_a_table():
    with pytest.raises(ValueError, match=r"(?i)network='conv'.*(image|table)"):
        glow("conv").fit(TABLE)


@pytest.mark.parametrize("options", [{"n_levels": 1}, {"n_levels": 3}, {"patch": 4, "n_levels": 1}])
def test_levels_and_patches_can_be_chosen(options):
    model = glow("conv", max_epochs=1, **options).fit(GREY)
    assert len(model.network_.bijection.levels) == options["n_levels"]
    np.testing.assert_array_equal(model.inverse_transform(model.transform(GREY)), GREY)


def test_a_table_of_one_column_needs_no_coupling():
    model = glow(max_epochs=1).fit(TABLE[:, :1])
    assert np.isfinite(model.score_samples(TABLE[:, :1])).all()


@pytest.mark.parametrize("n_columns", [1, 2, 3])
def test_the_density_of_a_table_is_in_the_units_of_its_columns(n_columns):
    """In units a thousand times as small the density is a thousand times as small."""
    X = TABLE[:, :n_columns]
    before, after = (glow().fit(X * c).score_samples(X * c) for c in (1, 1000))
    np.testing.assert_allclose(before - after, n_columns * math.log(1000), atol=0.02)


@pytest.mark.parametrize("data", DATA)
def test_bits_per_dim_are_the_log_likelihood_in_other_units(data, fitted):
    model, X = fitted(data), DATA[data]
    expected = -model.score_samples(X) / (X[0].size * math.log(2))
    np.testing.assert_allclose(model.bits_per_dim(X), expected)


@pytest.mark.parametrize("network", ["conv", "flat"])
def test_the_log_likelihood_of_fresh_images_rises_in_training(network):
    X, fresh = easy_images(400), easy_images(100, random_state=1)
    options = {"batch_size": 32, "learning_rate": 3e-3}
    before, after = (glow(network, max_epochs=n, **options).fit(X).score(fresh) for n in (1, 10))
    assert after > before + 20


def test_the_history_shows_the_log_likelihood_rise():
    history = glow(max_epochs=10).fit(GREY).history_
    assert np.mean(history["bound"][-3:]) > np.mean(history["bound"][:3])


def test_images_unlike_the_training_images_are_less_likely():
    model = glow(max_epochs=15, learning_rate=3e-3).fit(easy_images(400))
    fresh = easy_images(100, random_state=1)
    turned = fresh.transpose(0, 2, 1)
    assert np.median(model.score_samples(turned)) < np.quantile(model.score_samples(fresh), 0.05)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_samples_of_images_are_pixels_on_the_scale_of_the_data(layout, fitted):
    X = DATA[layout]
    white = 1 if X.dtype == float else 255
    samples = fitted(layout).sample(50, random_state=0)
    levels = samples * (255 / white)
    assert samples.shape == (50, *X.shape[1:]) and samples.dtype == np.float64
    assert samples.min() >= 0 and samples.max() <= white and len(np.unique(samples)) > 20
    np.testing.assert_allclose(levels, levels.round(), atol=1e-4)


def test_samples_of_a_table_are_on_the_scale_of_the_data():
    samples = glow(max_epochs=20).fit(TABLE).sample(1000, random_state=0)
    np.testing.assert_allclose((np.median(samples, axis=0) - LOC) / SCALE, 0, atol=0.5)
    spread = stats.iqr(samples, axis=0) / stats.iqr(TABLE, axis=0)
    assert (spread > 0.5).all() and (spread < 2).all()


def test_samples_follow_from_the_random_state(fitted):
    model = fitted("table")
    first, again, other = (model.sample(4, random_state=seed) for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).all()


@pytest.mark.parametrize("data", ["grey bytes", "table"])
def test_the_number_of_importance_samples_makes_no_difference(data, fitted):
    model, X = fitted(data), DATA[data]
    one, many = (model.score_samples(X, n_importance_samples=n) for n in (1, 7))
    np.testing.assert_array_equal(one, many)


def test_the_only_bound_of_a_flow_is_its_log_likelihood(fitted):
    model = fitted("grey bytes")
    bounds, nll = model.bounds(GREY)
    np.testing.assert_array_equal(bounds, [model.score_samples(GREY)])
    np.testing.assert_array_equal(nll, -bounds)


def test_latent_layers_cannot_come_from_a_prior(fitted):
    with pytest.raises(ValueError, match="Glow, which has no latent layers"):
        fitted("grey bytes").bounds(GREY, prior_layers=[(1,)])


def test_couplings_learn_a_parabola_which_no_linear_flow_can():
    rng = np.random.default_rng(0)
    a = rng.normal(size=800)
    X = np.stack([a, a**2 + 0.1 * rng.normal(size=800)], axis=1)
    model = glow(n_steps=4, width=32, max_epochs=60, learning_rate=3e-3).fit(X[:600])
    gaussian = stats.multivariate_normal(X[:600].mean(0), np.cov(X[:600].T)).logpdf(X[600:])
    assert model.score(X[600:]) > gaussian.mean() + 0.7


@pytest.mark.parametrize(
    "layout, network, rate",
    [
        ("grey bytes", "auto", 5e-4),
        ("grey bytes", "conv", 2e-3),
        ("colour bytes, channels last", "auto", 2e-3),
        ("colour bytes, channels last", "flat", 5e-4),
    ],
)
def test_the_learning_rate_is_that_of_the_network(layout, network, rate):
    X = image_layouts(30)[layout]
    auto, same, other = (
        Glow(network, n_steps=1, width=4, max_epochs=1, learning_rate=r, random_state=0).fit(X)
        for r in ("auto", rate, 1e-3)
    )
    np.testing.assert_array_equal(auto.score_samples(X), same.score_samples(X))
    assert (other.score_samples(X) != same.score_samples(X)).any()


def test_rows_sorted_by_class_do_not_all_start_from_one_class():
    """The first batch normalises: it is drawn from all rows."""
    X = np.repeat([[-3.0, 1.0], [5.0, 1.5]], 300, axis=0)
    X += np.random.default_rng(0).normal(size=X.shape)
    model = Glow(n_steps=1, learning_rate=1e-9, max_epochs=1, batch_size=100, random_state=0)
    z = model.fit(X).transform(X)
    np.testing.assert_allclose(z.mean(0), 0, atol=0.5)
