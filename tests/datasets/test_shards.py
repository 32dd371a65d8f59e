"""Shards are joined on disk, one in memory at a time."""

import tracemalloc

import numpy as np
import pytest

from skood import KNNDistance
from skood.datasets import join_shards

SHARDS = [np.random.default_rng(i).normal(size=(n, 3)) for i, n in enumerate((5, 0, 200))]


def saved(shards, folder):
    paths = []
    for i, shard in enumerate(shards):
        paths.append(folder / f"{i}.np{'yz'[i % 2]}")
        if i % 2:
            np.savez(paths[-1], X=shard, other=0)
        else:
            np.save(paths[-1], shard)
    return paths


def test_arrays_and_files_are_joined_in_order(tmp_path):
    paths = [str(path) for path in saved(SHARDS, tmp_path)]
    for shards in (SHARDS, iter(SHARDS), paths):
        joined = join_shards(shards, tmp_path / "X.npy")
        np.testing.assert_array_equal(joined, np.concatenate(SHARDS))
    assert not joined.flags.writeable and joined.dtype == np.float64


def test_parquet_files_are_read_with_pandas(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    frame = pandas.DataFrame(SHARDS[0], columns=list("abc"))
    monkeypatch.setattr(pandas, "read_parquet", {"0.parquet": frame}.get)
    np.testing.assert_array_equal(join_shards(["0.parquet"], tmp_path / "X.npy"), SHARDS[0])


def test_estimators_take_the_result(tmp_path):
    joined = join_shards(SHARDS, tmp_path / "X.npy")
    expected = KNNDistance(random_state=0).fit(np.concatenate(SHARDS)).offset_
    assert KNNDistance(random_state=0).fit(joined).offset_ == expected


def test_one_shard_is_in_memory_at_a_time(tmp_path):
    shards = (np.full((1000, 1000), i, dtype=np.uint8) for i in range(8))
    tracemalloc.start()
    joined = join_shards(shards, tmp_path / "X.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert joined.nbytes == 8e6 and peak < 3e6


@pytest.mark.parametrize(
    "other, match", [(np.zeros((2, 4)), r"Shard 1 .*\(2, 4\)"), (np.zeros((2, 3), "f4"), "float32")]
)
def test_shards_that_do_not_fit_are_refused_and_leave_the_old_file(tmp_path, other, match):
    join_shards(SHARDS[:1], tmp_path / "X.npy")
    with pytest.raises(ValueError, match=match):
        join_shards([SHARDS[2], other], tmp_path / "X.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), SHARDS[0])
    assert [path.name for path in tmp_path.iterdir()] == ["X.npy"]


@pytest.mark.parametrize("shards, match", [([], "shards is empty"), (["a.txt"], "no .npy")])
def test_nothing_and_other_files_are_refused(tmp_path, shards, match):
    with pytest.raises(ValueError, match=match):
        join_shards(shards, tmp_path / "X.npy")


def test_a_missing_key_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", Y=SHARDS[0])
    with pytest.raises(ValueError, match=r"no array 'X', but \['Y'\]"):
        join_shards([tmp_path / "a.npz"], tmp_path / "X.npy")
