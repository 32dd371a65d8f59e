"""What every generative model does, seen on a small HVAE."""

import pickle
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from skood import ELBO, HVAE, Glow, InterruptedFitWarning, Trainer, TrainingError
from skood.testing import easy_images, small

TABLE = np.random.default_rng(0).normal(5, [1, 20, 0.1, 3], (300, 4))
IMAGES = easy_images(120)
COLOUR = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
# Models of two epochs serve here, whatever their layers have learned.
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


def hvae(**options):
    options = {"width": 8, "max_epochs": 2, "trainer": Trainer(patience=None)} | options
    return HVAE((4, 3, 2), **({"random_state": 0} | options))


@pytest.fixture(scope="module")
def of_table():
    return hvae(max_epochs=10).fit(TABLE)


@pytest.fixture(scope="module")
def of_images():
    return hvae().fit(IMAGES)


def test_bits_per_dim_are_nats_by_values_and_the_logarithm_of_2(of_images):
    expected = -of_images.score_samples(IMAGES) / (64 * np.log(2))
    np.testing.assert_allclose(of_images.bits_per_dim(IMAGES), expected)


def test_reconstructions_come_from_the_layers_above_k(of_images):
    images = [of_images.reconstruct(IMAGES, k=k) for k in (0, 1, 2)]
    assert all(x.shape == IMAGES.shape and x.min() >= 0 and x.max() <= 255 for x in images)
    assert not np.allclose(images[0], images[1]) and not np.allclose(images[1], images[2])


@pytest.mark.parametrize("k", [-1, 3, 0.5, "1"])
def test_a_wrong_k_is_refused_with_the_range(of_images, k):
    with pytest.raises(ValueError, match=r"k must be an integer from 0 to 2.*3 latent layers"):
        of_images.reconstruct(IMAGES, k=k)


def test_samples_are_reproducible_and_follow_the_random_state(of_table):
    one, again, other = (of_table.sample(5, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()


@pytest.mark.parametrize("unit", [2.0**-60, 2.0**10, 2.0**60])
def test_the_density_is_in_the_units_of_x(of_table, unit):
    scaled = hvae(max_epochs=10).fit(unit * TABLE)
    expected = of_table.score_samples(TABLE) - 4 * np.log(unit)
    np.testing.assert_allclose(scaled.score_samples(unit * TABLE), expected, atol=1e-3)


def test_scores_do_not_depend_on_order_or_company(of_images):
    X = easy_images(300, random_state=1)
    order = np.random.default_rng(0).permutation(300)
    scores = of_images.score_samples(X)
    np.testing.assert_array_equal(of_images.score_samples(X[order]), scores[order])
    np.testing.assert_array_equal(of_images.score_samples(X[7:8]), scores[7:8])


def test_bytes_score_alike_in_any_type(of_images):
    scores = of_images.score_samples(IMAGES)
    for X in (IMAGES.astype(np.float32), IMAGES.astype(float), IMAGES.astype(int)):
        np.testing.assert_array_equal(of_images.score_samples(X), scores)
    for X in (torch.tensor(IMAGES), torch.tensor(IMAGES).float(), torch.tensor(IMAGES).long()):
        np.testing.assert_array_equal(of_images.score_samples(X), scores)


def test_fitting_on_a_tensor_or_on_an_array_is_the_same(of_images):
    model = hvae().fit(torch.tensor(IMAGES))
    np.testing.assert_array_equal(model.score_samples(IMAGES), of_images.score_samples(IMAGES))


def test_a_memory_map_is_as_good_as_an_array(of_images, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    X = np.load(tmp_path / "images.npy", mmap_mode="r")
    scores = of_images.score_samples(IMAGES)
    np.testing.assert_array_equal(of_images.score_samples(X), scores)
    np.testing.assert_array_equal(hvae().fit(X).score_samples(X), scores)


@pytest.mark.parametrize(
    "fitted, scored, remedy",
    [
        (IMAGES, IMAGES / 255, "fitted on 8-bit images.* Give uint8"),
        (IMAGES / 255, IMAGES, r"pixels in \[0, 1\].* X / 255"),
        (IMAGES / 255, IMAGES / 1.0, r"pixels in \[0, 1\].* X / 255"),
    ],
)
def test_another_scale_than_the_fitted_one_is_refused(fitted, scored, remedy):
    model = hvae(max_epochs=1).fit(fitted)
    with pytest.raises(ValueError, match=remedy):
        model.score_samples(scored)


@pytest.mark.parametrize("far", [1e6, -1e6, 1e30, 1e300])
def test_rows_far_out_get_finite_scores_and_lower_ones(of_table, far):
    bounds, nll = of_table.bounds(np.full((1, 4), far), n_importance_samples=2)
    assert np.isfinite(bounds).all() and np.isfinite(nll).all()
    assert bounds[0, 0] < of_table.score_samples(TABLE).min()


def test_a_constant_feature_is_no_obstacle():
    X = TABLE.copy()
    X[:, 2] = 0.1
    model = hvae().fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    X[:, 2] = 7
    assert np.isfinite(model.score_samples(X)).all()


@pytest.mark.parametrize("X", [TABLE, IMAGES, COLOUR], ids=["table", "grey", "colour"])
def test_a_single_row_can_be_fitted(X):
    model = hvae().fit(X[:1])
    assert np.isfinite(model.score_samples(X[:5])).all()


@pytest.mark.parametrize("network", ["patch", "resnet"])
def test_the_scores_of_a_pickle_are_bitwise_equal(network):
    model = hvae(network=network, max_epochs=1).fit(IMAGES)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.score_samples(IMAGES), model.score_samples(IMAGES))


def test_a_clone_is_not_fitted_and_its_fit_is_bitwise_equal(of_images):
    cloned = clone(of_images)
    assert not hasattr(cloned, "network_")
    np.testing.assert_array_equal(
        cloned.fit(IMAGES).score_samples(IMAGES), of_images.score_samples(IMAGES)
    )


def test_another_random_state_gives_another_model(of_images):
    other = hvae(random_state=1).fit(IMAGES)
    assert (other.score_samples(IMAGES) != of_images.score_samples(IMAGES)).all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda model: (model.set_params(width=-1), TABLE),
        lambda model: (model, np.full((5, 4), np.nan)),
        lambda model: (model.set_params(network="patch"), TABLE[:, :2]),
        lambda model: (model.set_params(objective=lambda *_: torch.tensor(np.nan)), IMAGES),
    ],
    ids=["parameter", "not finite", "architecture", "loss"],
)
def test_a_failed_refit_leaves_the_old_fit_usable(spoil):
    model = hvae().fit(TABLE)
    before, scores = dict(vars(model)), model.score_samples(TABLE)
    model, X = spoil(model)
    with pytest.raises((ValueError, TrainingError)):
        model.fit(X)
    assert {name: vars(model)[name] for name in before if name.endswith("_")} == {
        name: value for name, value in before.items() if name.endswith("_")
    }
    np.testing.assert_array_equal(model.score_samples(TABLE), scores)


