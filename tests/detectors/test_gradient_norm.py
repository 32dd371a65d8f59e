"""Layer-wise norms of gradients as a detector."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from skood import HVAE, MAF, Glow, GradientNorm, SeReMAF, SeReVAE
from skood.calibration import CalibrationWarning, false_positive_rate_interval
from skood.core import batches
from skood.detectors import _layer_norms
from skood.detectors._layer_norms import LayerNorms
from skood.scores.gradient_norms import COMBINATIONS
from skood.testing import easy_images, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")

NORMAL = easy_images(800, random_state=2)  # not those that the model was trained on
FRESH = easy_images(400, random_state=3)
TABLE = np.random.default_rng(0).normal(size=(150, 4))
MODELS = {
    "glow": (lambda: small(Glow), easy_images(60)),
    "multi-scale glow": (lambda: small(Glow, network="conv"), easy_images(60)),
    "maf": (lambda: small(MAF), TABLE),
    "hvae": (lambda: small(HVAE), TABLE),
    "serevae": (lambda: small(SeReVAE), TABLE),
    "seremaf": (lambda: small(SeReMAF), TABLE),
}
FLOWS = ("glow", "multi-scale glow", "maf")


@pytest.fixture(scope="module")
def models():
    """Trained for two epochs, by name, with rows for them."""
    return {
        name: (make().set_params(random_state=0).fit(X), X) for name, (make, X) in MODELS.items()
    }


@pytest.fixture(scope="module")
def trained_glow():
    """A model that knows the bars of `easy_images`."""
    model = small(Glow, max_epochs=10, batch_size=32, random_state=0)
    return model.fit(easy_images(300, random_state=1))


def detect(model, X=NORMAL, **parameters):
    return GradientNorm(FrozenEstimator(model), random_state=0, **parameters).fit(X)


@pytest.fixture(scope="module")
def in_fives(trained_glow):
    return detect(trained_glow, group_size=5, combine="one-sided")


# ---------------------------------------------------------------------- norms, against a loop


def log_likelihood(network, x, noise):
    return network.terms(x, noise).log_weight


def latent_sum(network, x, noise):
    return network.transform(x, noise).sum(1)


def loop(model, X, target=log_likelihood):
    """Gradients of single rows by the name of their tensor, each (n, *shape), in float64."""
    network = copy.deepcopy(model.network_).double()
    names, parameters = zip(*network.named_parameters(), strict=True)
    noise, rows = model.scoring_noise().fork(0), []
    for x in model.rows_.to_tensor(X, torch.device("cpu")).double().split(1):
        result = target(network, x, noise).sum()
        rows.append(torch.autograd.grad(result, parameters, materialize_grads=True))
    columns = [torch.stack(column).numpy() for column in zip(*rows, strict=True)]
    return dict(zip(names, columns, strict=True))


def squares(gradients, weights=1.0):
    return (gradients**2 * weights).reshape(len(gradients), -1).sum(1)


def fit_norms(model, X, target="log_likelihood", layers="tensor", fisher="identity"):
    return LayerNorms.fit(model, X, target=target, layers=layers, fisher=fisher)


def assert_same(found, expected):
    """Up to the rounding of float32, of which little is left in the smallest of a column."""
    assert found.dtype == np.float64 and found.shape == expected.shape
    np.testing.assert_allclose(found / expected.max(0), expected / expected.max(0), 1e-3, 1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_the_norms_are_those_of_the_log_likelihood_of_each_row_alone(name, models):
    model, X = models[name]
    norms, gradients = fit_norms(model, X), loop(model, X[:12])
    expected = np.stack([squares(gradients[tensor]) for tensor in norms.names], axis=1)
    assert_same(norms.squared(model, X[:12], 1), expected)


@pytest.mark.parametrize("name", FLOWS)
def test_the_norms_of_the_latent_sum_are_those_of_each_row_alone(name, models):
    model, X = models[name]
    norms, gradients = fit_norms(model, X, target="latent_sum"), loop(model, X[:12], latent_sum)
    expected = np.stack([squares(gradients[tensor]) for tensor in norms.names], axis=1)
    assert_same(norms.squared(model, X[:12], 1), expected)


@pytest.mark.parametrize("name", ["glow", "hvae"])
def test_every_tensor_with_a_gradient_has_a_norm(name, models):
    model, X = models[name]
    largest = {tensor: squares(g).max() for tensor, g in loop(model, X[:12]).items()}
    names = fit_norms(model, X).names
    assert set(names) <= largest.keys()
    assert all(largest[tensor] < 1e-10 for tensor in largest.keys() - set(names))


@pytest.mark.parametrize("name", ["glow", "hvae"])
def test_the_squared_norm_of_a_module_is_the_sum_of_those_of_its_tensors(name, models):
    model, X = models[name]
    tensors, modules = fit_norms(model, X), fit_norms(model, X, layers="module")
    owners = [tensor.rpartition(".")[0] for tensor in tensors.names]
    assert modules.names == list(dict.fromkeys(owners)) and len(modules.names) < len(owners)
    each = tensors.squared(model, X, 1)
    columns = [[owner == module for owner in owners] for module in modules.names]
    expected = np.stack([each[:, of_module].sum(1) for of_module in columns], axis=1)
    np.testing.assert_allclose(modules.squared(model, X, 1), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["glow", "maf", "hvae"])
def test_the_diagonal_metric_divides_by_the_mean_squares_of_normal_rows(name, models):
    model, X = models[name]
    norms, gradients = fit_norms(model, X, fisher="diagonal"), loop(model, X)
    expected = []
    for tensor in norms.names:
        mean = (gradients[tensor] ** 2).mean(0)
        expected.append(squares(gradients[tensor][:12], 1 / (mean + 1e-3 * mean.mean())))
    assert_same(norms.squared(model, X[:12], 1), np.stack(expected, axis=1))


def test_the_norms_of_a_group_are_those_of_the_sum_of_its_gradients(models):
    model, X = models["glow"]
    norms, gradients = fit_norms(model, X), loop(model, X)
    sums = [gradients[tensor] for tensor in norms.names]
    sums = [g.reshape(12, 5, *g.shape[1:]).sum(1) for g in sums]
    assert_same(norms.squared(model, X, 5), np.stack([squares(g) for g in sums], axis=1))


@pytest.mark.parametrize("fisher", ["identity", "diagonal"])
@pytest.mark.parametrize("group_size", [1, 5])
def test_little_memory_means_small_batches_and_the_same_norms(
    group_size, fisher, models, monkeypatch
):
    model, X = models["multi-scale glow"]
    expected = fit_norms(model, X, fisher=fisher).squared(model, X, group_size)
    seen, squared_norms = [], _layer_norms.squared_norms

    def spy(network, target, x, *arguments, **options):
        seen.append(len(x))
        return squared_norms(network, target, x, *arguments, **options)

    noise = model.scoring_noise().fork(0)
    target = partial(log_likelihood, model.network_, noise=noise)
    n_kept = batches.numbers_kept_per_row(target, model.first_rows(X, 2))
    monkeypatch.setattr(_layer_norms, "squared_norms", spy)
    monkeypatch.setitem(batches._NUMBERS_KEPT, "cpu", 17 * n_kept)
    found = fit_norms(model, X, fisher=fisher).squared(model, X, group_size)
    assert set(seen) == {16}
    assert_same(found, expected)


# -------------------------------------------------------------------------------- what is flagged


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_inverted_images_are_flagged(combine, trained_glow):
    detector = detect(trained_glow, combine=combine)
    assert (detector.predict(255 - FRESH) == -1).mean() > 0.9


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_about_fpr_of_fresh_normal_rows_are_flagged(combine, trained_glow):
    detector = detect(trained_glow, combine=combine, fpr=0.1)
    low, high = false_positive_rate_interval(400, 0.1, confidence=0.99)
    sampling = 2.6 * np.sqrt(0.1 * 0.9 / 400)  # of the 400 fresh rows
    assert low - sampling < (detector.predict(FRESH) == -1).mean() < high + sampling


@pytest.mark.parametrize("options", [{"layers": "module"}, {"fisher": "diagonal"}])
def test_inverted_images_are_flagged_with_other_norms_too(options, trained_glow):
    detector = detect(trained_glow, **options)
    assert (detector.predict(255 - FRESH[:100]) == -1).mean() > 0.9


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_the_score_is_made_of_the_norms(combine, trained_glow):
    detector = detect(trained_glow, combine=combine)
    norms = detector.norms_.squared(trained_glow, FRESH, 1)
    expected = COMBINATIONS[combine](norms, detector.log_norms_[1])
    np.testing.assert_array_equal(detector.ood_score(FRESH), expected)


def test_the_one_sided_score_is_made_of_the_layers(in_fives):
    expected = -stats.norm.logsf(in_fives.score_layers(FRESH)).sum(1)
    np.testing.assert_allclose(in_fives.ood_score(FRESH), expected, rtol=1e-9)


@pytest.mark.parametrize("layers", ["tensor", "module"])
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_that_is_scored_has_a_name(name, layers, models):
    model, X = models[name]
    detector = detect(model, X, layers=layers)
    assert detector.score_layers(X).shape == (len(X), len(detector.layer_names_))
    network = model.network_
    named = network.named_parameters() if layers == "tensor" else network.named_modules()
    names = set(detector.layer_names_)
    assert len(names) == len(detector.layer_names_) > 2 and names <= {name for name, _ in named}


def test_normal_rows_are_neither_above_nor_below_in_any_layer(in_fives):
    layers = in_fives.score_layers(FRESH)
    np.testing.assert_allclose(layers.mean(0), 0, atol=0.4)
    np.testing.assert_allclose(layers.std(0), 1, atol=0.4)


# ----------------------------------------------------------------------------------------- groups


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_the_score_of_a_group_is_that_of_its_summed_gradient(combine, trained_glow):
    detector, gradients = detect(trained_glow, combine=combine, group_size=5), {}
    for tensor, rows in loop(trained_glow, FRESH[:40]).items():
        gradients[tensor] = rows.reshape(8, 5, *rows.shape[1:]).sum(1)
    norms = np.stack([squares(gradients[name]) for name in detector.norms_.names], axis=1)
    expected = COMBINATIONS[combine](norms, detector.log_norms_[5])
    np.testing.assert_allclose(detector.group_ood_score(FRESH[:40], 5), expected, 1e-3, 1e-3)


def test_the_score_of_a_group_is_not_the_mean_of_its_rows(in_fives):
    means = in_fives.ood_score(FRESH).reshape(-1, 5).mean(1)
    assert (np.abs(in_fives.group_ood_score(FRESH, 5) - means) > 1e-3).mean() > 0.9


def test_p_values_of_normal_groups_are_about_uniform(in_fives):
    p = in_fives.group_p_values(FRESH, 5)
    assert p.shape == (80,)
    assert 0.35 < p.mean() < 0.65
    assert (p < 0.2).mean() < 0.4 and (p > 0.8).mean() < 0.4


def test_groups_tell_a_small_change_better_than_rows(in_fives):
    darker = (FRESH * 0.95).astype(np.uint8)
    of_rows, of_groups = in_fives.p_values(darker), in_fives.group_p_values(darker, 5)
    assert np.median(of_groups) < np.median(of_rows)


def test_groups_of_one_are_rows(in_fives):
    np.testing.assert_array_equal(in_fives.group_ood_score(FRESH, 1), in_fives.ood_score(FRESH))
    np.testing.assert_array_equal(in_fives.group_p_values(FRESH, 1), in_fives.p_values(FRESH))


def test_rows_score_the_same_whatever_the_group_size(in_fives, trained_glow):
    by_rows = detect(trained_glow, combine="one-sided")
    np.testing.assert_array_equal(by_rows.ood_score(FRESH), in_fives.ood_score(FRESH))
    assert by_rows.offset_ == in_fives.offset_


@pytest.mark.parametrize("method", ["group_ood_score", "group_p_values"])
def test_groups_of_a_size_not_fitted_are_refused_with_a_remedy(method, in_fives):
    message = r"group_size must be 1 or 5.*got 2\. Call set_params\(group_size=2\) and fit"
    with pytest.raises(ValueError, match=message):
        getattr(in_fives, method)(FRESH, 2)


def test_a_detector_for_rows_says_that_it_was_fitted_for_no_groups(trained_glow):
    with pytest.raises(ValueError, match=r"group_size must be 1, for which .*; got 5\. Call set_"):
        detect(trained_glow).group_ood_score(FRESH, 5)


def test_rows_that_fill_no_group_are_refused(in_fives):
    with pytest.raises(
        ValueError, match="group_size must be a positive integer that divides the 7"
    ):
        in_fives.group_ood_score(FRESH[:7], 5)


@pytest.mark.parametrize("n, enough", [(19, False), (20, True)])
def test_four_groups_are_the_fewest_to_calibrate_on(n, enough, trained_glow):
    if enough:
        detector = detect(trained_glow, NORMAL[:n], group_size=5, fpr=0.5)
        assert detector.group_p_values(FRESH, 5).shape == (80,)
    else:
        with pytest.raises(ValueError, match=f"needs at least 20 rows .* X has {n} samples"):
            detect(trained_glow, NORMAL[:n], group_size=5)


def test_too_few_rows_for_the_groups_are_found_before_the_training(images, trainings):
    detector = GradientNorm(small(Glow), group_size=50)
    with pytest.raises(ValueError, match=r"needs at least 201 rows .* X has 120 samples"):
        detector.fit(images)
    assert trainings == []


# ----------------------------------------------------------------------------- models and searches


@pytest.mark.parametrize("combine", COMBINATIONS)
@pytest.mark.parametrize("name", MODELS)
def test_any_model_will_do(name, combine, models):
    model, X = models[name]
    detector = detect(model, X, combine=combine)
    assert detector.model_ is model
    scores = detector.ood_score(X)
    assert np.isfinite(scores).all() and len(np.unique(scores)) > len(X) // 2


def test_no_model_stands_for_a_glow(images, monkeypatch):
    monkeypatch.setattr("skood.detectors._gradient_norm.Glow", lambda: small(Glow))
    assert isinstance(GradientNorm(fpr=0.2, random_state=0).fit(images).model_, Glow)


def test_a_latent_sum_of_a_model_with_latent_layers_is_refused_before_the_training(
    images, trainings
):
    message = "target='latent_sum' needs a flow, .*; HVAE is none. Use target='log_likelihood'"
    with pytest.raises(ValueError, match=message):
        GradientNorm(small(HVAE), target="latent_sum").fit(images)
    assert trainings == []


@pytest.mark.parametrize(
    "change",
    [
        {"combine": "gaussian"},
        {"group_size": 2},
        {"layers": "module"},
        {"fisher": "diagonal"},
        {"target": "latent_sum"},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("method", ["predict", "score_layers"])
def test_another_parameter_after_fit_is_refused(method, change, models):
    detector = detect(*models["maf"]).set_params(**change)
    (name, value), *_ = change.items()
    with pytest.raises(
        ValueError, match=f"{name} was changed from .* to {value!r}.*Call fit again"
    ):
        getattr(detector, method)(TABLE)


def searchable(**parameters):
    model = small(MAF)
    return GradientNorm(model, calibration_fraction=0.5, random_state=0, **parameters)


def test_a_search_over_combine_needs_no_labels():
    search = GridSearchCV(searchable(), {"combine": list(COMBINATIONS)}, cv=2).fit(TABLE)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all() and len(set(scores)) == 1  # the likelihood does not see it
    assert search.score(TABLE) == search.best_estimator_.model_.score(TABLE)


def test_with_memory_a_search_trains_one_network_for_each_fold(trainings, tmp_path):
    detector = searchable(memory=str(tmp_path))
    grid = {"combine": list(COMBINATIONS), "fisher": ["identity", "diagonal"]}
    GridSearchCV(detector, grid, cv=2, refit=False).fit(TABLE)
    assert len(trainings) == 2


def test_with_memory_another_combine_trains_nothing(trainings, tmp_path):
    detector = searchable(memory=str(tmp_path)).fit(TABLE)
    other = clone(detector).set_params(combine="gaussian").fit(TABLE)
    assert len(trainings) == 1
    assert (other.ood_score(TABLE) != detector.ood_score(TABLE)).all()


@pytest.mark.parametrize("group_size", [3, 5])
def test_a_group_scores_the_same_at_any_place(group_size):
    table = np.random.default_rng(0).normal(size=(60 * group_size, 4))
    model = FrozenEstimator(small(HVAE, random_state=0).fit(table))
    detector = GradientNorm(model, group_size=group_size, random_state=0).fit(table)
    scores = detector.group_ood_score(table, group_size)
    groups = table.reshape(-1, group_size, 4)
    backwards = detector.group_ood_score(groups[::-1].reshape(-1, 4), group_size)
    np.testing.assert_array_equal(backwards[::-1], scores)
    np.testing.assert_array_equal(detector.group_ood_score(groups[7], group_size), scores[7:8])


# ------------------------------------------------------------------------ which gradient by default


@pytest.mark.parametrize("name", FLOWS)
def test_repeatability_is_the_rank_correlation_under_two_noises(name, models):
    model, X = models[name]
    norms, again = fit_norms(model, X), copy.copy(model)
    again.scoring_noise = lambda: model.scoring_noise(1)
    pairs = zip(norms.squared(model, X, 1).T, norms.squared(again, X, 1).T, strict=True)
    expected = np.median([stats.spearmanr(a, b).statistic for a, b in pairs])
    assert norms.repeatability(model, X) == pytest.approx(expected)
    assert (expected > 1 - 1e-9) == (name == "maf")  # tables get no noise in scoring


def test_the_repeatability_of_equal_rows_is_not_a_number(models):
    model, X = models["glow"]
    assert np.isnan(fit_norms(model, X).repeatability(model, X[[0, 0, 0]]))


@pytest.mark.parametrize(
    "name, repeatability, target",
    [
        ("glow", 0.71, "log_likelihood"),
        ("glow", 0.69, "latent_sum"),
        ("glow", np.nan, "log_likelihood"),
        ("hvae", 0.1, "log_likelihood"),  # there is nothing else
    ],
)
def test_a_flow_whose_likelihood_has_gradients_of_noise_takes_the_latents(
    name, repeatability, target, models, monkeypatch
):
    monkeypatch.setattr(LayerNorms, "repeatability", lambda *_: repeatability)
    detector = detect(*models[name])
    assert detector.target_ == detector.norms_.target == target
    np.testing.assert_equal(detector.repeatability_, repeatability)
    expected = detect(*models[name], target=target)
    X = models[name][1]
    np.testing.assert_array_equal(detector.ood_score(X), expected.ood_score(X))


def test_repeatability_is_that_of_reference_rows(trained_glow, monkeypatch):
    seen = []
    monkeypatch.setattr(LayerNorms, "repeatability", lambda _, model, X: seen.append(X) or 1.0)
    detect(trained_glow)
    order = np.random.default_rng([0, 0]).permutation(len(NORMAL))
    np.testing.assert_array_equal(seen[0], NORMAL[order][: len(NORMAL) // 2])


@pytest.mark.parametrize("group_size", [0, -1, 1.5, "2", 7])
def test_squared_norms_refuse_groups_that_do_not_divide_the_rows(group_size, models):
    with pytest.raises(ValueError, match=f"group_size must be .* got {group_size!r}"):
        detect(*models["maf"]).squared_norms(TABLE[:20], group_size)


def test_a_group_size_of_numpy_is_one(models):
    model, X = models["maf"]
    detector = detect(model, X, group_size=np.int64(2))
    expected = detect(model, X, group_size=2)
    for size in (2, np.int64(2)):
        found = detector.group_p_values(X[:20], size)
        np.testing.assert_array_equal(found, expected.group_p_values(X[:20], 2))


def test_a_fit_leaves_nothing_of_the_one_before(models):
    model, X = models["maf"]
    detector = detect(model, X, group_size=2)
    assert hasattr(detector, "repeatability_") and hasattr(detector, "calibration_group_scores_")
    detector.set_params(target="log_likelihood", group_size=1).fit(X)
    assert not hasattr(detector, "repeatability_")
    assert not hasattr(detector, "calibration_group_scores_")


def test_too_few_groups_for_fpr_warn_at_the_fit(models):
    with pytest.warns(CalibrationWarning, match="calibration groups are too few for fpr=0.05"):
        detect(*models["maf"], group_size=10)


def test_a_refit_that_fails_leaves_no_attribute_of_its_own(models):
    model, X = models["maf"]
    detector = detect(model, X, target="log_likelihood")
    before, scores = set(vars(detector)), detector.score_samples(X)
    with pytest.raises(ValueError, match=r"None of the .* layers"):
        detector.set_params(target="auto").fit(np.ones((60, 4)))
    assert set(vars(detector)) == before
    scored = detector.set_params(target="log_likelihood").score_samples(X)
    np.testing.assert_array_equal(scored, scores)
