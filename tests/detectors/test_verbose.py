"""``verbose`` of models and detectors, and what operators find in the log."""

import logging
import re

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

import skood.core.batches
from skood import HVAE, MAF, CombinedDetector, GradientNorm, KNNDistance, Likelihood, Trainer
from skood.testing import all_model_detectors, easy_images, small

pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
X = np.random.default_rng(0).normal(size=(200, 3))
LINE = r"{}: {} \d+/{}, (bound \S+, )?\d\d:\d\d spent, \d\d:\d\d left"


def lines(capsys):
    captured = capsys.readouterr()
    assert captured.err == "" and "\x1b" not in captured.out and "\r" not in captured.out
    return captured.out.splitlines()


@pytest.fixture
def patient(monkeypatch):
    """Progress of the shortest scoring is shown, too."""
    monkeypatch.setattr(skood.core.batches, "QUIET_SECONDS", 0.0)


@pytest.mark.parametrize("detector_class", all_model_detectors())
def test_a_detector_shows_the_training_of_its_model(detector_class, capsys):
    images = easy_images(200)
    detector = small(detector_class, verbose=1, random_state=0).fit(images)
    shown = lines(capsys)
    assert len(shown) == sum(getattr(m, "n_iter_", 0) for m in detector.models_.values())
    name = f"{detector_class.__name__}, {type(detector.model_).__name__}"
    assert all(re.fullmatch(LINE.format(name, "epoch", 2), line) for line in shown)
    detector.set_params(verbose=0).fit(images)
    assert lines(capsys) == []


def test_a_combination_shows_what_its_members_train_and_score(capsys, patient):
    members = [("a", Likelihood(small(MAF))), ("b", KNNDistance()), ("c", GradientNorm(small(MAF)))]
    options = {"calibration_fraction": 0.3, "random_state": 0}
    detector = CombinedDetector(members, verbose=1, **options).fit(X)
    shown = lines(capsys)
    epochs = [line for line in shown if "epoch" in line]
    assert all(line.startswith("CombinedDetector") for line in shown)
    assert len(epochs) == 2 and any("CombinedDetector, MAF: rows 60/60" in line for line in shown)
    detector.score_members(X)
    assert any("rows 200/200" in line for line in lines(capsys))


@pytest.mark.parametrize("method, options", [
    ("score_samples", {}), ("predict", {}), ("p_values", {}), ("group_ood_score", {"group_size": 5})
])  # fmt: skip
def test_scoring_is_shown_while_verbose(method, options, capsys, patient):
    detector = Likelihood(small(MAF), random_state=0).fit(X)
    getattr(detector.set_params(verbose=1), method)(X, **options)
    shown = lines(capsys)
    assert re.fullmatch(LINE.format("Likelihood, MAF", "rows", 200), shown[-1])
    assert [int(line.split()[3].partition("/")[0]) for line in shown] == [128, 200]
    getattr(detector.set_params(verbose=0), method)(X, **options)
    assert lines(capsys) == []


def test_so_is_that_of_a_model_alone_and_of_a_frozen_one(capsys, patient):
    model = small(MAF, random_state=0).fit(X)
    Likelihood(FrozenEstimator(model), verbose=1, random_state=0).fit(X)
    assert "Likelihood, MAF: rows 200/200" in lines(capsys)[-1]
    model.set_params(verbose=1).score_samples(X)
    assert "MAF: rows 200/200" in lines(capsys)[-1]


def test_scores_are_the_same_with_it(patient):
    detector = Likelihood(small(MAF), random_state=0).fit(X)
    expected = detector.score_samples(X)
    np.testing.assert_array_equal(detector.set_params(verbose=1).score_samples(X), expected)


def test_the_log_says_what_operators_ask(caplog, tmp_path):
    caplog.set_level(logging.INFO, logger="skood")
    path = tmp_path / "fit"
    model = small(MAF, batch_size=20, trainer=Trainer(checkpoint=path))
    Likelihood(model, random_state=0).fit(X)
    text = [
        "MAF: training on 144 rows begins after epoch 0 of 2, 7 steps each, on cpu",
        f"epoch 1 is kept in {path}",
        f"epoch 2 is kept in {path}",
        r"MAF: training ended after epoch 2, \d+ seconds: the bound is \S+ nats per row",
        r"Likelihood: the threshold is \S+, for a false positive rate of 0.05, from 40 of 200 rows",
    ]
    assert_logged(caplog, text)
    Likelihood(model, random_state=0).fit(X)
    text[:3] = [
        f"the training in {path} is taken up after epoch 2",
        text[0].replace("0 of", "2 of"),
    ]
    assert_logged(caplog, text)
    assert logging.getLogger("skood").handlers == []


def assert_logged(caplog, expected):
    for record, text in zip(caplog.records, expected, strict=True):
        assert record.name.startswith("skood.") and record.levelno == logging.INFO
        assert re.fullmatch(text, record.getMessage())
    caplog.clear()


def test_the_log_says_that_a_training_was_interrupted(caplog):
    def stop(network, x, noise, progress):
        raise KeyboardInterrupt

    caplog.set_level(logging.INFO, logger="skood")
    with pytest.raises(KeyboardInterrupt):
        small(HVAE, objective=stop).fit(easy_images(40))
    assert caplog.messages[-1] == "HVAE: training was interrupted by Ctrl-C after epoch 0"
