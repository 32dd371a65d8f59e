"""Several detectors as one: p-values that hold, models shared, members set and refused."""

import pickle

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from skood import (
    HVAE,
    MAF,
    CombinedDetector,
    ConformalDetector,
    GradientNorm,
    HierarchicalLLR,
    InputComplexity,
    KNNDistance,
    Likelihood,
    MixtureLikelihood,
    ScoreNorm,
    Typicality,
)
from skood.core.rows import check_rows
from skood.detectors._default_members import default_members
from skood.scores.survival import LogSurvival
from skood.testing import easy_images, image_layouts, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


def table(n, seed, n_columns=3):
    return np.random.default_rng(seed).normal(size=(n, n_columns))


def cheap(**parameters):
    members = [("near", KNNDistance()), ("mixture", MixtureLikelihood(n_mixtures=2))]
    return CombinedDetector(members, random_state=0, **parameters)


def of_models(*models):
    """Detectors over these models, of different kinds."""
    kinds = (Likelihood, Typicality, GradientNorm)
    members = [(f"member{i}", kinds[i](model)) for i, model in enumerate(models)]
    return CombinedDetector(members, random_state=0, calibration_fraction=0.5)


# --------------------------------------------------------------------------------------- p-values


@pytest.mark.parametrize("method", ["fisher", "harmonic", "max"])
@pytest.mark.parametrize(
    "members",
    [
        [KNNDistance(), KNNDistance(n_neighbors=1), ScoreNorm()],
        [KNNDistance(), KNNDistance()],
    ],
    ids=["different", "one twice"],
)
def test_p_values_of_fresh_rows_are_as_small_as_a_in_a_part_a_of_them(members, method):
    members = [(f"member{i}", member) for i, member in enumerate(members)]
    levels, rates = np.array([0.01, 0.05, 0.1, 0.2]), []
    for seed in range(60):
        X = table(396 + 100, seed)
        detector = CombinedDetector(members, method=method, calibration_fraction=0.25)
        detector.set_params(random_state=seed).fit(X[:396])
        rates.append((detector.p_values(X[396:])[:, None] <= levels).mean(axis=0))
    assert len(detector.calibration_scores_) == 99  # so that every level is attained exactly
    error = np.std(rates, axis=0) / np.sqrt(len(rates))
    assert (np.abs(np.mean(rates, axis=0) - levels) < 4 * error).all()


def test_rows_beyond_all_normal_ones_differ_still():
    detector = cheap().fit(table(300, seed=0))
    far = np.array([10.0, 20.0, 40.0, 1e6])[:, None] * np.ones(3)
    assert len(set(detector.p_values(far))) == 1
    assert (np.diff(detector.ood_score(far)) > 0).all()


def test_columns_of_score_members_are_minus_log_p_of_each_member():
    detector, X = cheap().fit(table(300, seed=0)), table(50, seed=1)
    columns = []
    for member in detector.detectors_.values():
        assert len(member.calibration_scores_) == 27  # a tenth of what sets no threshold
        log_survival = LogSurvival.fit(-member.calibration_scores_)
        columns.append(-log_survival(member.ood_score(X)))
    np.testing.assert_array_equal(detector.score_members(X), np.transpose(columns))


@pytest.mark.parametrize(
    "method, combined",
    [
        ("fisher", lambda evidence: evidence[:, 0] + evidence[:, 1]),
        ("harmonic", lambda evidence: logsumexp(evidence, axis=1)),
        ("max", lambda evidence: np.maximum(evidence[:, 0], evidence[:, 1])),
    ],
)
def test_the_score_is_made_of_those_of_the_members(method, combined):
    detector, X = cheap(method=method).fit(table(300, seed=0)), table(50, seed=1)
    np.testing.assert_allclose(detector.ood_score(X), combined(detector.score_members(X)))


def test_what_one_member_misses_another_sees():
    members = [("first", MeanOf(0)), ("second", MeanOf(1))]
    detector = CombinedDetector([(n, ConformalDetector(m)) for n, m in members], random_state=0)
    detector.fit(table(2000, seed=0, n_columns=2))
    assert (detector.predict([[-6, 0], [0, -6]]) == -1).all()
    np.testing.assert_array_equal(
        detector.score_members([[-6, 0], [0, -6]]) > 3, [[True, False], [False, True]]
    )


class MeanOf(BaseEstimator):
    """The value of one column: the lower, the more abnormal."""

    def __init__(self, column):
        self.column = column

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def score_samples(self, X):
        return X[:, self.column]


