"""The recipes of "Scaling out" give the scores of one call, also when workers are killed."""

import itertools
import multiprocessing
import os
import runpy
import signal
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from dask.distributed import Client, get_worker
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skood import HVAE, HierarchicalLLR
from skood.testing import easy_images, small

RECIPES = Path(__file__).parents[1] / "docs" / "recipes"
pytestmark = pytest.mark.filterwarnings("ignore::skood.CollapseWarning")  # two epochs


@pytest.fixture(scope="module")
def detector():
    return HierarchicalLLR(small(HVAE), k=1, random_state=0).fit(easy_images(200))


@pytest.fixture(scope="module")
def X():
    return easy_images(300, random_state=1)


@pytest.fixture
def shards(X, tmp_path):
    """Files of 1 to 70 rows."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for i, rows in enumerate(np.split(X, [1, 8, 50, 120, 121, 180, 250])):
        np.save(folder / f"{i}.npy", rows)
    return sorted(folder.glob("*.npy"))


@pytest.fixture
def scores(tmp_path):
    folder = tmp_path / "scores"
    folder.mkdir()
    return folder


def joined(folder):
    return np.concatenate([np.load(path) for path in sorted(folder.glob("*.npy"))])


def score_shards(*arguments):
    runpy.run_path(str(RECIPES / "score_shards.py"))["score_shards"](*arguments)


def score_shards_until_killed(*arguments):
    """Killed when the scores of a third file are written, but do not have their name yet."""
    replaced, replace = itertools.count(1), os.replace

    def replace_two(*paths):
        if next(replaced) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    os.replace = replace_two  # in the forked process
    score_shards(*arguments)


def in_a_fork(function, *arguments):
    child = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks of processes with threads
        child.start()
    child.join()
    return child.exitcode


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
def test_shards_of_a_killed_worker_are_finished_by_the_next(detector, X, shards, scores):
    status = in_a_fork(score_shards_until_killed, detector, scores, shards)
    assert status == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in scores.glob("*.npy")}
    assert sorted(path.name for path in done) == ["0.npy", "1.npy"]
    score_shards(detector, scores, shards)
    np.testing.assert_array_equal(joined(scores), detector.score_samples(X))
    assert {path: path.stat().st_mtime_ns for path in done} == done


def test_the_script_scores_the_files_that_it_is_given(detector, shards, scores, monkeypatch):
    path = scores.parent / "detector.safetensors"
    detector.save(path)
    words = ["score_shards.py", str(path), str(scores), *map(str, shards[2:4])]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(RECIPES / words[0]), run_name="__main__")
    assert sorted(path.name for path in scores.iterdir()) == ["2.npy", "3.npy"]


def search(X, scoring=None):
    model = small(HVAE, random_state=0)
    return GridSearchCV(model, {"learning_rate": [1e-3, 3e-3]}, cv=2, scoring=scoring).fit(X)


def assert_same_search(found, expected, X):
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(found.cv_results_[name], expected.cv_results_[name])
    np.testing.assert_array_equal(found.score_samples(X), expected.score_samples(X))


def test_a_grid_search_on_dask_finds_what_one_process_finds(X):
    def scoring(model, rows, y=None):
        get_worker()  # an error anywhere else
        return model.score(rows)

    with threadpool_limits(1):  # weights depend on the number of torch's threads
        expected = search(X)
        # One thread, as there is by default on one core, would be none of Dask's for joblib.
        workers = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": ":0"}
        with Client(processes=False, **workers), joblib.parallel_config("dask"):
            found = search(X, scoring)
        assert_same_search(found, expected, X)


@pytest.mark.exhaustive  # two processes import torch, and one of them once more
def test_a_grid_search_survives_a_killed_worker_of_dask(X, tmp_path):
    killed = tmp_path / "killed"

    def scoring(model, rows, y=None):
        if not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return model.score(rows)

    workers = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with threadpool_limits(1), Client(**workers), joblib.parallel_config("dask"):
        found = search(X, scoring)
        assert killed.exists()
        with joblib.parallel_config("sequential"):
            assert_same_search(found, search(X), X)


@pytest.mark.exhaustive  # with packages of 120 MB that no other test needs
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray's own defaults
def test_ray_gives_the_scores_of_one_call_with_a_worker_killed(detector, X, tmp_path):
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    import pyarrow as pa
    from pyarrow import parquet

    rows, killed = tmp_path / "rows", tmp_path / "killed"
    rows.mkdir()
    for i in range(0, 300, 60):
        images = pa.FixedShapeTensorArray.from_numpy_ndarray(X[i : i + 60])
        table = pa.table({"id": range(i, i + 60), "image": images})
        parquet.write_table(table, rows / f"{i}.parquet")

    class KilledOnce:
        def score_samples(self, images):
            if not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return detector.score_samples(images)

    score = runpy.run_path(str(RECIPES / "score_with_ray.py"))["score"]
    with ray.init(num_cpus=4, include_dashboard=False):
        score(KilledOnce(), str(rows), str(tmp_path / "scores"), 2)
    assert killed.exists()
    found = parquet.read_table(tmp_path / "scores").sort_by("id")
    np.testing.assert_array_equal(found["id"], np.arange(300))
    np.testing.assert_array_equal(found["score"], detector.score_samples(X))
