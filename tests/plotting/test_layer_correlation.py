"""How alike two models represent the same data."""

import numpy as np
import pytest

from skood import HVAE
from skood.plotting import LayerCorrelationDisplay

RNG = np.random.default_rng(0)
NOISE = [RNG.normal(size=(300, 40)), RNG.normal(size=(300, 3, 4, 4))]
OTHER_NOISE = [RNG.normal(size=(300, 5)), RNG.normal(size=(300, 500))]


def compare(given_model, a, b):
    models = given_model(latents=a), given_model(latents=b)
    display = LayerCorrelationDisplay.from_estimators(*models, {"rows": np.zeros((len(a[0]), 1))})
    return display.correlations["rows"]


def test_a_model_agrees_with_itself(model, images):
    display = LayerCorrelationDisplay.from_estimators(model, model, {"bars": images})
    np.testing.assert_allclose(display.correlations["bars"], 1)


def test_independent_noise_does_not_correlate_however_many_units_there_are(given_model):
    np.testing.assert_allclose(compare(given_model, NOISE, OTHER_NOISE), 0, atol=0.03)


def test_order_rotation_scale_and_shift_of_the_units_do_not_matter(given_model):
    z = NOISE[0]
    rotation = np.linalg.qr(RNG.normal(size=(40, 40)))[0]
    changed = [z[:, ::-1], 3 * z @ rotation + 7]
    np.testing.assert_allclose(compare(given_model, [z, z], changed), 1)


def test_between_single_units_it_is_about_the_square_of_their_correlation(given_model):
    x, noise = RNG.normal(size=(2, 100_000, 1))
    y = 0.6 * x + 0.8 * noise
    assert compare(given_model, [x], [-y])[0] == pytest.approx(0.36, abs=0.01)


def test_it_equals_the_estimate_written_with_kernel_matrices(given_model):
    a, b = NOISE[0], NOISE[0][:, :7] + RNG.normal(size=(300, 7))

    def criterion(a, b):
        n, K, L = len(a), a @ a.T, b @ b.T
        K, L = K - np.diag(K.diagonal()), L - np.diag(L.diagonal())
        middle = K.sum() * L.sum() / ((n - 1) * (n - 2))
        return np.trace(K @ L) + middle - 2 / (n - 2) * (K @ L).sum()

    expected = criterion(a, b) / np.sqrt(criterion(a, a) * criterion(b, b))
    np.testing.assert_allclose(compare(given_model, [a], [b]), [expected])


def test_constant_units_add_nothing(given_model):
    z = NOISE[0]
    with_constants = np.hstack([z, np.full((300, 4), 1e3) + 1e-5 * RNG.random((300, 4))])
    np.testing.assert_allclose(compare(given_model, [with_constants], [z]), 1)


@pytest.mark.parametrize("constant", [np.zeros((300, 3)), np.full((300, 3), 0.1)])
def test_a_constant_layer_correlates_with_nothing(constant, given_model):
    np.testing.assert_array_equal(
        compare(given_model, [constant, NOISE[0]], [constant, constant]), 0
    )


def test_the_bars_are_the_correlations_of_each_data_set(model, images, fit_small):
    other = fit_small(HVAE, images[:60])
    X = {"bars": images, "inverted": 255 - images}
    display = LayerCorrelationDisplay.from_estimators(model, other, X)
    for bars, (name, values) in zip(
        display.ax_.containers, display.correlations.items(), strict=True
    ):
        assert bars.get_label() == name
        assert [bar.get_height() for bar in bars] == list(values)


def test_models_of_different_depth_are_refused(given_model):
    with pytest.raises(ValueError, match="model_a has 2 latent layers and model_b 1"):
        compare(given_model, NOISE, NOISE[:1])


def test_a_single_array_is_refused(model, images):
    with pytest.raises(ValueError, match=r"X must be a dict such as .* got a ndarray"):
        LayerCorrelationDisplay.from_estimators(model, model, images)


def test_too_few_rows_are_refused(model, images):
    with pytest.raises(ValueError, match=r"X\['bars'\] has 3 rows; give at least 4"):
        LayerCorrelationDisplay.from_estimators(model, model, {"bars": images[:3]})
