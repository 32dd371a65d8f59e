"""Models as they were after some epochs of their training."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skood import ELBO, HVAE, MAF, Glow, GradientNorm, Trainer
from skood.testing import easy_images, small

# After an epoch or two no layer has learned anything yet.
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")

X = easy_images(60)


def fit(model_class, max_epochs, snapshot_epochs=(), **trainer):
    """Nothing in the training depends on how many epochs there will be."""
    options = {"lr_schedule": "constant", "patience": None} | trainer
    trainer = Trainer(snapshot_epochs=snapshot_epochs, **options)
    options = {"batch_size": 16, "random_state": 0, "max_epochs": max_epochs, "trainer": trainer}
    if model_class is HVAE:
        options["objective"] = ELBO(free_bits=0, warmup=0)
    return small(model_class, **options).fit(X)


@pytest.fixture(scope="module", params=[Glow, MAF, HVAE], ids=lambda model: model.__name__)
def model_class(request):
    return request.param


@pytest.fixture(scope="module")
def trained(model_class):
    return fit(model_class, 3, (1, 2))


@pytest.fixture
def model(trained):
    """A copy, of which tests may change the weights."""
    return pickle.loads(pickle.dumps(trained))


def fill(model, value):
    with torch.no_grad():
        for p in model.network_.parameters():
            p.fill_(value)


def test_the_epochs_asked_for_are_kept(trained):
    assert sorted(trained.snapshots_) == [1, 2]
    assert all(
        s.keys() == trained.network_.state_dict().keys() for s in trained.snapshots_.values()
    )


def test_no_epoch_is_kept_unless_asked_for():
    assert fit(MAF, 1).snapshots_ == {}


def test_an_epoch_that_is_not_reached_is_not_kept():
    assert list(fit(MAF, 2, (1, 9)).snapshots_) == [1]


def test_the_weights_of_an_epoch_are_kept_though_the_best_network_is_an_earlier_one():
    early_stopping = {"patience": 1, "validation_fraction": 0.3}
    model = fit(MAF, 2, (1, 2), **early_stopping)
    assert any(
        not torch.equal(model.snapshots_[1][name], weight)
        for name, weight in model.snapshots_[2].items()
    )


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_model_at_an_epoch_is_one_trained_for_so_many_epochs(epoch, model_class, trained):
    short, snapshot = fit(model_class, epoch), trained.at_epoch(epoch)
    np.testing.assert_array_equal(snapshot.score_samples(X), short.score_samples(X))
    assert snapshot.n_iter_ == short.n_iter_ == epoch
    for name in ("train_loss", "bound", "kl"):
        assert snapshot.history_[name] == short.history_[name]


def test_taking_a_snapshot_does_not_change_the_training(model_class, trained):
    without = fit(model_class, 3)
    np.testing.assert_array_equal(without.score_samples(X), trained.score_samples(X))


def test_the_last_epoch_is_the_model_itself(model_class):
    model = fit(model_class, 1, (1,))
    np.testing.assert_array_equal(model.at_epoch(1).score_samples(X), model.score_samples(X))


def test_changing_the_model_leaves_its_snapshots_alone(model):
    snapshot = model.at_epoch(1)
    before = snapshot.score_samples(X)
    fill(model, 0.01)
    np.testing.assert_array_equal(snapshot.score_samples(X), before)
    np.testing.assert_array_equal(model.at_epoch(1).score_samples(X), before)


def test_changing_a_snapshot_leaves_the_model_and_the_next_one_alone(model):
    snapshot, before = model.at_epoch(1), model.score_samples(X)
    first = snapshot.score_samples(X)
    fill(snapshot, 0.01)
    np.testing.assert_array_equal(model.score_samples(X), before)
    np.testing.assert_array_equal(model.at_epoch(1).score_samples(X), first)


def test_a_snapshot_leaves_number_and_history_of_the_epochs_of_the_model_alone(model):
    model.at_epoch(1)
    assert model.n_iter_ == 3 and {len(values) for values in model.history_.values()} == {3}


def test_an_epoch_that_was_not_kept_is_refused_with_those_that_were(model):
    message = r"epoch=3 was not kept, but \[1, 2\] of the 3 epochs .*snapshot_epochs=\.\.\."
    with pytest.raises(ValueError, match=message):
        model.at_epoch(3)


def test_a_model_that_kept_no_epoch_says_so():
    with pytest.raises(ValueError, match="epoch=1 was not kept, but none of the 2 epochs"):
        fit(MAF, 2).at_epoch(1)


def test_pickles_keep_the_snapshots(trained):
    expected = trained.at_epoch(1).score_samples(X)
    restored = pickle.loads(pickle.dumps(trained)).at_epoch(1)
    np.testing.assert_array_equal(restored.score_samples(X), expected)


def test_a_clone_has_no_snapshots(trained):
    copy = clone(trained)
    assert not hasattr(copy, "snapshots_")
    with pytest.raises(NotFittedError):
        copy.at_epoch(1)


def test_a_detector_takes_the_model_at_an_epoch(trained):
    detector = GradientNorm(FrozenEstimator(trained.at_epoch(1)), random_state=0).fit(X)
    at_the_end = GradientNorm(FrozenEstimator(trained), random_state=0).fit(X)
    assert np.isfinite(detector.ood_score(X)).all()
    assert (detector.ood_score(X) != at_the_end.ood_score(X)).any()


@pytest.mark.parametrize("epoch", [0, -1, 1.0, "1", None, [1]])
def test_what_is_no_epoch_is_named(epoch):
    model = small(MAF, trainer=Trainer(snapshot_epochs=(1,))).fit(np.ones((30, 2)))
    with pytest.raises(ValueError, match=r"was not kept, but \[1\] of the 2 epochs"):
        model.at_epoch(epoch)
