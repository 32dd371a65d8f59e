"""Estimators in documents: each comes back as it was, or is refused by what is wrong with it."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
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


def test_an_object_that_is_held_twice_is_one_again():
    inner = Holder(np.ones(2))
    first, second = round_trip([inner, Pair(inner, 3)])
    assert second.first is first and second.second == 3


class Extra(Holder):
    """With an attribute that is neither a parameter nor a fitted one."""

    def __init__(self, held=None):
        super().__init__(held)
        self._extra = 1


@pytest.mark.parametrize(
    "value, problem",
    [
        (Holder(set()), "Holder.held.held is a set"),
        (Pair(1, object()), "Holder.held.second is a object"),
        (Holder, "Holder.held is a type"),
        (Extra(), "Holder.held has '_extra', and fitted attributes"),
    ],
)
def test_what_cannot_be_saved_is_named(value, problem):
    with pytest.raises(ValueError, match=problem):
        encode(Holder(value))


@pytest.mark.parametrize("place", [0, -1, True, 10**30, "0"])
def test_objects_that_are_not_there_before_are_refused(place):
    holder = {"class": "Holder", "parameters": {"held": {"object": place}}, "attributes": {}}
    with pytest.raises(LoadError, match=f"object {place!r} is not among those before it"):
        decode({"objects": [holder]}, {}, CLASSES)


def test_a_document_without_objects_is_none_of_an_estimator():
    with pytest.raises(LoadError, match="holds no estimator; a checkpoint is for Trainer"):
        decode({"state": {}, "identity": {}}, {}, CLASSES)


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
