"""A detector around two models, as others may write it."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from skood import HVAE, MAF
from skood.detectors._model_detector import ModelDetector
from skood.testing import small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
TABLE = np.random.default_rng(0).normal(size=(120, 3))


class LogRatio(ModelDetector):
    """How much likelier a row is under the background than under the model."""

    _model_parameters = ("model", "background")

    def __init__(
        self,
        model=None,
        background=None,
        *,
        fpr=0.05,
        calibration_fraction=0.2,
        memory=None,
        random_state=None,
    ):
        self.model = model
        self.background = background
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.memory = memory
        self.random_state = random_state

    _not_scoring = ModelDetector._not_scoring | {"background"}

    def _statistic(self, rows):
        of = {n: m.score_samples(self._of_model(rows, n)) for n, m in self.models_.items()}
        return of["background"] - of["model"]


@pytest.fixture
def detector():
    return LogRatio(small(MAF), small(HVAE), random_state=0)


def test_both_models_are_trained_on_the_same_rows(detector, trainings):
    detector.fit(TABLE)
    assert {name: type(model) for name, model in detector.models_.items()} == {
        "model": MAF,
        "background": HVAE,
    }
    assert len(trainings) == 2 and detector.model_ is detector.models_["model"]
    np.testing.assert_array_equal(*trainings)
    assert len(trainings[0]) + len(detector.calibration_scores_) == len(TABLE)


def test_the_score_is_made_of_both(detector):
    detector.fit(TABLE)
    of_model, of_background = (m.score_samples(TABLE) for m in detector.models_.values())
    np.testing.assert_array_equal(detector.ood_score(TABLE), of_background - of_model)


def test_both_are_kept_in_memory(detector, trainings, tmp_path):
    detector.set_params(memory=str(tmp_path)).fit(TABLE)
    again = clone(detector).set_params(fpr=0.2).fit(TABLE)
    assert len(trainings) == 2
    np.testing.assert_array_equal(again.ood_score(TABLE), detector.ood_score(TABLE))


def test_two_frozen_models_train_nothing_and_all_rows_calibrate(trainings):
    models = [small(kind, random_state=0).fit(TABLE) for kind in (MAF, HVAE)]
    trainings.clear()
    detector = LogRatio(*map(FrozenEstimator, models)).fit(TABLE)
    assert trainings == [] and list(detector.models_.values()) == models
    assert len(detector.calibration_scores_) == len(TABLE)


def test_one_frozen_model_leaves_the_other_to_be_trained(detector, trainings):
    frozen = small(MAF, random_state=0).fit(TABLE)
    trainings.clear()
    detector.set_params(model=FrozenEstimator(frozen)).fit(TABLE)
    assert len(trainings) == 1 and detector.model_ is frozen
    assert len(detector.calibration_scores_) == 24


def test_a_second_model_that_will_not_do_is_found_before_the_first_is_trained(detector, trainings):
    detector.set_params(background=StandardScaler())
    with pytest.raises(ValueError, match="score, score_samples, which StandardScaler lacks"):
        detector.fit(TABLE)
    assert trainings == []


@pytest.mark.parametrize("names", [("model", "background"), ("background", "model")])
def test_a_model_of_somebody_else_stands_beside_one_of_skood(detector, names):
    parameters = dict(zip(names, (small(MAF), GaussianMixture()), strict=True))
    detector.set_params(**parameters).fit(TABLE)
    assert np.isfinite(detector.score_samples(TABLE)).all()


def test_parameters_of_a_default_background_can_be_set():
    detector = LogRatio().set_params(background__max_epochs=3)
    assert detector.background.max_epochs == 3 and detector.model is None
