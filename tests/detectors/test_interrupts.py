"""Ctrl-C in a training: what was learned is kept, and everything around it stops."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from skorch.callbacks import Callback

from skood import (
    HVAE,
    WAIC,
    CombinedDetector,
    GradientNorm,
    HierarchicalLLR,
    InterruptedFitWarning,
    KNNDistance,
    Likelihood,
    Trainer,
)
from skood.testing import easy_images, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
IMAGES = easy_images(120)
N_EPOCHS = 4
begun = []


class CtrlCInTheFirstTraining(Callback):
    """In epoch 2, and only once: what is trained afterwards would be trained to the end.

    Estimators clone their callbacks, so the trainings are counted outside.
    """

    def on_train_begin(self, net, **kwargs):
        begun.append(net)

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(begun) == 1 and len(net.history) == 2:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def nothing_begun():
    begun.clear()


def model(on_interrupt="raise"):
    trainer = Trainer(on_interrupt=on_interrupt, callbacks=(CtrlCInTheFirstTraining(),))
    return small(HVAE, max_epochs=N_EPOCHS, trainer=trainer, random_state=0)


def test_a_model_keeps_what_it_has_learned_and_raises():
    interrupted = model()
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(IMAGES)
    assert interrupted.interrupted_ and interrupted.n_iter_ == 1
    assert np.isfinite(interrupted.score_samples(IMAGES)).all()
    assert not interrupted.fit(IMAGES).interrupted_


@pytest.mark.parametrize(
    "kind, parameters",
    [(Likelihood, {}), (HierarchicalLLR, {}), (HierarchicalLLR, {"k": 1}), (GradientNorm, {})],
)
def test_a_detector_keeps_what_it_has_learned_and_raises(kind, parameters):
    detector = kind(model(), random_state=0, calibration_fraction=0.5, **parameters)
    with pytest.raises(KeyboardInterrupt):
        detector.fit(IMAGES)
    assert detector.model_.interrupted_ and detector.model_.n_iter_ == 1
    assert set(detector.predict(IMAGES)) <= {-1, 1}
    frozen = kind(FrozenEstimator(detector.model_), random_state=0, **parameters).fit(IMAGES)
    assert np.isfinite(frozen.score_samples(IMAGES)).all()


def combination(*members):
    members = [(f"member{i}", member) for i, member in enumerate(members)]
    return CombinedDetector(members, calibration_fraction=0.5, random_state=0)


def test_a_combination_keeps_what_it_has_learned_and_raises():
    detector = combination(KNNDistance(), Likelihood(model()), GradientNorm(model()), KNNDistance())
    with pytest.raises(KeyboardInterrupt):
        detector.fit(IMAGES)
    of_likelihood, of_norms = (detector.detectors_[name].model_ for name in ("member1", "member2"))
    assert of_likelihood is of_norms and of_norms.interrupted_ and of_norms.n_iter_ == 1
    assert set(detector.predict(IMAGES)) <= {-1, 1}


def test_a_combination_of_two_models_keeps_the_first_unless_it_was_whole_before():
    detector = combination(Likelihood(model()), Likelihood(model().set_params(width=9)))
    with pytest.raises(KeyboardInterrupt):
        detector.fit(IMAGES)
    assert detector.detectors_["member0"].model_.interrupted_
    assert not detector.__sklearn_is_fitted__()
    before = dict(vars(detector.fit(IMAGES)))
    begun.clear()
    with pytest.raises(KeyboardInterrupt):
        detector.fit(IMAGES)
    assert vars(detector) == before


def test_ctrl_c_in_the_first_epoch_keeps_the_detector_of_before(monkeypatch):
    detector = Likelihood(model(), random_state=0)
    with pytest.raises(KeyboardInterrupt):
        detector.fit(IMAGES)
    before, expected = dict(vars(detector)), detector.score_samples(IMAGES)

    def at_once(self, net, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(CtrlCInTheFirstTraining, "on_batch_end", at_once)
    with pytest.raises(KeyboardInterrupt):
        detector.fit(easy_images(90))
    assert vars(detector) == before
    np.testing.assert_array_equal(detector.score_samples(IMAGES), expected)


def test_on_interrupt_keep_returns_a_fitted_detector():
    detector = Likelihood(model("keep"), random_state=0)
    with pytest.warns(InterruptedFitWarning, match="interrupted after 1 epochs"):
        assert detector.fit(IMAGES) is detector
    assert detector.model_.interrupted_ and detector.model_.n_iter_ == 1
    assert set(detector.predict(IMAGES)) <= {-1, 1}


def test_on_interrupt_keep_lets_a_search_go_on():
    search = GridSearchCV(Likelihood(model("keep"), random_state=0), {"fpr": [0.1, 0.2]}, cv=2)
    with pytest.warns(InterruptedFitWarning):
        search.fit(IMAGES)
    assert len(begun) == 5  # the last one is that of all rows


def search_of_a_detector():
    detector = Likelihood(model(), calibration_fraction=0.5, random_state=0)
    GridSearchCV(detector, {"model__width": [8, 9]}, cv=2).fit(IMAGES)


def search_of_a_model():
    GridSearchCV(model(), {"width": [8, 9]}, cv=2).fit(IMAGES)


def cross_validation_of_a_detector():
    detector = Likelihood(model(), calibration_fraction=0.5, random_state=0)
    cross_validate(detector, IMAGES, cv=3)


def ensemble():
    WAIC(model(), 3, calibration_fraction=0.5, random_state=0).fit(IMAGES)


def combination_of_different_models():
    members = [Likelihood(model().set_params(width=width)) for width in (8, 9, 10)]
    combination(*members).fit(IMAGES)


def loop_over_detectors():
    for seed in range(3):
        Likelihood(model(), calibration_fraction=0.5, random_state=seed).fit(IMAGES)


@pytest.mark.parametrize(
    "work",
    [
        search_of_a_detector,
        search_of_a_model,
        cross_validation_of_a_detector,
        ensemble,
        combination_of_different_models,
        loop_over_detectors,
    ],
)
def test_one_ctrl_c_stops_all_that_trains(work):
    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(begun) == 1
    work()  # without an interrupt it trains several models
    assert len(begun) >= 4


@pytest.mark.parametrize("on_interrupt", ["raise", "keep"])
def test_an_interrupted_model_is_not_kept_in_the_cache(on_interrupt, tmp_path):
    detector = Likelihood(model(on_interrupt), memory=str(tmp_path), random_state=0)
    with (
        pytest.warns(InterruptedFitWarning)
        if on_interrupt == "keep"
        else pytest.raises(KeyboardInterrupt)
    ):
        detector.fit(IMAGES)
    assert detector.model_.n_iter_ == 1
    assert detector.fit(IMAGES).model_.n_iter_ == N_EPOCHS and len(begun) == 2
    assert detector.fit(IMAGES).model_.n_iter_ == N_EPOCHS and len(begun) == 2
