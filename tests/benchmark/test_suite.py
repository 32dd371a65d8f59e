"""The suite runs every detector beside the floor, and survives one that refuses the data."""

import json

import numpy as np
import pytest

from skood import (
    HVAE,
    WAIC,
    BackgroundLikelihoodRatio,
    CombinedDetector,
    GradientNorm,
    HierarchicalLLR,
    Likelihood,
    Typicality,
    detectors,
)
from skood.benchmark import _suite_command
from skood.benchmark._suite import detectors_of, measure, run_in_set, run_suite
from skood.benchmark._suite_command import suite_command
from skood.benchmark._suite_data import InSet, Source
from skood.benchmark._suite_models import SuiteModels
from skood.testing import easy_images

ROWS = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)


class FirstColumn:
    """The score of a row is its first number; rows above 2 are flagged."""

    offset_ = -2.0

    def ood_score(self, X):
        return X[:, 0].astype(float)

    def group_ood_score(self, X, group_size):
        return X[:, 0].astype(float).reshape(-1, group_size).max(axis=1)


def column(*values):
    return np.array(values, dtype=np.float32)[:, None]


def test_measures_are_those_of_scores_known_beforehand():
    inside, outside = column(0, 1, 2, 3, 1, 9), column(2.5, 2.5, 1.5, 2.5, 2.5)
    found = measure(FirstColumn(), InSet(inside, inside, {"far": outside}, {"one": column(5)}))
    assert found["fpr"] == 2 / 6
    assert found["rows"]["far"]["flagged"] == 4 / 5
    assert found["rows"]["far"]["auroc"] == pytest.approx((4 * 4 + 3) / 30)
    assert found["plain"] == {"one": 1.0}
    assert found["groups"]["far"]["auroc"] == 0.0  # of 3 and 2.5: the remainder is left out


def test_an_ood_set_smaller_than_a_group_has_no_groups():
    in_set = InSet(column(*range(10)), column(*range(10)), {"few": column(1, 2)})
    found = measure(FirstColumn(), in_set)
    assert "few" in found["rows"] and found["groups"] == {}


def test_every_public_detector_takes_part():
    labels = detectors_of(0)
    assert {label.split()[0] for label in labels} == set(detectors.__all__)
    assert labels["HierarchicalLLR k=ada"].k == "ada"
    assert labels["GradientNorm"].group_size == 5
    assert labels["WAIC VAE, one sample"].n_importance_samples == 1


def test_the_model_of_a_variant_is_another_one_in_each_run():
    first, second = (detectors_of(0)["WAIC VAE, one sample"].model for _ in range(2))
    first.set_params(max_epochs=1)
    assert second.max_epochs == "auto"


@pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
@pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
def test_detectors_with_the_same_default_share_one_model(small_defaults):
    models = SuiteModels(ROWS, seed=0, max_minutes=5)
    first, second = Likelihood(), Typicality()
    assert models.fit(first) > 0 and models.fit(second) > 0
    assert first.model_ is second.model_
    assert len(first.calibration_scores_) == 30
    assert first.model_.random_state == 0


@pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
@pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
def test_a_model_is_asked_the_same_question_once(small_defaults, monkeypatch):
    asked = []
    bounds = HVAE.bounds
    monkeypatch.setattr(
        HVAE, "bounds", lambda self, X, **given: asked.append(len(X)) or bounds(self, X, **given)
    )
    models = SuiteModels(ROWS, seed=0, max_minutes=5)
    first, second = HierarchicalLLR(k="ada"), HierarchicalLLR(k="max")
    models.fit(first), models.fit(second)
    expected = first.ood_score(ROWS[:20]), second.ood_score(ROWS[:20])
    asked.clear()
    with models.remembering():
        found = first.ood_score(ROWS[:20]), second.ood_score(ROWS[:20])
        second.group_ood_score(ROWS[:20], 5)
        second.ood_score(ROWS[20:40])
    assert asked == [20, 20]
    np.testing.assert_array_equal(found, expected)
    second.ood_score(ROWS[:20])
    assert asked == [20, 20, 20]


@pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
@pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
def test_a_combination_shares_the_models_of_its_members():
    models = SuiteModels(easy_images(100), seed=0, max_minutes=1e-9)
    combined, alone = CombinedDetector(random_state=0), HierarchicalLLR()
    models.fit(combined), models.fit(alone)
    members = combined.detectors_
    assert members["ratio"].model_ is members["gradient"].model_ is alone.model_
    assert alone.model_.n_iter_ == 1


@pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
def test_a_combination_with_members_that_have_no_model_is_fitted_as_it_is():
    combined = CombinedDetector(random_state=0)
    SuiteModels(ROWS, seed=0, max_minutes=5).fit(combined)
    expected = CombinedDetector(random_state=0).fit(ROWS)
    np.testing.assert_array_equal(combined.ood_score(ROWS), expected.ood_score(ROWS))


@pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
def test_another_default_is_another_model_and_little_time_means_few_epochs():
    models = SuiteModels(ROWS, seed=0, max_minutes=1e-9)
    detector = GradientNorm()
    models.fit(detector)
    assert type(detector.model_).__name__ == "Glow"
    assert detector.model_.n_iter_ == 1


@pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
@pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
@pytest.mark.parametrize("detector", [WAIC(n_models=3), BackgroundLikelihoodRatio()])
def test_a_detector_of_several_models_trains_its_own_in_the_given_time(detector):
    suite_models = SuiteModels(ROWS, seed=0, max_minutes=1e-9)
    suite_models.fit(detector)
    models = list(detector.models_.values())
    assert {model.n_iter_ for model in models} == {1} and models[0].random_state == 0
    n_learned_from = len(ROWS) - 30
    assert {model.rows_.n_rows for model in models} == {n_learned_from}
    likelihood = Likelihood()
    suite_models.fit(likelihood)
    assert likelihood.model_ not in models


def test_a_detector_that_refuses_the_data_is_absent_with_its_reason(monkeypatch):
    def refuse(self, X, y=None):
        raise ValueError("No rows like these.")

    monkeypatch.setattr(Likelihood, "_nested_default", lambda self, name: None)
    monkeypatch.setattr(Likelihood, "fit", refuse)
    in_set = InSet(ROWS[:50], ROWS[50:], {"far": ROWS[:20] + 20})
    results = run_in_set(in_set, 0, max_minutes=5, only=["Likelihood"])
    assert results["Likelihood"] == {"absent": "No rows like these."}
    assert results["5 neighbours"]["rows"]["far"]["auroc"] == 1.0


def test_from_the_command_line_to_the_file(folder, tables, small_defaults, caplog):
    caplog.set_level("INFO")
    output = folder / "numbers.json"
    words = f"--data-home {folder} --tables {tables} --in fashion_mnist easy --n-test 10"
    suite_command([*words.split(), "--detectors", "Likelihood", "--output", str(output)])
    results = json.loads(output.read_text())["in_sets"]
    assert list(results) == ["fashion_mnist", "easy"]
    (run,) = results["fashion_mnist"]["runs"]
    assert list(run)[:2] == ["Likelihood", "trivial statistics"]
    assert set(run["Likelihood"]["groups"]) == set(run["Likelihood"]["rows"]) > {"constant"}
    assert results["easy"]["runs"][0]["GaussianMixture"]["rows"]["anomalies"]["auroc"] == 1.0
    assert "All images, AUROC of rows" in caplog.text and "easy in" in caplog.text


def test_every_seed_is_a_run_of_its_own(tables):
    source = Source(None, tables)
    after_one, (name, result) = run_suite(source, ["easy"], seeds=2, max_minutes=5, only=[])
    first, second = result["runs"]
    assert (name, result["kind"]) == ("easy", "tables")
    assert after_one == ("easy", {"kind": "tables", "runs": [first]})
    assert first["5 neighbours"]["fpr"] != second["5 neighbours"]["fpr"]


def test_quick_is_smaller_but_what_is_said_stands(folder, monkeypatch):
    seen = {}

    def remember(source, names, **options):
        seen.update(options, n_train=source.n_train, n_test=source.n_test)
        return iter(())

    monkeypatch.setattr(_suite_command, "run_suite", remember)
    suite_command(["--data-home", str(folder), "--quick", "--n-test", "7"])
    assert (seen["n_train"], seen["n_test"], seen["max_minutes"]) == (1000, 7, 0.04)


def test_the_numbers_of_a_run_that_is_killed_are_kept(folder, tables, monkeypatch):
    output = folder / "numbers.json"
    load = Source.load

    def killed_at_images(self, name, seed):
        if name == "mnist":
            raise KeyboardInterrupt
        return load(self, name, seed)

    monkeypatch.setattr(Source, "load", killed_at_images)
    words = f"--data-home {folder} --tables {tables} --in easy mnist --output {output}"
    monkeypatch.setattr(detectors, "__all__", [])
    with pytest.raises(KeyboardInterrupt):
        suite_command(words.split())
    assert list(json.loads(output.read_text())["in_sets"]) == ["easy"]
