"""An ensemble: mean log-likelihood less its variance."""

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skood import HVAE, MAF, WAIC, CombinedDetector, Likelihood
from skood.scores.ensembles import waic
from skood.testing import easy_images, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(120, 3))
IMAGES = easy_images(120)


@pytest.fixture
def detector():
    return WAIC(small(MAF), 3, random_state=0)


def weights(model):
    return torch.cat([weight.flatten() for weight in model.network_.parameters()])


def test_the_score_is_minus_the_criterion_of_the_models(detector):
    models = list(detector.fit(TABLE).models_.values())
    assert len(models) == 3
    expected = -waic([model.score_samples(TABLE) for model in models])
    np.testing.assert_array_equal(detector.ood_score(TABLE), expected)


def test_the_models_differ_by_their_seeds_alone(detector, trainings):
    detector.fit(TABLE)
    seeds = {model.random_state for model in detector.models_.values()}
    assert len(seeds) == 3 and detector.model_.random_state == 0
    for rows in trainings[1:]:
        np.testing.assert_array_equal(rows, trainings[0])
    first, second, _ = detector.models_.values()
    assert not torch.equal(weights(first), weights(second))


def test_a_seed_of_the_model_rules_the_seeds_of_all():
    def seeds(**parameters):
        detector = WAIC(small(MAF, **parameters), 3, random_state=0).fit(TABLE)
        return [model.random_state for model in detector.models_.values()]

    assert seeds(random_state=7) == seeds(random_state=7)
    assert seeds(random_state=7)[0] == 7
    assert not set(seeds(random_state=7)) & set(seeds())


def test_all_models_see_the_same_noise():
    # Two models that are one but for their seeds, over pixels that are binarised by random numbers.
    model = small(HVAE, random_state=0).fit(IMAGES)
    detector = WAIC(FrozenEstimator(model), 2, random_state=0).fit(IMAGES)
    twin = small(HVAE, random_state=5).fit(IMAGES)
    twin.network_.load_state_dict(model.network_.state_dict())
    detector.models_["model_2"] = twin
    assert (twin.score_samples(IMAGES) != model.score_samples(IMAGES)).all()
    expected = -model.score_samples(IMAGES, n_importance_samples=8)
    np.testing.assert_array_equal(detector.ood_score(IMAGES), expected)
    assert twin.seed_ == 5


def test_rows_on_which_the_models_disagree_are_more_ood_than_their_likelihood_says(detector):
    detector.fit(TABLE)
    far = 4 * RNG.normal(size=(50, 3))
    mean = np.mean([model.score_samples(far) for model in detector.models_.values()], axis=0)
    assert (detector.ood_score(far) > -mean).all()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_models_trained_at_the_same_time_are_bitwise_those_trained_one_by_one(backend, detector):
    one_by_one = clone(detector).fit(TABLE)
    with parallel_config(backend):
        together = clone(detector).set_params(n_jobs=2).fit(TABLE)
    for first, second in zip(one_by_one.models_.values(), together.models_.values(), strict=True):
        assert torch.equal(weights(first), weights(second))
    np.testing.assert_array_equal(one_by_one.ood_score(TABLE), together.ood_score(TABLE))


def test_jobs_use_as_many_threads_as_there_are_outside(monkeypatch, detector):
    before, seen = torch.get_num_threads(), []

    def remember(model, rows, memory):
        seen.append(torch.get_num_threads())
        return model.fit(rows)

    monkeypatch.setattr("skood.detectors._waic.trained", remember)
    try:
        torch.set_num_threads(3)
        with parallel_config("threading"):
            detector.set_params(n_jobs=2).fit(TABLE)
        assert seen == [3, 3, 3] and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_all_models_are_kept_in_memory(detector, trainings, tmp_path):
    detector.set_params(memory=str(tmp_path)).fit(TABLE)
    again = clone(detector).set_params(n_models=4).fit(TABLE)
    assert len(trainings) == 4
    assert again.models_.keys() == {"model", "model_2", "model_3", "model_4"}


def test_a_frozen_model_is_the_first_and_the_others_are_trained(trainings):
    frozen = small(MAF, random_state=3).fit(TABLE)
    trainings.clear()
    detector = WAIC(FrozenEstimator(frozen), 3, random_state=0).fit(TABLE)
    assert detector.model_ is frozen and len(trainings) == 2
    assert len(detector.calibration_scores_) == 24


def test_a_combination_trains_the_first_model_once(trainings):
    members = [("waic", WAIC(small(MAF), 2)), ("likelihood", Likelihood(small(MAF)))]
    CombinedDetector(members, calibration_fraction=0.2, random_state=0).fit(TABLE)
    assert len(trainings) == 2


def test_the_score_of_a_search_is_the_mean_over_the_models(detector):
    detector.fit(TABLE)
    expected = np.mean([model.score(TABLE) for model in detector.models_.values()])
    assert detector.score(TABLE) == pytest.approx(expected)


def test_models_of_somebody_else_make_an_ensemble():
    X = np.concatenate([TABLE, TABLE + 8])
    model = GaussianMixture(4, init_params="random_from_data")
    detector = WAIC(model, 3, random_state=0).fit(X)
    assert np.isfinite(detector.ood_score(X)).all()
    assert (detector.predict(X[:20] + 40) == -1).all()


def test_models_that_could_not_differ_are_refused():
    message = "differ by their random_state, which KernelDensity does not have.* or Likelihood"
    with pytest.raises(ValueError, match=message):
        WAIC(KernelDensity()).fit(TABLE)


def test_one_model_is_no_ensemble():
    with pytest.raises(ValueError, match="The 'n_models' parameter of WAIC"):
        WAIC(small(MAF), 1).fit(TABLE)
