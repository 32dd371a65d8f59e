"""The cache of trained models: ``memory=``."""

import numpy as np
import pytest
from skorch.callbacks import Callback

from skood import HVAE, Likelihood, Trainer
from skood.testing import easy_images, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
IMAGES = easy_images(120)


class Nothing(Callback):
    """Not inside a test: pickles look for it."""

    def __repr__(self):
        return "Nothing()"


@pytest.fixture
def detector(tmp_path):
    model = small(HVAE, trainer=Trainer(patience=None))
    return Likelihood(model, memory=str(tmp_path), random_state=0)


@pytest.mark.parametrize("damage", ["truncated", "empty", "something else"])
def test_a_damaged_entry_is_trained_again_with_a_warning(damage, detector, trainings, tmp_path):
    expected = detector.fit(IMAGES).score_samples(IMAGES)
    (path,) = tmp_path.rglob("output.pkl")
    content = path.read_bytes()
    half = content[: len(content) // 2]
    path.write_bytes({"truncated": half, "empty": b"", "something else": b"\x80\x04N."}[damage])
    with pytest.warns(UserWarning, match="cached HVAE cannot be read .* trained again"):
        detector.fit(IMAGES)
    assert len(trainings) == 2
    np.testing.assert_array_equal(detector.score_samples(IMAGES), expected)
    detector.fit(IMAGES)  # is whole again: a warning would be an error
    assert len(trainings) == 2


@pytest.mark.parametrize(
    "name, value",
    [
        ("verbose", 1),
        ("device", "cpu"),
        ("trainer__callbacks", (Nothing(),)),
        ("trainer__on_interrupt", "keep"),
    ],
)
def test_what_no_weight_depends_on_makes_no_new_entry(name, value, detector, trainings):
    before = detector.fit(IMAGES).model_.get_params()[name]
    for present in (value, before):
        detector.set_params(**{f"model__{name}": present}).fit(IMAGES)
        # Callbacks are cloned, and equal only to themselves.
        assert str(detector.model_.get_params()[name]) == str(present)
    assert len(trainings) == 1 and str(before) != str(value)


def test_the_default_trainer_and_one_with_callbacks_share_an_entry(detector, trainings):
    detector.set_params(model__trainer=None).fit(IMAGES)
    callbacks = (Nothing(),)
    second = detector.set_params(model__trainer=Trainer(callbacks=callbacks)).fit(IMAGES)
    assert len(trainings) == 1 and len(second.model_.trainer.callbacks) == 1
    third = detector.set_params(model__trainer=None).fit(IMAGES)
    assert len(trainings) == 1 and third.model_.trainer is None


@pytest.mark.parametrize(
    "name, value", [("max_epochs", 3), ("trainer__clip_norm", 1.0), ("trainer__patience", 5)]
)
def test_what_weights_depend_on_makes_a_new_entry(name, value, detector, trainings):
    detector.fit(IMAGES)
    detector.set_params(**{f"model__{name}": value}).fit(IMAGES)
    assert len(trainings) == 2
