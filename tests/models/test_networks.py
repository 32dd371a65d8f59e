"""What the networks of all models can do, from what they are built, and their use after a fork."""

import multiprocessing
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV

from skood import HVAE, MAF, VAE, Gaussian, Glow, GradientNorm, Likelihood, SeReMAF
from skood.core.modes import explicit_construction
from skood.core.protocols import (
    DensityNetwork,
    Initialisable,
    InvertibleNetwork,
    LatentNetwork,
    ScoreNetwork,
)
from skood.models._flow import FlowMixin
from skood.models._latent_variables import LatentVariablesMixin
from skood.testing import all_models, all_trained_models, easy_images, image_layouts, small

pytestmark = [
    pytest.mark.filterwarnings("ignore::skood.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning"),
]

TABLE = np.random.default_rng(0).normal(5, [1, 20, 0.1, 3], (120, 4))
ROWS = {
    "grey": easy_images(60),
    "colour": image_layouts(60)["colour bytes, channels last"],
    "table": TABLE,
}
EVERY = pytest.mark.parametrize("model", all_models())
KINDS = pytest.mark.parametrize("kind", ROWS)
LATENT = [model for model in all_models() if issubclass(model, LatentVariablesMixin)]


@KINDS
@EVERY
def test_a_network_can_do_what_its_model_promises(model, kind):
    network = small(model).fit(ROWS[kind]).network_
    assert isinstance(network, DensityNetwork)
    assert isinstance(network, LatentNetwork) == (model in LATENT)
    assert isinstance(network, InvertibleNetwork) == issubclass(model, FlowMixin)
    assert isinstance(network, ScoreNetwork) == (model is Gaussian)


@KINDS
@EVERY
def test_a_network_is_initialisable_where_a_first_batch_sets_some_parameters(model, kind):
    network = small(model).fit(ROWS[kind]).network_
    sets_some = any(hasattr(module, "initialising") for module in network.modules())
    assert isinstance(network, Initialisable) == sets_some
    if model is Glow:
        assert sets_some


@KINDS
@EVERY
def test_a_network_can_be_built_again_from_its_rows_and_weights_alone(model, kind):
    fitted = small(model, random_state=0).fit(ROWS[kind])
    expected = fitted.score_samples(ROWS[kind])
    kept = pickle.dumps((fitted.rows_, fitted.network_.state_dict()))
    rows, weights = pickle.loads(kept)
    with explicit_construction(1):
        again = fitted._build_network(rows)
    again.load_state_dict(weights)
    fitted.network_ = again.eval()
    np.testing.assert_array_equal(fitted.score_samples(ROWS[kind]), expected)


class ShapeOnly:
    """Nothing but a shape: whoever looks at a value fails."""

    def __init__(self, shape):
        self.shape = shape


@KINDS
@pytest.mark.parametrize("model", LATENT)
def test_layers_are_counted_from_the_shape_without_a_network(model, kind, monkeypatch):
    estimator = small(model)
    expected = estimator.fit(ROWS[kind]).n_layers_

    def refuse(*_):
        raise AssertionError("a network is built")

    monkeypatch.setattr(model, "_build_network", refuse)
    assert small(model).count_layers(ShapeOnly(ROWS[kind].shape)) == expected


def test_the_bounds_of_a_flow_on_a_table_are_finite():
    bounds, nll = small(MAF, random_state=0).fit(TABLE).bounds(TABLE)
    assert np.isfinite(bounds).all() and np.isfinite(nll).all()
    np.testing.assert_array_equal(nll, -bounds)


# --------------------------------------------------------------------------- parameters of defaults


@pytest.mark.parametrize("model", all_trained_models())
def test_parameters_of_the_default_trainer_can_be_set(model):
    estimator = model().set_params(trainer__patience=3)
    assert estimator.get_params()["trainer__patience"] == 3
    assert model().trainer is None


@pytest.mark.parametrize("detector", [Likelihood, GradientNorm])
def test_parameters_of_the_default_model_can_be_set(detector):
    estimator = detector().set_params(model__max_epochs=2, model__trainer__patience=4)
    assert estimator.model.max_epochs == 2 and estimator.model.trainer.patience == 4
    assert detector().model is None


@pytest.mark.parametrize("model", [HVAE, VAE, SeReMAF])
def test_a_default_that_depends_on_the_data_has_no_parameters_to_set(model):
    estimator = model()
    with pytest.raises(ValueError, match=r"objective is None.*Give an instance as objective"):
        estimator.set_params(objective__free_bits=1.0)
    assert estimator.objective is None


def test_a_grid_search_goes_through_parameters_of_defaults():
    search = GridSearchCV(
        Likelihood(small(MAF, trainer=None), random_state=0),
        {"model__trainer__patience": [1, 2]},
        scoring=lambda detector, X, y=None: float(detector.score_samples(X).mean()),
        cv=2,
    ).fit(TABLE)
    assert search.best_estimator_.model.trainer.patience in (1, 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# ----------------------------------------------------------------------------------- after a fork


def score_into(connection, detector, X):
    connection.send(detector.score_samples(X))


def scores_in_a_fork(detector, X):
    """What a forked process gives; fails if it does not end within a minute."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=score_into, args=(theirs, detector, X))
    with warnings.catch_warnings():
        # Python 3.12 and later warn of forks of processes with threads: that is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    try:
        assert ours.poll(60), "the forked process hangs, or died"
        return ours.recv()
    finally:
        child.kill()
        child.join()


@pytest.fixture
def two_threads():
    """torch has used two threads in this process."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    big = torch.ones(512, 512)
    (big @ big).exp().sum()
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("detector", [Likelihood, GradientNorm])
@pytest.mark.parametrize("model", [HVAE, Glow, Gaussian])
def test_a_forked_process_scores_without_hanging(detector, model):
    X = easy_images(200, side=16)
    fitted = detector(small(model), random_state=0).fit(X)
    expected = fitted.score_samples(X)
    np.testing.assert_array_equal(scores_in_a_fork(fitted, X), expected)
