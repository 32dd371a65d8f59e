"""No training ends in silence with weights or bounds that are not finite, or worse than before."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from skood import ELBO, HVAE, MAF, Trainer, TrainingError
from skood.testing import small
from skood.training.diagnostics import check_finite, warn_if_diverged
from skood.training.state import TrainingState

X = np.random.default_rng(0).normal(3, 1, (60, 3))
N_STEPS = 9  # 3 epochs of 3 batches


class SpoiltAt:
    """The ELBO, but for one step, whose gradient is not finite though its loss is."""

    def __init__(self, step):
        self.step = step

    def __call__(self, network, x, noise, progress):
        loss = ELBO()(network, x, noise, progress)
        if progress.step != self.step:
            return loss
        weights = torch.cat([p.flatten() for p in network.parameters()])
        return loss + (0 * weights.abs().sum()).sqrt()  # sqrt has an infinite slope at 0: inf * 0


@pytest.mark.parametrize("step, epoch", [(N_STEPS - 1, 3), (2, 1)])
def test_weights_that_the_last_step_of_an_epoch_made_nan_are_an_error(step, epoch):
    model = small(HVAE, max_epochs=3, batch_size=16, objective=SpoiltAt(step))
    with pytest.raises(TrainingError, match=rf"not finite after epoch {epoch}\. Lower learning"):
        model.fit(X)
    assert not model.__sklearn_is_fitted__()


def test_a_loss_that_became_nan_is_an_error_that_names_epoch_and_batch():
    model = small(HVAE, max_epochs=3, batch_size=16, objective=SpoiltAt(3))
    with pytest.raises(TrainingError, match=r"The loss is nan in epoch 2, batch 2\. Lower learn"):
        model.fit(X)


def test_a_model_that_was_fitted_before_keeps_its_weights_through_the_error():
    model = small(HVAE, max_epochs=3, batch_size=16, objective=None, random_state=0).fit(X)
    expected = model.score_samples(X)
    with pytest.raises(TrainingError):
        model.set_params(objective=SpoiltAt(N_STEPS - 1)).fit(X)
    np.testing.assert_array_equal(model.score_samples(X), expected)


@pytest.mark.parametrize("model_class, rate", [(MAF, 100.0), (HVAE, 0.5)])
@pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
def test_a_loss_that_explodes_but_stays_finite_warns_with_the_bounds_and_the_rate(
    model_class, rate
):
    trainer = Trainer(patience=None, lr_schedule="constant")
    model = small(model_class, max_epochs=3, learning_rate=rate, batch_size=8, trainer=trainer)
    with pytest.warns(ConvergenceWarning, match=rf"diverged.*\(now {rate:g}\)") as caught:
        model.set_params(random_state=0).fit(X)
    assert f"{min(model.history_['bound']):.4g} at its worst" in str(caught[0].message)
    assert np.isfinite(model.score_samples(X)).all()


def diverged(bounds, best=None):
    history = [{"bound": bound} for bound in bounds]
    state = TrainingState(initial_bound=-5.0, history=history)
    if best is not None:
        state.best_weights, state.best_loss = {}, -best
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_if_diverged(state, 0.1)
    return len(caught) == 1


@pytest.mark.parametrize(
    "bounds, best, expected",
    [
        ([-4, -3], None, False),
        ([-4, -50], None, False),  # pure noise can be fitted no better than at first
        ([-4, -56], None, True),
        ([-4, -56], -4, False),  # the best network is kept, and the rise was small
        ([-4, -506], -4, True),
        ([-60, -61], -60, True),
        ([], None, False),
    ],
)
def test_only_a_fall_far_beyond_the_first_bound_is_a_divergence(bounds, best, expected):
    assert diverged(bounds, best) == expected


@pytest.mark.parametrize("model_class", [HVAE, MAF])
def test_a_table_with_a_huge_value_in_one_column_names_that_column(model_class):
    table = X.copy()
    table[7, 2] = 1e200
    with pytest.raises(ValueError, match=r"Column 2 of X holds values as large as 1e\+200"):
        small(model_class).fit(table)


@pytest.mark.parametrize("what", [math.nan, -math.inf])
def test_a_bound_that_is_not_finite_is_an_error(what, monkeypatch):
    found = SimpleNamespace(bound=what, kl=[], active_units=[])
    monkeypatch.setattr("skood.training.loop.diagnose", lambda *_: found)
    with pytest.raises(
        TrainingError, match=f"The bound is {what}, which is not finite after epoch"
    ):
        small(MAF).fit(X)


def test_weights_that_are_not_finite_are_an_error_though_the_bound_does_not_show_them():
    network = torch.nn.Linear(2, 1)
    check_finite(network, -3.0, 4, 0.1)
    with torch.no_grad():
        network.bias.fill_(math.nan)
    with pytest.raises(TrainingError, match=r"The weights bias are not finite after epoch 4\."):
        check_finite(network, -3.0, 4, 0.1)
