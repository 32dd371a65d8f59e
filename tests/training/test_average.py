"""`Trainer(weight_average=...)`: the network that is kept has averages of all weights."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skood import HVAE, MAF, Glow, Trainer
from skood.testing import easy_images, small
from skood.training.average import WeightAverage

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
TABLE = np.random.default_rng(0).normal(3, 1, (60, 3))
IMAGES = easy_images(60)


def one_weight(value, count=0):
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, value)
    network.register_buffer("count", torch.tensor(count))
    return network


def test_the_average_is_exponential_once_it_is_long_enough():
    average = WeightAverage(one_weight(1.0), decay=0.5)
    for n_steps, value in [(100, 3.0), (101, 4.0)]:
        average.update(one_weight(value), n_steps)
    assert average.network.weight.item() == pytest.approx(0.5 * (0.5 * 1 + 0.5 * 3) + 0.5 * 4)


def test_the_first_weights_are_soon_forgotten():
    average = WeightAverage(one_weight(1000.0), decay=0.9999)
    for n_steps in range(1, 101):
        average.update(one_weight(0.0), n_steps)
    assert 0 < average.network.weight.item() < 1e-6


def test_of_buffers_there_is_the_last_value():
    average = WeightAverage(one_weight(1.0, count=1), decay=0.9)
    average.update(one_weight(1.0, count=7), 1)
    assert average.network.count.item() == 7


def test_the_network_before_its_steps_is_not_touched():
    network = one_weight(1.0)
    WeightAverage(network, decay=0.9).update(one_weight(2.0), 1)
    assert network.weight.item() == 1.0


class Record(Callback):
    """Weights after each step; outside of the callback, of which estimators make copies."""

    weights = []

    def on_batch_end(self, net, training=False, **kwargs):
        # A schedule, and an average, come after skorch's step, and before its callbacks.
        Record.weights.append([p.detach().clone() for p in net.module_.parameters()])


def fitted(model_class=MAF, X=TABLE, **options):
    trainer = {"patience": None, **options}
    model = small(model_class, max_epochs=5, batch_size=16, random_state=0)
    return model.set_params(trainer=Trainer(**trainer)).fit(X)


def test_a_model_has_the_average_of_the_weights_of_all_steps():
    Record.weights.clear()
    found = fitted(weight_average=0.8, callbacks=(Record(),))
    averages = None
    for n_steps, weights in enumerate(Record.weights, 1):
        decay = min(0.8, (1 + n_steps) / (10 + n_steps))
        # The first is of the network before its first step, which no callback has seen: after 15
        # steps hardly anything is left of it.
        averages = averages or weights
        averages = [decay * a + (1 - decay) * w for a, w in zip(averages, weights, strict=True)]
    for parameter, average, last in zip(
        found.network_.parameters(), averages, Record.weights[-1], strict=True
    ):
        torch.testing.assert_close(parameter.detach(), average, rtol=1e-3, atol=1e-5)
        assert not torch.equal(parameter, last)


@pytest.mark.parametrize("model_class, X", [(HVAE, IMAGES), (Glow, IMAGES), (MAF, TABLE)])
def test_training_itself_is_the_same(model_class, X):
    plain, averaged = fitted(model_class, X), fitted(model_class, X, weight_average=0.9)
    assert averaged.history_["train_loss"] == plain.history_["train_loss"]
    assert averaged.history_["bound"] != plain.history_["bound"]
    assert not np.array_equal(averaged.score_samples(X), plain.score_samples(X))


def test_held_out_bounds_snapshots_and_the_best_network_are_of_averaged_weights():
    found = fitted(weight_average=0.9, patience=5, snapshot_epochs=(5,))
    kept = found.network_.state_dict()
    assert found.history_["bound"].index(max(found.history_["bound"])) == 4  # the last is the best
    assert all(torch.equal(kept[name], value) for name, value in found.snapshots_[5].items())
    last = fitted(weight_average=0.9)
    assert all(torch.equal(kept[name], value) for name, value in last.network_.state_dict().items())


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5, "0.9"])
def test_a_weight_out_of_range_is_refused_by_its_name(decay):
    with pytest.raises(ValueError, match="'weight_average' parameter of Trainer must be"):
        fitted(weight_average=decay)
