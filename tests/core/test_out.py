"""Scores go into the array that the caller gives, and are those that there are without it."""

import tracemalloc

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skood.core.out
from skood import (
    VAE,
    CombinedDetector,
    ConformalDetector,
    Gaussian,
    GradientNorm,
    KNNDistance,
    LikelihoodRegret,
    ScoreNorm,
    Typicality,
)
from skood.testing import small

pytestmark = [
    pytest.mark.filterwarnings("ignore::skood.CollapseWarning"),
    pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning"),
]
TABLE = np.random.default_rng(0).normal(size=(200, 4))
ESTIMATORS = [
    Gaussian(random_state=0),
    small(VAE, random_state=0),
    ScoreNorm(random_state=0),
    KNNDistance(random_state=0),
    ConformalDetector(random_state=0),
    small(GradientNorm, random_state=0),
    small(LikelihoodRegret, random_state=0),
    small(Typicality, random_state=0),
    CombinedDetector([("near", KNNDistance()), ("score", ScoreNorm())], random_state=0),
]


@pytest.fixture(params=[type(estimator).__name__ for estimator in ESTIMATORS])
def fitted(request):
    (estimator,) = (e for e in ESTIMATORS if type(e).__name__ == request.param)
    return estimator.fit(TABLE)


def test_the_scores_in_out_are_bitwise_those_without_it(fitted, monkeypatch):
    monkeypatch.setattr(skood.core.out, "_ROWS_AT_ONCE", 7)
    out = np.full(len(TABLE), np.nan)
    assert fitted.score_samples(TABLE, out=out) is out
    assert np.array_equal(out, fitted.score_samples(TABLE))


def test_importance_samples_count_with_out_too():
    model = small(VAE, random_state=0).fit(TABLE)
    many = model.score_samples(TABLE, n_importance_samples=5, out=np.empty(len(TABLE)))
    assert np.array_equal(many, model.score_samples(TABLE, n_importance_samples=5))
    assert not np.array_equal(many, model.score_samples(TABLE))


def test_scores_go_into_a_memory_map(tmp_path):
    detector = ScoreNorm(random_state=0).fit(TABLE)
    path = tmp_path / "scores.npy"
    out = np.lib.format.open_memmap(path, "w+", np.float64, (len(TABLE),))
    detector.score_samples(TABLE, out=out).flush()
    assert np.array_equal(np.load(path), detector.score_samples(TABLE))


def test_a_view_is_an_array_too():
    table = np.zeros((len(TABLE), 2))
    detector = KNNDistance(random_state=0).fit(TABLE)
    detector.score_samples(TABLE, out=table[:, 1])
    assert np.array_equal(table[:, 1], detector.score_samples(TABLE))
    assert not table[:, 0].any()


READ_ONLY = np.empty(len(TABLE))
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "out, message",
    [
        (np.empty(3), r"float64 array of shape \(200,\).*got one of shape \(3,\) and type float64"),
        (np.empty((200, 1)), r"got one of shape \(200, 1\).*np.empty\(200\)"),
        (np.empty(200, np.float32), r"type float32.*open_memmap"),
        ([0.0] * 200, "got a list"),
        (READ_ONLY, "out is an array that cannot be written to.*mode='r\\+'"),
    ],
)
@pytest.mark.parametrize("estimator", [Gaussian(), ScoreNorm()], ids=["model", "detector"])
def test_another_out_is_refused_before_anything_is_computed(estimator, out, message, monkeypatch):
    fitted = estimator.set_params(random_state=0).fit(TABLE)
    monkeypatch.setattr(type(fitted), "bounds" if "Gaussian" in repr(fitted) else "ood_score", None)
    with pytest.raises(ValueError, match=message):
        fitted.score_samples(TABLE, out=out)


def test_rows_that_are_refused_leave_out_alone():
    detector, out = ScoreNorm(random_state=0).fit(TABLE), np.zeros(len(TABLE))
    X = TABLE.copy()
    X[-1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        detector.score_samples(X, out=out)
    assert not out.any()


def test_a_detector_at_the_end_of_a_pipeline_scores_as_before():
    pipeline = make_pipeline(StandardScaler(), ScoreNorm(random_state=0)).fit(TABLE)
    out = pipeline[-1].score_samples(pipeline[:-1].transform(TABLE), out=np.empty(len(TABLE)))
    assert np.array_equal(pipeline.score_samples(TABLE), out)


def test_memory_grows_with_the_rows_without_out_and_not_with_it(monkeypatch, tmp_path):
    monkeypatch.setattr(skood.core.out, "_ROWS_AT_ONCE", 2_000)
    detector = ScoreNorm(random_state=0).fit(TABLE.astype(np.float32))
    n = 60_000
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (n, 4))
    out = np.lib.format.open_memmap(tmp_path / "scores.npy", "w+", np.float64, (n,))
    detector.score_samples(X[:300])  # what is imported late
    peaks = {}
    for name, options in {"without": {}, "with": {"out": out}}.items():
        tracemalloc.start()
        detector.score_samples(X, **options)
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks["with"] < 8 * n < peaks["without"]


def test_progress_is_that_of_all_rows(capsys, monkeypatch):
    for name in ("skood.core.out", "skood.core.batches"):
        monkeypatch.setattr(f"{name}.QUIET_SECONDS", 0.0)
    monkeypatch.setattr(skood.core.out, "_ROWS_AT_ONCE", 100)
    detector = ScoreNorm(random_state=0, verbose=1).fit(TABLE)
    capsys.readouterr()
    detector.score_samples(TABLE, out=np.empty(len(TABLE)))
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "ScoreNorm: rows 100/200",
        "ScoreNorm: rows 200/200",
    ]
