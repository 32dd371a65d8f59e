"""Bounds of the log-likelihood, seen on a small HVAE."""

import copy
import itertools
import weakref

import numpy as np
import pytest
import torch

from skood import HVAE
from skood.core.noise import Noise
from skood.testing import easy_images, tensor_of

TABLE = np.random.default_rng(0).normal(5, [1, 20, 0.1, 3], (300, 4))
IMAGES = easy_images(120)
# Models of two epochs serve here, whatever their layers have learned.
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")


@pytest.fixture(scope="module")
def of_table(make):
    return make(HVAE, (4, 3, 2), width=8, max_epochs=10).fit(TABLE)


@pytest.fixture(scope="module")
def of_images(make):
    return make(HVAE, (4, 3, 2), width=8, max_epochs=2).fit(IMAGES)


def passes(model, X, sample, prior_layers=frozenset(), below="mean"):
    """The terms of one importance sample, straight from the network."""
    noise = Noise([model.seed_, 5], shared=True).fork(sample)
    x = tensor_of(X)
    with torch.no_grad():
        return model.network_.terms(x, noise, prior_layers, below)


@pytest.mark.parametrize("n_importance_samples", [1, 3])
def test_the_bound_with_no_layer_from_the_prior_is_the_score(of_images, n_importance_samples):
    scores = of_images.score_samples(IMAGES, n_importance_samples=n_importance_samples)
    for prior_layers in (None, [()], [range(4, 4), {3}]):
        options = {"n_importance_samples": n_importance_samples, "prior_layers": prior_layers}
        np.testing.assert_array_equal(of_images.bounds(IMAGES, **options)[0][0], scores)


def test_by_default_one_layer_more_comes_from_the_prior_in_each_bound(of_images):
    bounds, nll = of_images.bounds(IMAGES)
    expected = of_images.bounds(IMAGES, prior_layers=[[], [1], (np.int64(2), 1)])
    np.testing.assert_array_equal([bounds, nll], expected)


@pytest.mark.parametrize("prior_layers", [(), (1,), (1, 2), (3,), (2, 3), (2,), (1, 2, 3)])
@pytest.mark.parametrize("below", ["sample", "mean"])
def test_a_bound_of_one_sample_is_the_log_weight_of_one_pass(of_images, prior_layers, below):
    bounds, nll = of_images.bounds(IMAGES, prior_layers=[prior_layers], below=below)
    terms = passes(of_images, IMAGES, 0, prior_layers, below)
    np.testing.assert_allclose(bounds[0], terms.log_weight, rtol=1e-4)
    np.testing.assert_allclose(nll[0], -terms.log_px, rtol=1e-4)


def test_a_bound_of_many_samples_is_the_logarithm_of_their_mean_weight(of_images):
    bounds, nll = of_images.bounds(IMAGES, n_importance_samples=4, prior_layers=[{1}])
    terms = [passes(of_images, IMAGES, s, {1}) for s in range(4)]
    weights = torch.stack([t.log_weight for t in terms]).double()
    np.testing.assert_allclose(bounds[0], weights.logsumexp(0) - np.log(4), rtol=1e-4)
    expected = -torch.stack([t.log_px for t in terms]).mean(0)
    np.testing.assert_allclose(nll[0], expected, rtol=1e-4)


@pytest.mark.parametrize("layers", [(0,), (4,), (1, 1.5), ("1",)])
def test_a_layer_that_there_is_none_of_is_refused_with_the_range(of_images, layers):
    with pytest.raises(ValueError, match=r"prior_layers must be an integer from 1 to 3, since"):
        of_images.bounds(IMAGES, prior_layers=[(), layers])


@pytest.mark.parametrize("n_importance_samples", [0, 1.5])
def test_a_wrong_number_of_importance_samples_is_refused(of_images, n_importance_samples):
    with pytest.raises(ValueError, match="n_importance_samples must be a positive integer"):
        of_images.bounds(IMAGES, n_importance_samples=n_importance_samples)


