"""Values: each comes back as it was, and what cannot is refused by where it is."""

import json
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator

from skood.core.decoding import decode
from skood.core.encoding import encode
from skood.core.exceptions import LoadError


class Holder(BaseEstimator):
    """An estimator with one parameter."""

    def __init__(self, held=None):
        self.held = held


@dataclass(frozen=True)
class Pair:
    first: object
    second: object


CLASSES = {"Holder": Holder, "Pair": Pair}


def round_trip(value):
    document, tensors = encode(Holder(value))
    return decode(json.loads(json.dumps(document, allow_nan=False)), tensors, CLASSES).held


def decoded(content, tensors=None):
    """What the content of a document stands for."""
    holder = {"class": "Holder", "parameters": {"held": content}, "attributes": {}}
    return decode({"objects": [holder]}, tensors or {}, CLASSES).held


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


def test_an_object_that_is_held_twice_is_one_again():
    inner = Holder(np.ones(2))
    first, second = round_trip([inner, Pair(inner, 3)])
    assert second.first is first and second.second == 3


def test_an_ordered_dictionary_is_a_dictionary():
    assert round_trip(OrderedDict(b=1, a=2)) == {"b": 1, "a": 2}


class Extra(Holder):
    """With an attribute that is neither a parameter nor a fitted one."""

    def __init__(self, held=None):
        super().__init__(held)
        self._extra = 1


class Point(tuple):
    """More than a tuple."""


@pytest.mark.parametrize(
    "value, problem",
    [
        (len, r"Holder.held is a builtin_function_or_method, which cannot be saved without pickle"),
        ([{"a": (lambda: 0,)}], r"Holder.held\[0\]\['a'\]\[0\] is a function"),
        (Holder(set()), "Holder.held.held is a set"),
        (Pair(1, object()), "Holder.held.second is a object"),
        (Holder, "Holder.held is a type"),
        (Point((1, 2)), "Holder.held is a Point"),
        (np.ma.masked_array([1], [True]), "Holder.held is a MaskedArray"),
        (np.array([None, 1]), "Holder.held is an array of object"),
        (np.array([["a"], ["b"]]), "Holder.held is an array of <U1"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "Holder.held is an array of datetime64"),
        (Extra(), "Holder.held has '_extra', and fitted attributes"),
        (2**70, "more than 64 bits"),
        (np.random.RandomState(np.random.PCG64()), "Holder.held is of PCG64. Use an integer"),
        ({(1, len): 2}, "builtin_function"),
    ],
)
def test_what_cannot_be_saved_is_named(value, problem):
    with pytest.raises(ValueError, match=problem):
        encode(Holder(value))


@pytest.mark.parametrize(
    "content, problem",
    [
        ({"object": 0}, "object 0 is not among those before it"),
        ({"object": -1}, "object -1 is not"),
        ({"object": True}, "object True is not"),
        ({"float": "0.5"}, "no number that JSON lacks"),
        ({"strings": ["a", 1]}, "one of its strings is none"),
        (2**64, "more than 64 bits"),
        ({"random_state": [{"array": "key"}, 10**6, 0, 0.0]}, "impossible RandomState"),
        ({"random_state": [{"array": "short"}, 0, 0, 0.0]}, "impossible RandomState"),
        ({"array": "truth"}, "truth values that are none"),
        ([{"tensor": "key"}, {"tensor": "key"}], "key"),  # used twice
        ({"code": "os.system"}, "code"),
        ({"array": "key", "tensor": "key"}, "too many values"),
        ({}, "not enough values"),
    ],
)
def test_what_encoding_never_writes_is_refused(content, problem):
    tensors = {"key": torch.zeros(624, dtype=torch.uint32), "short": torch.zeros(3)}
    tensors["truth"] = torch.tensor([0, 2], dtype=torch.uint8).view(torch.bool)
    with pytest.raises((LoadError, KeyError, ValueError), match=problem):
        decoded(content, tensors)


def test_tensors_without_a_place_are_refused():
    with pytest.raises(LoadError, match=r"no use for its tensors \['x'\]"):
        decoded(1, {"x": torch.zeros(1)})


@pytest.mark.parametrize("name", ["os.system", "skood.benchmark", "object", "BaseEstimator"])
def test_classes_that_are_not_given_are_refused(name):
    with pytest.raises(LoadError, match=f"holds a '{name}'"):
        decode({"objects": [{"class": name, "parameters": {}, "attributes": {}}]}, {}, CLASSES)


@pytest.mark.parametrize(
    "changed, problem",
    [
        ({"class": "Pair"}, "Pair is no estimator"),
        ({"fields": {}}, "Holder has no fields"),
        ({"parameters": {"other": 1}}, "other"),
        ({"attributes": {"fit": 1}}, "'fit' is no fitted attribute of Holder"),
        ({"attributes": {"__class__": 1}}, "'__class__' is no fitted attribute"),
        ({"attributes": {"_private": 1}}, "'_private' is no fitted attribute"),
    ],
)
def test_parameters_and_attributes_that_a_class_does_not_have_are_refused(changed, problem):
    content = {"class": "Holder", "parameters": {}, "attributes": {}, **changed}
    with pytest.raises((LoadError, TypeError), match=problem):
        decode({"objects": [content]}, {}, CLASSES)


class Checked(Holder):
    _parameter_constraints = {"held": [int]}

    @property
    def known_(self):
        """Follows from something else."""
        return 1


def test_parameters_that_are_not_valid_do_not_reach_the_class():
    content = {"class": "Checked", "parameters": {"held": "os.system"}, "attributes": {}}
    with pytest.raises(ValueError, match="The 'held' parameter of Checked must be"):
        decode({"objects": [content]}, {}, {"Checked": Checked})


def test_a_property_is_not_a_fitted_attribute():
    content = {"class": "Checked", "parameters": {"held": 1}, "attributes": {"known_": 2}}
    with pytest.raises(LoadError, match="'known_' is no fitted attribute"):
        decode({"objects": [content]}, {}, {"Checked": Checked})