def test_groups_of_rows_that_are_a_little_unusual_are_found():
    detector = cheap(calibration_fraction=0.5).fit(table(900, seed=0))
    X = table(40, seed=1) * 2
    means = detector.ood_score(X).reshape(4, 10).mean(axis=1)
    np.testing.assert_allclose(detector.group_ood_score(X, 10), means, rtol=1e-12)
    assert (detector.group_p_values(X, 10) < 0.1).all()


def test_members_without_a_network_learn_from_all_rows_that_set_no_threshold():
    kinds = [("near", KNNDistance()), ("likelihood", Likelihood(small(MAF)))]
    detector = CombinedDetector(kinds, random_state=0).fit(table(200, seed=0))
    assert detector.detectors_["near"].neighbors_.n_samples_fit_ == 180
    assert detector.detectors_["likelihood"].model_.rows_.n_rows == 162


def test_rows_that_set_the_threshold_are_not_among_those_that_members_learn_from():
    X = table(200, seed=0)
    detector = CombinedDetector([("near", KNNDistance(n_neighbors=1))], random_state=0).fit(X)
    distances = detector.detectors_["near"].ood_score(X)
    assert (distances < 1e-6).sum() == 180 and len(detector.calibration_scores_) == 20


# -------------------------------------------------------------------------------- training members


def test_members_over_equal_models_train_one(trainings):
    detector = of_models(small(MAF), small(MAF), small(MAF, verbose=0)).fit(table(200, seed=0))
    models = [member.model_ for member in detector.detectors_.values()]
    assert len(trainings) == 1
    assert models[0] is models[1] is models[2]


def test_members_over_different_models_train_each(trainings):
    detector = of_models(small(MAF), small(MAF, width=9)).fit(table(200, seed=0))
    assert len(trainings) == 2
    np.testing.assert_array_equal(*trainings)
    assert [member.model_.width for member in detector.detectors_.values()] == [8, 9]


def test_a_second_fit_trains_again(trainings):
    detector = of_models(small(MAF), small(MAF)).fit(table(200, seed=0))
    detector.fit(table(200, seed=1))
    assert len(trainings) == 2


def test_frozen_members_train_nothing_and_all_rows_calibrate(trainings):
    model = small(MAF, random_state=0).fit(table(100, seed=0))
    trainings.clear()
    forest = IsolationForest(random_state=0).fit(table(100, seed=0))
    members = [
        ("likelihood", Likelihood(FrozenEstimator(model))),
        ("forest", ConformalDetector(FrozenEstimator(forest))),
    ]
    detector = CombinedDetector(members).fit(table(101, seed=1))
    assert trainings == [] and detector.detectors_["likelihood"].model_ is model
    assert len(detector.calibration_scores_) == 50
    assert len(detector.detectors_["forest"].calibration_scores_) == 51


def test_a_frozen_member_stands_beside_one_that_is_trained():
    forest = IsolationForest(random_state=0).fit(table(100, seed=0))
    members = [("forest", ConformalDetector(FrozenEstimator(forest))), ("near", KNNDistance())]
    detector = CombinedDetector(members, random_state=0).fit(table(200, seed=1))
    assert len(detector.calibration_scores_) == 20
    assert (detector.predict(table(20, seed=2) + 9) == -1).all()


def test_members_without_a_random_state_follow_that_of_the_combination():
    members = [("forest", ConformalDetector()), ("fixed", ConformalDetector(random_state=5))]
    X = table(200, seed=0)
    one, same, other = (
        CombinedDetector(members, random_state=seed).fit(X).detectors_ for seed in (0, 0, 1)
    )
    forests = [fitted["forest"].estimator_.random_state for fitted in (one, same, other)]
    assert forests[0] == forests[1] != forests[2]
    assert {fitted["fixed"].estimator_.random_state for fitted in (one, same, other)} == {5}


# ----------------------------------------------------------------------------------------- defaults


@pytest.mark.parametrize(
    "X, kinds",
    [
        (table(50, seed=0), [KNNDistance, MixtureLikelihood]),
        (easy_images(50), [HierarchicalLLR, GradientNorm, ScoreNorm]),
        (image_layouts(50)["colour bytes, channels last"], [ScoreNorm, InputComplexity]),
        (image_layouts(50)["colour in [0, 1], channels first"], [ScoreNorm, InputComplexity]),
        (np.random.default_rng(0).normal(size=(50, 4, 4, 3)), [ScoreNorm]),  # no pixels to compress
        (np.zeros((2, 60, 60, 3)), [KNNDistance, MixtureLikelihood]),  # too large for a Gaussian
    ],
    ids=["table", "grey", "colour", "channels first", "real colour", "large"],
)
def test_default_members_depend_on_the_kind_of_rows(X, kinds):
    members = default_members(check_rows(BaseEstimator(), X, reset=True))
    assert [type(member) for _, member in members] == kinds