def test_all_samples_and_bounds_see_the_same_binarised_image(of_images, monkeypatch):
    binarised, seen = [], []
    likelihood = of_images.network_.likelihood
    observe, log_prob = likelihood.observe, likelihood.log_prob
    monkeypatch.setattr(
        likelihood, "observe", lambda *args: binarised.append(observe(*args)) or binarised[-1]
    )
    monkeypatch.setattr(likelihood, "log_prob", lambda x, p: seen.append(x) or log_prob(x, p))
    of_images.bounds(IMAGES[:5], n_importance_samples=3)
    (once,) = binarised
    assert len(seen) == 3  # one pass for each bound, with all samples side by side
    n_rows = 32 // 3
    for x in seen:
        for sample in range(3):
            assert torch.equal(x[sample * n_rows :][:5], once[:5])


@pytest.mark.parametrize("below, n_first, n_second", [("mean", 1, 3), ("sample", 1, 6)])
def test_what_x_alone_decides_is_inferred_once_for_all_samples_and_bounds(
    of_images, below, n_first, n_second
):
    """With means the second layer follows from x too, but where the first is a sample."""
    counts = {0: 0, 1: 0}
    stages = of_images.network_.inference.stages
    hooks = [
        stages[i].register_forward_hook(lambda *_, i=i: counts.update({i: counts[i] + 1}))
        for i in counts
    ]
    of_images.bounds(IMAGES[:16], n_importance_samples=16, below=below)  # two batches
    for hook in hooks:
        hook.remove()
    assert counts == {0: n_first, 1: n_second}


def test_the_mean_of_the_prior_and_a_sample_of_it_differ_only_above_k_0(of_images):
    of_mean, _ = of_images.bounds(IMAGES, below="mean")
    of_sample, _ = of_images.bounds(IMAGES, below="sample")
    np.testing.assert_array_equal(of_mean[0], of_sample[0])
    assert (of_mean[1:] != of_sample[1:]).all()


def test_more_importance_samples_raise_the_bound_on_average(of_table):
    held_out = np.random.default_rng(1).normal(5, [1, 20, 0.1, 3], (100, 4))
    model, bounds = copy.copy(of_table), np.empty((20, 3))
    for model.seed_, s in itertools.product(range(20), range(3)):  # all rows share their noise
        scores = model.score_samples(held_out, n_importance_samples=4**s)
        bounds[model.seed_, s] = scores.mean()
    assert (np.diff(bounds.mean(0)) > 0).all()


@pytest.mark.parametrize("n_importance_samples", [5, 100])
def test_what_is_held_in_memory_does_not_grow_with_the_importance_samples(
    of_images, n_importance_samples, monkeypatch
):
    alive, most = [], [0]
    terms_of = of_images.network_.terms_of

    def watch(evidence, noise, *options):
        terms = terms_of(evidence, noise, *options)
        alive.extend(map(weakref.ref, (noise, terms, terms.log_px, terms.layers[0].log_prior)))
        alive[:] = {r for r in alive if r() is not None}  # bounds share their noise
        most[0] = max(most[0], len(alive))
        return terms

    monkeypatch.setattr(of_images.network_, "terms_of", watch)
    of_images.bounds(IMAGES, n_importance_samples=n_importance_samples)
    assert 4 <= most[0] <= 8  # of this sample and of the one before


def test_layers_that_are_no_collection_are_refused_with_a_remedy(make):
    model = make(HVAE, (2, 2)).fit(np.random.default_rng(0).normal(size=(30, 3)))
    with pytest.raises(ValueError, match=r"got 1 for one\. Write \[\(1, 2\)\]"):
        model.bounds(np.zeros((2, 3)), prior_layers=(1, 2))
    with pytest.raises(ValueError, match="n_samples must be a positive integer; got 0"):
        model.partial_sample(np.zeros((2, 3)), k=1, n_samples=0)
