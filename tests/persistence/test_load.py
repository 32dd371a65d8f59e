"""What is loaded is what was saved: scores, decisions, parameters, and what can be done with it."""

import multiprocessing
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skood
from skood import (
    HVAE,
    MAF,
    CombinedDetector,
    ConformalDetector,
    GradientNorm,
    HierarchicalLLR,
    KNNDistance,
    Likelihood,
    Trainer,
)
from skood.core.exceptions import LoadError
from skood.persistence import _classes, _dataclasses
from skood.testing import all_detectors, all_models, easy_images, small, takes_tables

ESTIMATORS = [small(kind) for kind in all_models() + all_detectors()]
ESTIMATORS += [small(HierarchicalLLR, k=1), small(HierarchicalLLR, k="ada")]
ESTIMATORS += [
    GradientNorm(small(skood.Glow), group_size=2, layers="module", target="latent_sum"),
    GradientNorm(small(MAF), fisher="diagonal", combine="gaussian"),
    small(HVAE, objective=skood.ImportanceWeightedELBO(), device=torch.device("cpu")),
    Likelihood(GaussianMixture(2)),
    ConformalDetector(make_pipeline(StandardScaler(), GaussianMixture(2))),
    ConformalDetector(IsolationForest(n_estimators=20, max_features=0.5)),
    CombinedDetector([("near", KNNDistance()), ("forest", ConformalDetector())], method="max"),
]


def rows_for(estimator, table):
    """The table, or images for those that take no other."""
    return table if takes_tables(estimator) else easy_images(80)


def save_and_load(estimator, folder, **options):
    estimator.save(folder / "file")
    return skood.load(folder / "file", **options)


def parameters_of(estimator):
    """All parameters, with the classes of those that are estimators."""
    return {
        name: type(value) if isinstance(value, BaseEstimator) else repr(value)
        for name, value in estimator.get_params().items()
    }


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_scores_are_bitwise_equal_and_parameters_are_the_same(estimator, fit, table, tmp_path):
    X = rows_for(estimator, table)
    fitted = fit(clone(estimator), X)
    loaded = save_and_load(fitted, tmp_path)
    assert type(loaded) is type(fitted)
    assert parameters_of(loaded) == parameters_of(fitted)
    methods = ("score_samples", "p_values", "decision_function", "score_layers", "transform")
    for name in [name for name in methods if hasattr(fitted, name)]:
        np.testing.assert_array_equal(getattr(loaded, name)(X), getattr(fitted, name)(X))
    if hasattr(fitted, "offset_"):
        assert loaded.offset_ == fitted.offset_
        sizes = (1, getattr(fitted, "group_size", 4))
        groups = [[e.group_ood_score(X, size) for size in sizes] for e in (loaded, fitted)]
        np.testing.assert_equal(*groups)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_a_loaded_estimator_is_saved_and_loaded_again(estimator, fit, table, tmp_path):
    X = rows_for(estimator, table)
    fitted = fit(clone(estimator), X)
    again = save_and_load(save_and_load(fitted, tmp_path), tmp_path)
    np.testing.assert_array_equal(again.score_samples(X), fitted.score_samples(X))


def test_classes_of_skood_have_different_names():
    names = [kind.__name__ for kind in set(_dataclasses())]
    assert len(names) == len(set(names)) > 6
    assert len(_classes()) == len(set(_classes().values()))
    assert {kind.__name__ for kind in all_models() + all_detectors()} < set(_classes())


def test_it_can_be_fitted_again_to_what_a_new_one_is(flow_detector, fit, table, tmp_path):
    loaded = fit(save_and_load(flow_detector, tmp_path), table[::-1])
    expected = fit(clone(flow_detector), table[::-1]).score_samples(table)
    np.testing.assert_array_equal(loaded.score_samples(table), expected)


@pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
def test_the_false_positive_rate_can_be_moved(flow_detector, table, tmp_path):
    loaded = save_and_load(flow_detector, tmp_path).set_params(fpr=0.4)
    expected = pickle.loads(pickle.dumps(flow_detector)).set_params(fpr=0.4)
    assert loaded.offset_ == expected.offset_ > flow_detector.offset_


