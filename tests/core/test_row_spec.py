"""What values mean is decided once, from the training rows, and new rows are held against it."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator

from skood.core.row_spec import RowSpec
from skood.core.rows import check_rows

CPU = torch.device("cpu")
LAYOUTS = {
    "table": ((5,), (5,)),
    "grey": ((6, 4), (1, 6, 4)),
    "channels last": ((6, 4, 3), (3, 6, 4)),
    "channels first": ((3, 6, 5), (3, 6, 5)),
    "one channel last": ((6, 4, 1), (1, 6, 4)),
    "one channel first": ((1, 6, 5), (1, 6, 5)),
    "alpha": ((6, 5, 4), (4, 6, 5)),
}
RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (20, 5, 6)).astype(np.uint8)
UNIT = RNG.random((20, 5, 6))
UNIT[0, 0, :2] = 0, 1
BLACK_AND_WHITE = UNIT > 0.5
COUNTS = RNG.gamma(4, 800, (20, 5, 6))  # of photons in a real image, all below 65535
FLOATS = [np.float32, np.float64]


def rows_of(X):
    return check_rows(BaseEstimator(), X, reset=True)


def spec_of(X, kind="auto"):
    return RowSpec.of(rows_of(X), kind)


def check(spec, X):
    spec.check("Model", rows_of(X))


# ------------------------------------------------------------------------------------- tensors


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_rows_come_back_as_they_went(layout, dtype):
    row_shape, inside = LAYOUTS[layout]
    X = np.random.default_rng(0).integers(0, 255, (7, *row_shape)).astype(dtype)
    spec = spec_of(X, "real" if dtype == np.float32 else "auto")
    x = spec.to_tensor(X, CPU)
    assert spec.shape == row_shape and spec.tensor_shape == inside
    assert x.shape == (7, *inside) and x.dtype == torch.float32
    np.testing.assert_array_equal(spec.to_array(x), X.astype(np.float64))


def test_channels_last_and_first_are_the_same_tensor():
    X = np.random.default_rng(0).random((2, 6, 5, 3), dtype=np.float32)
    first = np.moveaxis(X, 3, 1)
    assert torch.equal(spec_of(X).to_tensor(X, CPU), spec_of(first).to_tensor(first, CPU))


def test_a_read_only_array_is_taken_without_a_warning_and_not_shared():
    X = np.ones((3, 4), dtype=np.float32)
    X.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = spec_of(X).to_tensor(X, CPU)
    x += 1
    assert (X == 1).all()


def test_real_numbers_of_float64_keep_their_digits_until_they_are_standardised():
    X = 1.7e9 + np.arange(8.0).reshape(4, 2)  # seconds, of which float32 cannot tell two
    np.testing.assert_array_equal(spec_of(X).to_tensor(X, CPU).numpy(), X)


# ---------------------------------------------------------------------- the kind, decided in fit


@pytest.mark.parametrize(
    "X, kind",
    [
        (np.full((2, 3, 3), 2, np.uint8), "bytes"),
        (np.full((2, 3, 3), 7), "bytes"),
        (np.ones((2, 3, 3), bool), "unit"),
        (np.ones((2, 3, 3), int), "unit"),
        (np.zeros((2, 3, 3)), "unit"),
        (np.full((2, 3, 3), 1.01), "real"),
        (np.full((2, 3, 3), -0.01), "real"),
        (np.full((2, 3, 3), 0.003), "real"),  # darker than any of 256 levels: other units
        (np.zeros((2, 3)), "real"),
        (np.zeros((2, 3), np.uint8), "real"),
    ],
)
def test_the_kind_of_data_follows_from_type_and_range_and_tables_are_real(X, kind):
    assert spec_of(X).kind == kind


def of_zeros_and_ones():
    with pytest.warns(UserWarning, match=r"uint8 and no pixel is above 1.*astype\(bool\)"):
        return spec_of(BLACK_AND_WHITE.astype(np.uint8))


def test_uint8_is_bytes_even_if_all_pixels_are_0_or_1_which_warns():
    assert of_zeros_and_ones().kind == "bytes"


@pytest.mark.parametrize("value", [2, 255])
def test_bytes_that_were_all_0_or_1_in_training_may_be_brighter_later(value):
    spec, frame = of_zeros_and_ones(), np.full((1, 5, 6), value, np.uint8)
    check(spec, frame)
    assert (spec.to_tensor(frame, CPU) == value).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_whole_numbers_in_floats_are_real_and_warn_that_they_look_like_bytes(dtype):
    with pytest.warns(UserWarning, match=r"whole numbers from 0 to 255.*astype\('uint8'\)"):
        assert spec_of(BYTES.astype(dtype)).kind == "real"


@pytest.mark.parametrize(
    "X, kind",
    [
        (BYTES.astype(np.float32), "bytes"),
        (BYTES.astype(np.float64) + 1e-9, "bytes"),
        (BYTES.astype(np.float64), "real"),
        (BLACK_AND_WHITE.astype(np.uint8), "unit"),
        (BLACK_AND_WHITE.astype(np.uint8), "bytes"),
        (UNIT, "real"),
    ],
)
def test_the_kind_can_be_said_where_it_could_be_two_and_then_nothing_warns(X, kind):
    spec = spec_of(X, kind)
    assert spec.kind == kind
    check(spec, X)


@pytest.mark.parametrize(
    "X, kind, reason",
    [
        (BYTES, "unit", r"from 0 to 1; X is uint8 with values from 0 to 255"),
        (COUNTS, "unit", r"from 0 to 1; X is float64"),
        (-UNIT, "unit", r"from 0 to 1; X is float64 with values from -1 to -?0"),
        (UNIT, "bytes", r"whole numbers from 0 to 255; X is float64 with values from 0 to 1"),
        (BYTES + 1.0, "bytes", r"whole numbers from 0 to 255; .* from 1 to 256"),
        (BYTES - 1.0, "bytes", r"whole numbers from 0 to 255; .* from -1 to 254"),
    ],
)
def test_a_kind_that_is_said_and_cannot_be_is_refused(X, kind, reason):
    with pytest.raises(ValueError, match=rf"data_kind='{kind}' needs values .*{reason}"):
        spec_of(X, kind)


# ------------------------------------------------------------------- pixels, held against the kind


@pytest.mark.parametrize("X", [UNIT, UNIT.astype(np.float32), BLACK_AND_WHITE.astype(float)])
def test_pixels_in_0_to_1_are_refused_where_bytes_were_fitted(X):
    with pytest.raises(ValueError, match=r"float\d\d with values from 0 to 1\. Give uint8"):
        check(spec_of(BYTES), X)


def test_black_and_white_is_refused_where_bytes_were_fitted():
    with pytest.raises(ValueError, match=r"X is bool with values from 0 to 1\. Give uint8"):
        check(spec_of(BYTES), BLACK_AND_WHITE)


def test_black_and_white_is_refused_also_where_the_bytes_were_all_0_or_1():
    with pytest.raises(ValueError, match="X is bool"):
        check(of_zeros_and_ones(), BLACK_AND_WHITE)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_bytes_are_refused_where_pixels_in_0_to_1_were_fitted(dtype):
    X = np.arange(0, 252, 14).reshape(2, 3, 3).astype(dtype)
    with pytest.raises(ValueError, match=r"values from 0 to 238\. .* X / 255"):
        check(spec_of(np.linspace(0, 1, 18).reshape(2, 3, 3)), X)


def test_dark_bytes_are_refused_where_pixels_in_0_to_1_were_fitted():
    with pytest.raises(ValueError, match=r"X is uint8 with values from 0 to 1\."):
        check(spec_of(UNIT), BLACK_AND_WHITE.astype(np.uint8))


@pytest.mark.parametrize("value", [-1.0, 256.0])
def test_whole_numbers_beyond_bytes_are_refused_where_bytes_were_fitted(value):
    with pytest.raises(ValueError, match="Give uint8"):
        check(spec_of(BYTES), np.full((2, 5, 6), value))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_bytes_pass_in_any_type_as_the_same_tensor(dtype):
    spec, X = spec_of(BYTES), BYTES.astype(dtype)
    check(spec, X)
    assert torch.equal(spec.to_tensor(rows_of(X).array, CPU), spec.to_tensor(BYTES, CPU))


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32, np.float64])
def test_black_and_white_passes_in_any_type_but_uint8_as_the_same_tensor(dtype):
    spec, X = spec_of(BLACK_AND_WHITE), BLACK_AND_WHITE.astype(dtype)
    check(spec, X)
    assert torch.equal(
        spec.to_tensor(rows_of(X).array, CPU), torch.from_numpy(BLACK_AND_WHITE)[:, None].float()
    )


# Resampling in each of these types leaves values beside 0 and 1.
ROUNDED = {
    "float64": (np.float64, 3e-16),
    "float32": (np.float32, 2e-7),
    "half": (np.float32, 5e-4),
}


def rounded(X, how):
    dtype, error = ROUNDED[how]
    return (X + error * (2 * X - X.max()) / X.max()).astype(dtype)


@pytest.mark.parametrize("how", ROUNDED)
def test_values_off_by_rounding_at_0_and_1_are_pixels_from_0_to_1(how):
    X = rounded(UNIT, how)
    assert X.min() < 0 and X.max() > 1
    spec = spec_of(X)
    assert spec.kind == "unit"
    assert torch.equal(spec.to_tensor(X, CPU), spec.to_tensor(X.clip(0, 1), CPU))


@pytest.mark.parametrize("how", ROUNDED)
def test_values_off_by_rounding_are_taken_where_exact_pixels_were_fitted(how):
    spec, X = spec_of(UNIT), rounded(BLACK_AND_WHITE, how)
    check(spec, X)
    assert torch.equal(spec.to_tensor(X, CPU), spec.to_tensor(BLACK_AND_WHITE * 1.0, CPU))


@pytest.mark.parametrize("error", [-1e-4, 1e-9, 1e-4])
def test_whole_numbers_off_by_rounding_are_the_bytes_that_they_were(error):
    spec, X = spec_of(BYTES), BYTES + error
    check(spec, X)
    assert torch.equal(spec.to_tensor(X, CPU), spec.to_tensor(BYTES, CPU))


@pytest.mark.parametrize("error", [-0.02, 0.02])
def test_more_than_rounding_is_not_tolerated(error):
    with pytest.raises(ValueError, match=r"pixels in \[0, 1\]"):
        check(spec_of(UNIT), UNIT + error)


# ----------------------------------------------------------------- the scale of real-valued images

WITH_CHANNELS = COUNTS.reshape(20, 5, 2, 3)


@pytest.mark.parametrize("divisor", [255, 65535, 1 / 255, 1 / 65535])
@pytest.mark.parametrize("X", [COUNTS, WITH_CHANNELS], ids=["grey", "colour"])
@pytest.mark.parametrize("n", [1, 20])
def test_real_images_in_units_of_255_or_65535_are_refused_with_both_scales(X, divisor, n):
    given = X[:n] / divisor
    with pytest.raises(ValueError, match=r"the same images in other units\. Scale X as") as error:
        check(spec_of(X), given)
    assert f"{given.max():.4g}" in str(error.value) and f"{X.max():.4g}" in str(error.value)


@pytest.mark.parametrize("factor", [1e-3, 1e3, 1e20])
@pytest.mark.parametrize("X", [COUNTS, COUNTS[:, 0]], ids=["images", "table"])
def test_a_batch_of_real_numbers_on_another_scale_warns_and_names_both(X, factor):
    with pytest.warns(UserWarning, match="If the units differ, all scores are wrong") as caught:
        check(spec_of(X), factor * X)
    message = str(caught[0].message)
    assert f"{factor * X.max():.4g}" in message and f"{X.max():.4g}" in message


@pytest.mark.parametrize("factor", [0.1, -1, 10])
@pytest.mark.parametrize("X", [COUNTS, COUNTS[:, 0]], ids=["images", "table"])
def test_a_batch_that_only_varies_more_or_less_is_a_matter_of_the_score(X, factor):
    check(spec_of(X), factor * X)


def test_a_few_rows_of_a_table_far_out_are_a_matter_of_the_score():
    X = COUNTS[:, 0]
    check(spec_of(X), 1e9 * X[:9])


def test_one_channel_in_other_units_is_a_matter_of_the_score():
    X = WITH_CHANNELS.copy()
    X[..., 0] *= 1000
    check(spec_of(WITH_CHANNELS), X)


@pytest.mark.parametrize("value", [0.0, 1.0, 255.0, 1e9, -0.1])
@pytest.mark.parametrize("n", [1, 30])
def test_a_constant_batch_as_of_a_dead_camera_is_neither_refused_nor_warned_of(value, n):
    check(spec_of(COUNTS), np.full((n, 5, 6), value))
    check(spec_of(WITH_CHANNELS), np.full((n, 5, 2, 3), value))
    check(spec_of(COUNTS[:, 0]), np.full((n, 6), value))


def test_a_constant_batch_of_pixels_is_neither_refused_nor_warned_of():
    for value in (0.0, 0.5, 1.0):
        check(spec_of(UNIT), np.full((3, 5, 6), value))
    for value in (0, 1, 255):
        check(spec_of(BYTES), np.full((3, 5, 6), value, np.uint8))
    check(spec_of(BYTES), np.zeros((3, 5, 6)))


@pytest.mark.parametrize("X", [np.full((20, 5, 6), 1000.0), np.full((20, 4), 1000.0)])
def test_nothing_is_on_another_scale_than_constant_training_rows(X):
    check(spec_of(X), X + RNG.normal(size=X.shape))


# ------------------------------------------------------------------------------------------ units


@pytest.mark.parametrize("axis", [1, 3])
def test_channels_of_different_units_have_a_mean_and_a_scale_each(axis):
    units = np.array([1e-6, 1.0, 1e8])
    noise = np.random.default_rng(1).normal(size=(500, 6, 5, 3))
    spec = spec_of(np.moveaxis(units * (3 + noise), 3, axis))
    np.testing.assert_allclose(spec.loc / units, 3, atol=0.05)
    np.testing.assert_allclose(spec.scale / units, 1, atol=0.05)
    assert all(v.shape == (3, 1, 1) for v in spec.standardisation())


def test_pixels_of_all_channels_have_one_unit():
    X = UNIT.reshape(20, 5, 2, 3)
    spec = spec_of(X)
    np.testing.assert_allclose([spec.loc, spec.scale], [[X.mean()], [X.std()]])
    assert all(v.shape == (1, 1, 1) for v in spec.standardisation())


def test_columns_have_the_usual_mean_and_standard_deviation():
    X = np.random.default_rng(0).normal([0, 5, -1e6], [1, 1e-3, 10], (200_000, 3))
    spec = spec_of(X)
    np.testing.assert_allclose(spec.loc, X.mean(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(spec.scale, X.std(0), rtol=1e-9)
    np.testing.assert_array_equal([spec.low, spec.high], [X.min(0), X.max(0)])


@pytest.mark.parametrize("unit", [1e-300, 1e-35, 1e30, 1e140])
def test_units_are_as_large_or_small_as_they_like(unit):
    X = COUNTS[:, 0]
    spec, expected = spec_of(unit * X), spec_of(X)
    np.testing.assert_allclose(spec.loc, unit * expected.loc, rtol=1e-12)
    np.testing.assert_allclose(spec.scale, unit * expected.scale, rtol=1e-12)


@pytest.mark.parametrize(
    "value, scale", [(0.0, 1.0), (0.1, 0.01), (-1e9 - 0.1, 1e8), (1e-40, 1e-41), (5, 0.5)]
)
@pytest.mark.parametrize("noise", [0, 1e-15])
def test_a_column_that_is_constant_but_for_rounding_has_a_tenth_of_its_size_as_scale(
    value, scale, noise
):
    X = np.full((1000, 2), value) * (1 + noise * RNG.uniform(-1, 1, (1000, 2)))
    np.testing.assert_allclose(spec_of(X).scale, scale, rtol=1e-6)


@pytest.mark.parametrize("loc, scale", [(0, 1e-30), (1e6, 1e-3), (1, 1e-9)])
def test_a_column_that_varies_a_little_is_not_constant(loc, scale):
    X = np.random.default_rng(0).normal(loc, scale, (1000, 1))
    np.testing.assert_allclose(spec_of(X).scale, scale, rtol=0.1)


def test_an_image_with_a_region_on_a_much_smaller_scale_warns():
    X = np.random.default_rng(0).normal(size=(50, 8, 8))
    X[:, :4] *= 1e5
    with pytest.warns(UserWarning, match=r"50% of the values of an image vary by less than"):
        spec_of(X)


@pytest.mark.parametrize("dtype, rounding", [(np.float32, 1e-7), (np.float64, 1e-15)])
def test_an_image_with_a_border_that_is_constant_but_for_rounding_does_not_warn(dtype, rounding):
    X = np.random.default_rng(0).normal(size=(50, 8, 8))
    X[:, :2] = -0.42 * (1 + rounding * X[:, :2])
    spec_of(X.astype(dtype))


def test_an_image_with_a_constant_border_or_channels_of_other_units_does_not_warn():
    X = np.random.default_rng(0).normal(size=(50, 8, 8, 3)) * [1, 1e5, 1e-5]
    X[:, :2] = 0
    spec_of(X)


def test_one_wrong_value_that_hides_all_others_of_its_column_warns_with_its_name():
    X = np.random.default_rng(0).normal(size=(500, 4))
    X[7, 2] = 9999
    with pytest.warns(UserWarning, match=r"Column 2 of X holds values such as 9999"):
        spec_of(X)


@pytest.mark.parametrize("value", [1e200, -1e200])
def test_values_whose_squares_are_infinite_are_refused_with_their_column(value):
    X = np.random.default_rng(0).normal(size=(50, 4))
    X[3, 1] = value
    with pytest.raises(ValueError, match=r"Column 1 of X holds values as large as 1e\+200"):
        spec_of(X)
    with pytest.raises(ValueError, match=r"Column 1 of X holds values as large as 1e\+200"):
        check(spec_of(X[10:]), X[:10])


def test_few_rows_make_narrow_perceptrons():
    widths = {n: spec_of(np.zeros((n, 2))).hidden_units(64) for n in (399, 400)}
    assert widths == {399: 32, 400: 64}
