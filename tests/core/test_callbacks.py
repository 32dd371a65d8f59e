"""Callbacks of scikit-learn see what happens in a fit, through whatever is around it."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skood import MAF, CombinedDetector, Gaussian, KNNDistance, Likelihood, ScoreNorm, Trainer
from skood.testing import small

pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
from sklearn.callback import ScoringMonitor

X = np.random.default_rng(0).normal(size=(300, 3))


class Record:
    """What scikit-learn's progress bar is told; it may stop a fit after some epochs."""

    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.stop_after, self.events, self.open = stop_after, [], 0

    def setup(self, estimator, context):
        self.open += 1

    def teardown(self, estimator, context):
        self.open -= 1

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.estimator_name, context.task_name))

    def on_fit_task_end(self, estimator, context):
        self.events.append(("end", context.estimator_name, context.task_name))
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after

    def ended(self):
        return [(who, what) for when, who, what in self.events if when == "end"]


def model(**options):
    return small(MAF, random_state=0, **options)


def test_every_task_that_begins_ends():
    record = Record()
    Likelihood(model(), random_state=0).set_callbacks(record).fit(X)
    ended = [("MAF", "epoch"), ("MAF", "epoch"), ("MAF", "epochs"), ("MAF", "fit")]
    assert record.ended()[:4] == ended and record.ended()[-1] == ("Likelihood", "fit")
    begun = [(who, what) for when, who, what in record.events if when == "begin"]
    assert sorted(begun) == sorted(record.ended()) and record.open == 0


@pytest.mark.parametrize("estimator", [
    model(), Gaussian(), ScoreNorm(), KNNDistance(), Likelihood(model()),
    CombinedDetector([("far", KNNDistance()), ("likely", Likelihood(model()))]),
], ids=lambda estimator: type(estimator).__name__)  # fmt: skip
def test_a_grid_search_shows_what_is_inside_and_leaves_nothing_there(estimator):
    record = Record()
    grid = {"random_state": [0, 1]}
    search = GridSearchCV(estimator, grid, cv=[(np.arange(200), np.arange(200, 300))])
    search.set_callbacks(record).set_params(scoring=lambda e, X, y=None: 0.0).fit(X)
    n_fits = record.ended().count((type(estimator).__name__, "fit"))
    n_epochs = record.ended().count(("MAF", "epoch"))
    assert n_fits == 3 and n_epochs == (6 if "MAF" in str(estimator) else 0)
    assert record.open == 0 and not any("callback" in name for name in vars(search.best_estimator_))


def test_a_monitor_scores_each_epoch_as_if_the_fit_had_ended_there():
    monitor = ScoringMonitor(scoring={"bound": lambda estimator, X, y: estimator.score(X)})
    monitored = model(trainer=Trainer(patience=None, snapshot_epochs=(1, 2))).set_callbacks(monitor)
    search = GridSearchCV(monitored, {"width": [8]}, cv=2).fit(X)
    refit = (0, 1)  # after the search, which is task 0 of task 0
    rows = [row for row in monitor.get_logs().data if row["task_id_path"][:2] == refit]
    found, best = [row["bound"] for row in rows], search.best_estimator_
    assert found == [best.at_epoch(1).score(X), best.at_epoch(2).score(X)]


def test_a_callback_may_end_the_training():
    ended = model(max_epochs=5).set_callbacks(Record(stop_after=2)).fit(X)
    assert ended.n_iter_ == 2 and not ended.interrupted_
    np.testing.assert_array_equal(ended.score_samples(X).shape, (300,))


def test_the_end_of_a_fit_that_fails_is_told():
    record = Record()
    with pytest.raises(ValueError, match="n_transforms"):
        model(n_transforms=-1).set_callbacks(record).fit(X)
    assert record.open == 0


def test_a_cached_model_holds_no_callbacks(tmp_path):
    detector = Likelihood(model(), random_state=0, memory=str(tmp_path))
    expected = detector.fit(X).score_samples(X)
    for path in tmp_path.rglob("*.pkl"):
        path.unlink()
    fitted = detector.set_callbacks(Record()).fit(X)
    again = Likelihood(model(), random_state=0, memory=str(tmp_path)).fit(X)
    assert not any("callback" in name for name in vars(again.model_))
    np.testing.assert_array_equal(fitted.score_samples(X), expected)


def test_scores_are_those_of_a_fit_without_callbacks():
    watched = model().set_callbacks(Record()).fit(X)
    np.testing.assert_array_equal(watched.score_samples(X), model().fit(X).score_samples(X))
    assert pickle.loads(pickle.dumps(watched)).score(X) == watched.score(X)
