"""Scores are bitwise equal in batches of any size, and with the samples of a row side by side."""

import itertools

import numpy as np
import pytest
import torch

from skood.core import batches
from skood.core.protocols import LatentNetwork
from skood.scores.bounds import importance_weighted_bound
from skood.testing import all_models, easy_images, image_layouts, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")

N = 140
ROWS = {
    "grey": easy_images(N),
    "colour": image_layouts(N)["colour bytes, channels last"],
    "table": np.random.default_rng(0).normal(5, [1, 20, 0.1, 3], (N, 4)),
}
COUNTS = (1, 4, 16, 33, 129)
SAMPLES = (1, 8, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (5, 20)))


@pytest.fixture(
    scope="module",
    params=itertools.product(all_models(), ROWS),
    ids=lambda p: f"{p[0].__name__}-{p[1]}",
)
def fitted(request):
    """A small model of every class, and the rows that it was fitted on."""
    model, kind = request.param
    return small(model, random_state=0).fit(ROWS[kind]), ROWS[kind]


@pytest.mark.parametrize("n_importance_samples", SAMPLES)
def test_the_scores_of_some_rows_are_bitwise_those_of_all(fitted, n_importance_samples):
    model, X = fitted
    every = model.score_samples(X, n_importance_samples=n_importance_samples)
    for n in COUNTS:
        some = model.score_samples(X[-n:], n_importance_samples=n_importance_samples)
        np.testing.assert_array_equal(some, every[-n:], err_msg=f"{n} rows")


@pytest.mark.parametrize("n_importance_samples", SAMPLES)
def test_the_bounds_of_some_rows_are_bitwise_those_of_all(fitted, n_importance_samples):
    model, X = fitted
    options = {"n_importance_samples": n_importance_samples, "below": "sample"}
    every = np.stack(model.bounds(X, **options))
    for n in COUNTS:
        some = np.stack(model.bounds(X[-n:], **options))
        np.testing.assert_array_equal(some, every[..., -n:], err_msg=f"{n} rows")


def test_every_model_has_a_small_batch_for_few_rows(fitted):
    assert fitted[0].batch_sizes_ == (batches.SMALL_BATCH, batches.LARGE_BATCH["cpu"])


def by_hand(model, X, n_importance_samples, prior_layers):
    """Bound and -log p(x | z), one importance sample after the other."""
    x, noise, passes = model.first_rows(X, len(X)), model.scoring_noise(), []
    with torch.no_grad():
        for sample in range(n_importance_samples):
            passes.append(model.network_.terms(x, noise.fork(sample), prior_layers, "sample"))
    log_weights = np.stack([terms.log_weight.double().numpy() for terms in passes])
    log_px = np.stack([terms.log_px.double().numpy() for terms in passes])
    return importance_weighted_bound(log_weights), model.network_.max_log_px - log_px.mean(0)


@pytest.mark.parametrize("n_importance_samples", [1, 5, 20, 40])
def test_samples_side_by_side_give_the_bound_of_a_loop_over_samples(fitted, n_importance_samples):
    model, X = fitted
    if not isinstance(model.network_, LatentNetwork):
        pytest.skip("a flow has no importance samples")
    for n, layers in itertools.product((1, 40), ((), (1,))):
        options = {"n_importance_samples": n_importance_samples, "below": "sample"}
        bounds, nll = model.bounds(X[:n], **options, prior_layers=[layers])
        expected = by_hand(model, X[:n], n_importance_samples, layers)
        np.testing.assert_allclose(bounds[0], expected[0], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(nll[0], expected[1], rtol=1e-4, atol=1e-3)


def test_importance_samples_differ_but_see_the_same_x(fitted):
    model, _ = fitted
    forks = [model.scoring_noise().fork(i) for i in range(3)]
    noise = model.scoring_noise().side_by_side(forks, 2)
    latents = noise.normal("z1", (6, 2)).split(2)
    assert all(torch.equal(forks[i].normal("z1", (2, 2)), latents[i]) for i in range(3))
    assert not torch.equal(latents[0], latents[1])
    assert torch.equal(noise.dither((6, 2)), noise.dither((6, 2))[:1].expand(6, 2))


# -------------------------------------------------------------------------------------- large rows


def kept_per_row(model, X):
    """Numbers that a pass keeps of each row."""
    noise = model.scoring_noise().fork(0)
    return batches.numbers_kept_per_row(
        lambda x: model.network_.terms(x, noise).log_weight, model.first_rows(X, 2)
    )


@pytest.mark.parametrize("model", all_models())
@pytest.mark.parametrize("most, sizes", [(300, (32, 128)), (40, (32,)), (9, (8,)), (0.5, (1,))])
def test_rows_of_large_size_get_smaller_batches(model, most, sizes, monkeypatch):
    X = easy_images(40)
    model = small(model, random_state=0).fit(X)
    limit = int(most * kept_per_row(model, X))
    monkeypatch.setitem(batches._NUMBERS_KEPT, "cpu", limit)
    scores = model.fit(X).score_samples(X, n_importance_samples=3)
    assert model.batch_sizes_ == sizes
    for n in (1, 7, 40):
        some = model.score_samples(X[:n], n_importance_samples=3)
        np.testing.assert_array_equal(some, scores[:n])


def test_no_batch_in_scoring_is_larger_than_memory_allows(monkeypatch):
    X, seen = easy_images(40), []
    model = small(all_models()[0], random_state=0).fit(X)
    monkeypatch.setitem(batches._NUMBERS_KEPT, "cpu", 9 * kept_per_row(model, X))
    model.fit(X)
    network = model.network_
    see, terms_of = network.see, network.terms_of
    watched = lambda x, *rest: seen.append(len(x)) or see(x, *rest)  # noqa: E731
    monkeypatch.setattr(network, "see", watched)
    watched = lambda x, *rest: seen.append(x.n_rows) or terms_of(x, *rest)  # noqa: E731
    monkeypatch.setattr(network, "terms_of", watched)
    model.score_samples(X, n_importance_samples=20)
    assert set(seen) == {8}
