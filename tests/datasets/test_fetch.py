"""Data sets come from the npz file that is there, or from OpenML once; no test needs a network."""

from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest

from skood import datasets
from skood.datasets import _catalogue, _files, _openml

FETCHERS = {
    "mnist": datasets.fetch_mnist,
    "fashion_mnist": datasets.fetch_fashion_mnist,
    "kmnist": datasets.fetch_kmnist,
    "cifar10": datasets.fetch_cifar10,
    "svhn": datasets.fetch_svhn,
    "gtsrb": datasets.fetch_gtsrb,
}


def write_npz(folder, name, splits=("train", "test"), **changes):
    rng = np.random.default_rng(0)
    shape = _catalogue.DATA_SETS[name].image_shape
    arrays = {}
    for split in splits:
        arrays[f"{split}_images"] = rng.integers(0, 256, (7, *shape), dtype=np.uint8)
        arrays[f"{split}_labels"] = rng.integers(0, 10, 7, dtype=np.uint8)
    arrays.update(changes)
    np.savez(folder / f"{name}.npz", **arrays)
    return arrays


@pytest.fixture
def no_network(monkeypatch):
    def fail(**kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(_openml, "fetch_openml", fail)


@pytest.fixture
def openml(monkeypatch):
    """Stand in for OpenML with tiny MNIST, CIFAR-10 and SVHN; yields the calls made."""
    rng, calls = np.random.default_rng(0), []
    small = {
        name: _catalogue.DataSet((2, 2, 3) if name != "mnist" else (2, 2), openml_id=number,
                              n_train=6, n_test=4, planes_first=name == "cifar10")
        for name, number in [("mnist", 554), ("cifar10", 40927), ("svhn", 41081)]
    }  # fmt: skip

    def fetch_openml(**kwargs):
        calls.append(kwargs)
        width = 4 if kwargs["data_id"] == 554 else 12
        data = rng.integers(0, 256, (10, width)).astype(np.float64)
        target = np.array([str(i) for i in range(1, 11)], dtype=object)
        return SimpleNamespace(data=data, target=target)

    for module in (_catalogue, _files, _openml):
        monkeypatch.setattr(module, "DATA_SETS", small)
    monkeypatch.setattr(_openml, "fetch_openml", fetch_openml)
    return calls


@pytest.mark.parametrize("name", FETCHERS)
def test_a_file_that_is_there_is_used_as_it_is(name, tmp_path, no_network):
    arrays = write_npz(tmp_path, name)
    X, y = FETCHERS[name](split="test", return_X_y=True, data_home=tmp_path)
    np.testing.assert_array_equal(X, arrays["test_images"])
    np.testing.assert_array_equal(y, arrays["test_labels"])
    assert (X.dtype, y.dtype) == (np.uint8, np.int64)


def test_without_labels_the_training_images_come_alone(tmp_path, no_network):
    arrays = write_npz(tmp_path, "mnist")
    X = datasets.fetch_mnist(data_home=str(tmp_path))
    np.testing.assert_array_equal(X, arrays["train_images"])


def test_the_folder_is_that_of_the_environment_or_in_the_home(tmp_path, monkeypatch, no_network):
    (tmp_path / "skood_data").mkdir()
    for folder in (tmp_path, tmp_path / "skood_data"):
        write_npz(folder, "mnist")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("SKOOD_DATA", str(tmp_path))
    assert _files._data_home(None) == tmp_path
    monkeypatch.delenv("SKOOD_DATA")
    assert _files._data_home(None) == tmp_path / "skood_data"
    assert datasets.available() == ["mnist"]


def test_available_names_what_lies_there_and_nothing_else(tmp_path):
    assert datasets.available(tmp_path / "nowhere") == []
    for name in ("svhn", "gtsrb"):
        write_npz(tmp_path, name)
    (tmp_path / "faces.npz").touch()
    assert datasets.available(tmp_path) == ["gtsrb", "svhn"]


def test_openml_is_asked_once_and_then_the_copy_is_read(tmp_path, openml):
    home = tmp_path / "new" / "folder"
    X, y = datasets.load("mnist", "train", home)
    test, _ = datasets.load("mnist", "test", home)
    again, _ = datasets.load("mnist", "train", home)
    np.testing.assert_array_equal(X, again)
    np.testing.assert_array_equal(y, [1, 2, 3, 4, 5, 6])
    assert (X.shape, test.shape, X.dtype) == ((6, 2, 2), (4, 2, 2), np.uint8)
    assert [call["data_id"] for call in openml] == [554]
    assert [path.name for path in home.iterdir()] == ["mnist.npz"]


def test_planes_and_pixels_of_openml_both_become_channels_last(tmp_path, openml, monkeypatch):
    def as_served(data_id, **kwargs):
        data = np.tile(np.arange(12.0), (10, 1))
        return SimpleNamespace(data=data, target=np.arange(1, 11))

    monkeypatch.setattr(_openml, "fetch_openml", as_served)
    cifar, svhn = (datasets.load(name, "train", tmp_path)[0] for name in ("cifar10", "svhn"))
    np.testing.assert_array_equal(cifar[0, 0, 1], [1, 5, 9])
    np.testing.assert_array_equal(svhn[0, 0, 1], [3, 4, 5])


def test_the_tenth_class_of_svhn_is_the_digit_zero(tmp_path, openml):
    _, y = datasets.load("svhn", "test", tmp_path)
    np.testing.assert_array_equal(y, [7, 8, 9, 0])


def test_without_network_the_error_says_which_file_to_put_where(tmp_path, no_network):
    with pytest.raises(FileNotFoundError, match="no route to host") as caught:
        datasets.fetch_fashion_mnist(data_home=tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "fashion_mnist.npz") in message
    assert "train_images (n, 28, 28) and train_labels (n,)" in message
    assert list(tmp_path.iterdir()) == []


def test_gtsrb_has_a_test_split_and_no_download(tmp_path, no_network):
    with pytest.raises(FileNotFoundError, match=r"gtsrb\.npz .*no download.*test_images \(n, 32"):
        datasets.fetch_gtsrb(data_home=tmp_path)
    with pytest.raises(ValueError, match=r"gtsrb has no split 'train'. Give 'test'"):
        datasets.fetch_gtsrb(split="train", data_home=tmp_path)
    write_npz(tmp_path, "gtsrb", splits=("test",))
    assert datasets.fetch_gtsrb(data_home=tmp_path).shape == (7, 32, 32, 3)


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, openml, monkeypatch):
    def interrupted(path, **arrays):
        path.write_bytes(b"half of a fi")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        datasets.load("mnist", "train", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 cut off"])
def test_a_broken_file_is_named_together_with_the_remedy(content, tmp_path, no_network):
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"mnist\.npz cannot be read .* Delete it"):
        datasets.fetch_mnist(data_home=tmp_path)