def test_a_model_of_several_detectors_is_saved_once(fit, tmp_path):
    model = small(HVAE)
    shared = CombinedDetector([("a", small(Likelihood, model)), ("b", GradientNorm(model))])
    loaded = save_and_load(fit(shared), tmp_path)
    first, second = loaded.detectors_.values()
    assert first.model_ is second.model_
    fit(Likelihood(model)).save(tmp_path / "one")
    assert (tmp_path / "file").stat().st_size < 2 * (tmp_path / "one").stat().st_size + 50_000


def test_a_frozen_model_stays_frozen(fit, table, tmp_path):
    model = fit(small(MAF))
    loaded = save_and_load(fit(Likelihood(FrozenEstimator(model))), tmp_path)
    assert isinstance(loaded.model, FrozenEstimator)
    assert loaded.model.estimator is loaded.model_
    np.testing.assert_array_equal(loaded.model_.score_samples(table), model.score_samples(table))


def test_a_frozen_estimator_of_scikit_learn_is_one_object_again(fit, table, tmp_path):
    mixture = GaussianMixture(2, random_state=0).fit(table)
    detector = fit(ConformalDetector(FrozenEstimator(mixture)))
    loaded = save_and_load(detector, tmp_path)
    assert loaded.estimator.estimator is loaded.estimator_
    np.testing.assert_array_equal(loaded.score_samples(table), detector.score_samples(table))


def test_snapshots_and_history_are_kept(fit, table, tmp_path):
    model = fit(small(MAF).set_params(trainer=Trainer(snapshot_epochs=(1,))))
    loaded = save_and_load(model, tmp_path)
    assert loaded.history_ == model.history_ and loaded.n_iter_ == 2
    early, expected = loaded.at_epoch(1), model.at_epoch(1)
    np.testing.assert_array_equal(early.score_samples(table), expected.score_samples(table))


def test_names_of_columns_and_the_output_of_transform_are_kept(fit, table, tmp_path):
    frame = pd.DataFrame(table, columns=list("abcd"))
    loaded = save_and_load(fit(small(MAF).set_output(transform="pandas"), frame), tmp_path)
    assert list(loaded.feature_names_in_) == list("abcd")
    assert isinstance(loaded.transform(frame), pd.DataFrame)
    with pytest.raises(ValueError, match="feature names"):
        loaded.score_samples(frame[list("bacd")])


@pytest.mark.parametrize("state", [7, np.random.RandomState(7), np.random.RandomState(7)])
def test_a_random_state_goes_on_where_it_was(state, table, tmp_path):
    if state != 7:
        state.normal(size=3)  # so that one number is left over
    model = small(MAF).set_params(random_state=state).fit(table)
    loaded = save_and_load(model, tmp_path)
    again = [clone(each).fit(table).score_samples(table) for each in (loaded, model)]
    np.testing.assert_array_equal(*again)


def test_a_device_that_is_not_here_can_be_replaced(fit, table, tmp_path):
    detector = fit(Likelihood(small(MAF)))
    expected = detector.score_samples(table)
    for model in (detector.model, detector.model_):
        model.device = "cuda:7"  # as if they had been trained there
    detector.save(tmp_path / "file")
    with pytest.raises(ValueError, match=r"device='cuda:7' .* skood.load\(path, device='cpu'\)"):
        skood.load(tmp_path / "file").score_samples(table)
    loaded = skood.load(tmp_path / "file", device="cpu")
    assert loaded.model.device == loaded.model_.device == "cpu"
    np.testing.assert_array_equal(loaded.score_samples(table), expected)


def test_a_device_that_cannot_be_used_is_named_at_once(tmp_path):
    with pytest.raises(ValueError, match="device='no such'"):
        skood.load(tmp_path / "no file", device="no such")


class Shifted(KNNDistance):
    """A detector of somebody else's, with a class of that name."""


