"""Values: each comes back as it was, and what is no plain value is refused by where it is."""

import json
from collections import OrderedDict

import numpy as np
import pytest
import torch

from skood.core.exceptions import LoadError
from skood.core.values import ValueDecoder, ValueEncoder


def round_trip(value):
    encoder = ValueEncoder()
    content = json.dumps(encoder.value(value, "it"), allow_nan=False)
    decoder = ValueDecoder(encoder.tensors)
    found = decoder.value(json.loads(content))
    decoder.check_nothing_is_left()
    return found


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 0, -1, 2**63 - 1, -(2**63), 0.1, 1e-320, -0.0, np.inf, -np.inf),
        *("", "ü\n\ud800", [], (), {}, [[1, (2.5, "x")], {"a": [None]}], {1: "a", "1": "b"}),
        *(torch.device("cuda", 1), {"array": "x"}, {"tuple": [1]}, [{"object": 0}]),
    ],
)
def test_plain_values_are_what_they_were(value):
    found = round_trip(value)
    assert found == value and repr(found) == repr(value) and type(found) is type(value)


def test_what_is_no_number_stays_none():
    assert np.isnan(round_trip(np.nan))


@pytest.mark.parametrize(
    "value", [np.float64(0.1), np.float32(0.1), np.int64(7), np.bool_(True), np.str_("a")]
)
def test_scalars_of_numpy_become_equal_ones_of_python(value):
    assert round_trip(value) == value
    assert type(round_trip(value)) in (float, int, bool, str)


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "u1", "u2", "u4", "u8", "?"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (0, 3), (2, 3, 4)])
def test_arrays_have_the_same_bytes_in_the_same_order(dtype, shape):
    for order in "CF":
        array = np.asarray(np.random.default_rng(0).integers(0, 2, shape), dtype, order=order)
        found = round_trip(array)
        np.testing.assert_array_equal(found, array, strict=True)
        assert found.strides == array.strides or array.size < 2
        assert found.flags.writeable


def test_numbers_of_the_other_byte_order_are_the_same_numbers():
    array = np.arange(5.0).astype(np.dtype(float).newbyteorder())
    np.testing.assert_array_equal(round_trip(array), array)


def test_names_of_columns_are_an_array_of_objects():
    names = np.array(["a", "ü", ""], dtype=object)
    np.testing.assert_array_equal(round_trip(names), names, strict=True)


def test_tensors_are_equal_and_nobody_elses():
    whole = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    value = {"whole": whole, "part": whole[:2], "across": whole.T, "half": whole.bfloat16()}
    found = round_trip(value)
    assert all(torch.equal(found[name], value[name]) for name in value)
    assert found["half"].dtype is torch.bfloat16
    found["whole"].zero_()
    assert torch.equal(found["part"], value["part"]) and whole.any()


def test_an_ordered_dictionary_is_a_dictionary():
    assert round_trip(OrderedDict(b=1, a=2)) == {"b": 1, "a": 2}


class Point(tuple):
    """More than a tuple."""


@pytest.mark.parametrize(
    "value, problem",
    [
        (len, "it is a builtin_function_or_method, which cannot be saved without pickle"),
        ([{"a": (lambda: 0,)}], r"it\[0\]\['a'\]\[0\] is a function"),
        (Point((1, 2)), "it is a Point"),
        (np.ma.masked_array([1], [True]), "it is a MaskedArray"),
        (np.array([None, 1]), "it is an array of object"),
        (np.array([["a"], ["b"]]), "it is an array of <U1"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "it is an array of datetime64"),
        (2**130, "it is an integer of more than 128 bits"),
        (np.random.RandomState(np.random.PCG64()), "it is of PCG64. Use an integer"),
        ({(1, len): 2}, "builtin_function"),
    ],
)
def test_what_cannot_be_saved_is_named(value, problem):
    with pytest.raises(ValueError, match=problem):
        ValueEncoder().value(value, "it")


@pytest.mark.parametrize(
    "content, problem",
    [
        ({"float": "0.5"}, "no number that JSON lacks"),
        ({"strings": ["a", 1]}, "one of its strings is none"),
        (2**130, "more than 128 bits"),
        ({"random_state": [{"array": ["key", [0]]}, 10**6, 0, 0.0]}, "impossible RandomState"),
        ({"random_state": [{"array": ["short", [0]]}, 0, 0, 0.0]}, "impossible RandomState"),
        ({"array": ["truth", [0]]}, "truth values that are none"),
        ([{"tensor": ["key", [0]]}, {"tensor": ["key", [0]]}], "key"),  # used twice
        ({"tensor": ["key", [1]]}, "0 is not in list"),
        ({"tensor": ["no such", []]}, "no such"),
        ({"code": "os.system"}, "code"),
        ({"array": "key", "tensor": "key"}, "too many values"),
        ({}, "not enough values"),
    ],
)
def test_what_is_never_written_is_refused(content, problem):
    tensors = {"key": torch.zeros(624, dtype=torch.uint32), "short": torch.zeros(3)}
    tensors["truth"] = torch.tensor([0, 2], dtype=torch.uint8).view(torch.bool)
    with pytest.raises((LoadError, KeyError, ValueError), match=problem):
        ValueDecoder(tensors).value(content)


def test_tensors_without_a_place_are_refused():
    with pytest.raises(LoadError, match=r"no use for its tensors \['x'\]"):
        ValueDecoder({"x": torch.zeros(1)}).check_nothing_is_left()