def test_a_file_cut_short_or_altered_is_not_read_as_data(tmp_path, no_network):
    write_npz(tmp_path, "mnist")
    path = tmp_path / "mnist.npz"
    content = bytearray(path.read_bytes())
    content[1000] ^= 255
    for broken in (content, content[:3000]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="cannot be read as an npz file"):
            datasets.fetch_mnist(data_home=tmp_path)


def test_pickled_arrays_are_never_loaded(tmp_path, no_network):
    write_npz(tmp_path, "mnist", train_images=np.array([{"a": 1}] * 7, dtype=object))
    with pytest.raises(ValueError, match="cannot be read as an npz file"):
        datasets.fetch_mnist(data_home=tmp_path)


def test_a_missing_array_is_named(tmp_path, no_network):
    write_npz(tmp_path, "mnist", splits=("test",))
    with pytest.raises(ValueError, match="holds no train_images and no train_labels"):
        datasets.fetch_mnist(data_home=tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"train_images": np.zeros((7, 28, 28))},
        {"train_images": np.zeros((7, 784), np.uint8)},
        {"train_labels": np.zeros(6, np.uint8)},
    ],
)
def test_arrays_of_another_kind_or_shape_are_refused(changes, tmp_path, no_network):
    write_npz(tmp_path, "mnist", **changes)
    with pytest.raises(ValueError, match=r"holds train_images .* and train_labels .* Replace it"):
        datasets.fetch_mnist(data_home=tmp_path)


@pytest.mark.parametrize("data", [np.zeros((9, 4)), np.full((10, 4), 256.0), np.full((10, 4), -1)])
def test_unexpected_data_of_openml_are_refused_and_not_kept(data, tmp_path, openml, monkeypatch):
    served = SimpleNamespace(data=data, target=np.arange(10))
    monkeypatch.setattr(_openml, "fetch_openml", lambda **kwargs: served)
    with pytest.raises(ValueError, match=r"data set 554 has shape .* mnist should be \(10, 4\)"):
        datasets.load("mnist", "train", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_and_splits_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no data set 'imagenet'. Choose from mnist, "):
        datasets.load("imagenet", "test", tmp_path)
    with pytest.raises(ValueError, match=r"mnist has no split 'valid'"):
        datasets.fetch_mnist(split="valid", data_home=tmp_path)
