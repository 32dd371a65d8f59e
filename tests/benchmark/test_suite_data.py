"""Which OOD sets fit which normal data, and which rows are taken."""

import numpy as np

from skood.benchmark._suite_data import Source


def test_all_image_sets_that_are_there_and_all_tables_are_normal_data(folder, tables):
    assert Source(folder).names() == ["fashion_mnist", "mnist", "cifar10"]
    assert Source(folder, tables).names()[3:] == ["easy"]


def test_grey_images_meet_the_other_digits_and_grey_photographs(folder):
    out = Source(folder).load("fashion_mnist", 0).out
    assert [name for name in out if "mnist" in name or "cifar" in name] == [
        "mnist",
        "cifar10 in grey",
    ]
    assert all(X.shape[1:] == (28, 28) for X in out.values())


def test_photographs_meet_digits_in_colour(folder):
    in_set = Source(folder).load("cifar10", 0)
    assert "mnist in colour" in in_set.out and "grey" in in_set.out
    assert all(X.shape[1:] == (32, 32, 3) for X in in_set.out.values())


def test_images_are_a_random_part_of_their_split(folder):
    in_set = Source(folder, n_train=30, n_test=10).load("mnist", 0)
    with np.load(folder / "mnist.npz") as file:
        splits = {"train": file["train_images"], "test": file["test_images"]}
    for X, split, n in [(in_set.X_train, "train", 30), (in_set.X_test, "test", 10)]:
        flat = splits[split].reshape(len(splits[split]), -1).tolist()
        indices = [flat.index(row) for row in X.reshape(n, -1).tolist()]
        assert len(set(indices)) == n and indices != sorted(indices)


def test_a_table_is_trained_on_half_of_its_normal_rows(tables):
    in_set = Source(None, tables).load("easy", 0)
    assert (len(in_set.X_train), len(in_set.X_test)) == (135, 135)
    assert len(np.unique(np.concatenate([in_set.X_train, in_set.X_test]), axis=0)) == 270
    assert in_set.out["anomalies"].min() > 3 > in_set.X_train.mean()
    assert len(in_set.out["anomalies"]) == 30


def test_the_seed_draws_the_rows_and_sizes_limit_them(tables):
    source = Source(None, tables, n_train=50, n_test=20)
    first, again, other = (source.load("easy", seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.X_train, again.X_train)
    assert not np.array_equal(first.X_train, other.X_train)
    assert [len(X) for X in (first.X_train, first.X_test, first.out["anomalies"])] == [50, 20, 20]