def test_the_default_for_grey_images_trains_one_network(trainings, monkeypatch):
    monkeypatch.setattr("skood.detectors._default_members.HVAE", lambda: small(HVAE))
    detector = CombinedDetector(random_state=0, calibration_fraction=0.5).fit(easy_images(120))
    assert len(trainings) == 1
    assert list(detector.detectors_) == ["ratio", "gradient", "score_norm"]
    assert detector.detectors_["ratio"].k == 1


# ------------------------------------------------------------------------------ as of scikit-learn


def test_parameters_of_members_can_be_set_by_name():
    detector = cheap().set_params(near__n_neighbors=3, mixture=KNNDistance())
    assert detector.get_params()["near__n_neighbors"] == 3
    assert isinstance(dict(detector.detectors)["mixture"], KNNDistance)
    assert clone(detector).get_params()["near__n_neighbors"] == 3


def test_the_members_given_are_left_as_they_are():
    members = [("near", KNNDistance()), ("other", KNNDistance(n_neighbors=1, fpr=0.2))]
    before = [(name, dict(vars(member))) for name, member in members]
    CombinedDetector(members, random_state=0).fit(table(200, seed=0))
    assert [(name, dict(vars(member))) for name, member in members] == before


def test_a_pickle_scores_the_same():
    detector, X = cheap().fit(table(200, seed=0)), table(50, seed=1)
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(again.score_members(X), detector.score_members(X))


def test_a_grid_search_over_a_parameter_of_a_member_in_a_pipeline():
    def part_flagged(detector, X, y=None):
        return (detector.predict(np.full((1, 3), 9.0)) == -1).mean()

    pipeline = make_pipeline(StandardScaler(), cheap())
    grid = {"combineddetector__near__n_neighbors": [1, 5]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring=part_flagged).fit(table(400, seed=0))
    assert (search.cv_results_["mean_test_score"] == 1).all()


# -------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "members, message",
    [
        ([], "give at least one"),
        ([KNNDistance()], r"must hold \(name, detector\) tuples; got KNNDistance\(\)"),
        ([("forest", IsolationForest())], "into a ConformalDetector"),
        ([("a", "b", KNNDistance())], r"\(name, detector\) tuples"),
        ([()], r"\(name, detector\) tuples"),
        ([(3, KNNDistance())], r"\(name, detector\) tuples"),
        ([("all", CombinedDetector())], "members of another CombinedDetector into this one"),
        ([("near", KNNDistance()), ("near", KNNDistance())], "not unique"),
        ([("near__x", KNNDistance())], "must not contain __"),
        ([("method", KNNDistance())], "conflict with constructor arguments"),
    ],
)
def test_wrong_members_are_refused_with_a_remedy(members, message):
    with pytest.raises(ValueError, match=message):
        CombinedDetector(members).fit(table(100, seed=0))


@pytest.mark.parametrize(
    "wrong, error, message",
    [
        (KNNDistance(n_neighbors=0), InvalidParameterError, "'n_neighbors' parameter of KNN"),
        (small(HierarchicalLLR, k=3), ValueError, "k=3 is out of range"),
        (ScoreNorm(noise_levels=[-1]), ValueError, "noise_levels must be positive"),
        (Likelihood(StandardScaler()), ValueError, "which StandardScaler lacks"),
        (ConformalDetector(StandardScaler()), ValueError, "asks its estimator for score_samples"),
    ],
)
def test_a_wrong_member_is_found_before_another_one_is_trained(wrong, error, message, trainings):
    detector = CombinedDetector([("trained", Likelihood(small(MAF))), ("wrong", wrong)])
    with pytest.raises(error, match=message):
        detector.fit(table(100, seed=0))
    assert trainings == []


def test_models_are_kept_where_the_first_calibration_fails(monkeypatch):
    detector = of_models(small(MAF))
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr("skood.detectors._calibrated.threshold", lambda *args: 1 / 0)
        detector.fit(table(200, seed=0))
    model = detector.detectors_["member0"].model_
    assert np.isfinite(model.score_samples(table(20, seed=1))).all()


def test_the_method_is_fixed_by_fit():
    detector = cheap().fit(table(200, seed=0)).set_params(method="max")
    with pytest.raises(ValueError, match="method was changed from 'fisher' to 'max'"):
        detector.predict(table(3, seed=1))