def test_classes_of_others_have_to_be_given(fit, table, tmp_path):
    fit(Shifted()).save(tmp_path / "file")
    with pytest.raises(LoadError, match=r"holds a 'Shifted' \(of '.*'\).*classes=\[the class\]"):
        skood.load(tmp_path / "file")
    loaded = skood.load(tmp_path / "file", classes=[Shifted])
    assert type(loaded) is Shifted and len(loaded.score_samples(table)) == len(table)


def test_a_class_with_the_name_of_one_of_skood_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"classes has .*KNNDistance.*Rename"):
        skood.load(tmp_path / "file", classes=[type("KNNDistance", (KNNDistance,), {})])


def test_what_belongs_to_this_machine_or_is_code_is_left_out_with_a_warning(fit, tmp_path):
    trainer = Trainer(callbacks=[object()], patience=3)
    detector = fit(Likelihood(small(MAF)))
    detector.set_params(memory="cache", model__trainer=trainer)
    vars(detector)["_skl_callbacks"] = [object()]  # as set_callbacks of scikit-learn 1.9 does
    with pytest.warns(UserWarning, match="is not saved") as caught:
        detector.save(tmp_path / "file")
    said = [str(warning.message).split()[0] for warning in caught]
    own = ["Likelihood._skl_callbacks", "Likelihood.memory"]
    assert sorted(said) == [*own, "Likelihood.model.trainer.callbacks"]
    loaded = skood.load(tmp_path / "file")
    assert loaded.memory is None
    assert loaded.model.trainer.callbacks == () and loaded.model.trainer.patience == 3


def test_a_checkpoint_is_no_estimator(fit, tmp_path):
    fit(small(MAF).set_params(trainer=Trainer(checkpoint=tmp_path / "file")))
    with pytest.raises(LoadError, match="it holds no estimator; a checkpoint is for Trainer"):
        skood.load(tmp_path / "file")


def test_an_estimator_that_is_not_fitted_is_refused(tmp_path):
    with pytest.raises(NotFittedError, match="HVAE"):
        HVAE().save(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "estimator, held",
    [
        (KernelDensity(), "KDTree"),
        (LocalOutlierFactor(novelty=True), "KDTree"),
        (make_pipeline(IsolationForest()), "Tree"),
    ],
)
def test_estimators_that_are_not_safe_to_load_are_refused_by_name(estimator, held, fit, tmp_path):
    detector = fit(ConformalDetector(estimator))
    with pytest.raises(ValueError, match=rf"estimator_ is a .*{held}.* not safe to load"):
        detector.save(tmp_path / "file")


def test_without_skops_the_error_names_the_extra(fit, tmp_path, monkeypatch):
    detector = fit(Likelihood(GaussianMixture(2)))
    detector.save(tmp_path / "file")
    monkeypatch.setitem(sys.modules, "skops", None)
    with pytest.raises(ImportError, match=r"Saving Likelihood.*pip install 'skood\[skops\]'"):
        detector.save(tmp_path / "other")
    with pytest.raises(ImportError, match=r"pip install 'skood\[skops\]'"):
        skood.load(tmp_path / "file")


def score_into(connection, path, X):
    connection.send(skood.load(path).score_samples(X))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
def test_a_forked_process_loads_after_its_parent_has_used_threads(fit, table, tmp_path):
    detector = fit(KNNDistance(), np.tile(table, (2000, 1)))  # arrays that torch copies in parallel
    detector.save(tmp_path / "file")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.ones(2**20).add(1)
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=score_into, args=(theirs, tmp_path / "file", table))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks, which are tested
            child.start()
    finally:
        torch.set_num_threads(before)
    try:
        assert ours.poll(60), "the forked process hangs, or died"
        np.testing.assert_array_equal(ours.recv(), detector.score_samples(table))
    finally:
        child.kill()
        child.join()


def test_another_process_gets_the_same_scores(flow_detector, table, tmp_path):
    flow_detector.save(tmp_path / "file")
    np.save(tmp_path / "X.npy", table)
    code = (
        "import numpy, skood; print(skood.load('file').score_samples(numpy.load('X.npy')).tolist())"
    )
    run = [sys.executable, "-W", "error::UserWarning", "-c", code]
    printed = subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert printed.strip() == str(flow_detector.score_samples(table).tolist())