def test_an_interrupted_fit_can_be_used():
    class Interrupt(Callback):
        """Ctrl-C at the end of the second epoch."""

        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    model = hvae(max_epochs=9, trainer=Trainer(callbacks=(Interrupt(),)))
    with pytest.raises(KeyboardInterrupt):
        model.fit(IMAGES)
    assert model.n_iter_ == 2
    assert np.isfinite(model.score_samples(IMAGES)).all()
    model.set_params(trainer__on_interrupt="keep")
    with pytest.warns(InterruptedFitWarning, match="after 2 epochs"):
        model.fit(IMAGES)
    assert model.n_iter_ == 2
    assert np.isfinite(model.score_samples(IMAGES)).all()


def test_early_stopping_is_silent_and_shortens_the_history():
    X = TABLE[:150]  # fifteen rows are held out
    trainer = Trainer(patience=1)
    model = hvae(max_epochs=200, learning_rate=0.1, trainer=trainer).fit(X)
    assert model.n_iter_ == len(model.history_["bound"]) < 200


@pytest.mark.parametrize("random_state", [None, 0])
def test_no_global_state_is_read_or_changed(random_state):
    def state():
        legacy = np.random.get_state()[1].tolist()  # noqa: NPY002
        return torch.get_rng_state().tolist(), legacy, torch.get_num_threads()

    before = state()
    model = hvae(random_state=random_state).fit(IMAGES)
    model.bounds(IMAGES)
    model.sample(2)
    assert state() == before


def test_scoring_writes_nothing(of_images):
    before = pickle.dumps(of_images)
    of_images.bounds(IMAGES, n_importance_samples=2)
    of_images.reconstruct(IMAGES)
    of_images.transform(IMAGES)
    assert pickle.dumps(of_images) == before


@pytest.mark.parametrize("verbose, n_lines", [(0, 0), (1, 2)])
def test_verbose_prints_a_line_per_epoch(verbose, n_lines, capsys):
    hvae(verbose=verbose).fit(TABLE)
    captured = capsys.readouterr()
    shown = captured.out.splitlines()
    assert len(shown) == n_lines and captured.err == ""
    assert all(re.match(r"HVAE: epoch [12]/2, bound -\S+, ", line) for line in shown)


def test_the_history_names_what_each_layer_carries(of_table):
    history = of_table.history_
    assert np.shape(history["kl"]) == np.shape(history["active_units"]) == (10, 3)
    assert (np.array(history["active_units"]) <= [4, 3, 2]).all()
    assert history["bound"][-1] > history["bound"][0]


def test_the_number_of_layers_is_known_before_the_fit():
    assert hvae().count_layers(TABLE) == 3
    with pytest.raises(ValueError, match="for tables"):
        hvae(network="mlp").count_layers(IMAGES)


def test_an_objective_that_is_a_class_is_refused():
    with pytest.raises(ValueError, match=r"got the class. Write ELBO\(\)"):
        small(HVAE, objective=ELBO).fit(easy_images(20))


@pytest.mark.parametrize("n_samples", [0, -1, 1.5, None, "a"])
def test_a_number_of_samples_that_is_none_is_named(n_samples):
    model = small(HVAE).fit(easy_images(30))
    with pytest.raises(
        ValueError, match=f"n_samples must be a positive integer; got {n_samples!r}"
    ):
        model.sample(n_samples)


def test_two_models_see_the_same_noise_where_one_is_told_to():
    first, second = (small(Glow, random_state=seed).fit(IMAGES) for seed in (0, 1))
    second.network_.load_state_dict(first.network_.state_dict())
    before = second.score_samples(IMAGES)
    assert (before != first.score_samples(IMAGES)).all()
    alike = second.with_scoring_noise_of(first)
    np.testing.assert_array_equal(alike.score_samples(IMAGES), first.score_samples(IMAGES))
    np.testing.assert_array_equal(second.score_samples(IMAGES), before)
