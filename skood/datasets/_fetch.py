"""Image data sets kept as npz files, downloaded from OpenML when they are not there yet.

A data set NAME is the file ``NAME.npz`` in the data folder, holding ``train_images``,
``train_labels``, ``test_images`` and ``test_labels`` (or one of the two pairs). A file put there by
hand is used as it is. Nothing is ever unpickled.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml

Split: TypeAlias = Literal["train", "test"]
Folder: TypeAlias = "str | os.PathLike[str] | None"
Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class _DataSet:
    """What is known of a data set: its images, and how OpenML lays them out."""

    image_shape: tuple[int, ...]
    splits: tuple[Split, ...] = ("train", "test")
    openml_id: int | None = None
    # OpenML's rows, the training rows before the test rows.
    n_train: int = 60_000
    n_test: int = 10_000
    # A flattened colour image is three planes (channels first), or pixel after pixel.
    planes_first: bool = False


# No download could be tried where this was written. Identifiers and layouts are those of public
# code that draws the images: planes for CIFAR_10 (as in its original files), pixel after pixel for
# SVHN. That the original test rows come last is how the sets are commonly split, not checked.
_DATA_SETS: Mapping[str, _DataSet] = MappingProxyType(
    {
        "mnist": _DataSet((28, 28), openml_id=554),
        "fashion_mnist": _DataSet((28, 28), openml_id=40996),
        "kmnist": _DataSet((28, 28), openml_id=41982),
        "cifar10": _DataSet((32, 32, 3), openml_id=40927, n_train=50_000, planes_first=True),
        "svhn": _DataSet((32, 32, 3), openml_id=41081, n_train=73_257, n_test=26_032),
        "gtsrb": _DataSet((32, 32, 3), splits=("test",)),
    }
)


def available(data_home: Folder = None) -> list[str]:
    """Names of the data sets that can be loaded without a download.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The data folder, see `load`.

    Returns
    -------
    list of str
        Sorted names, each fit for `load`.
    """
    home = _data_home(data_home)
    return sorted(name for name in _DATA_SETS if (home / f"{name}.npz").is_file())


def load(name: str, split: Split = "train", data_home: Folder = None) -> tuple[Images, Labels]:
    """Load one split of a data set by name; download the set if its file is not there.

    Parameters
    ----------
    name : {"mnist", "fashion_mnist", "kmnist", "cifar10", "svhn", "gtsrb"}
        Name of the data set.
    split : {"train", "test"}, default="train"
        The original training or test rows.
    data_home : str, path-like or None, default=None
        Folder of the npz files. None means the environment variable ``SKOOD_DATA`` or, where that
        is not set, ``~/skood_data``.

    Returns
    -------
    X : ndarray of shape (n, height, width) or (n, height, width, 3), uint8
        Pixel values 0 to 255, grey or red, green, blue.
    y : ndarray of shape (n,), int64
        Class labels 0, 1, ...

    Raises
    ------
    ValueError
        If there is no such name or split, or the file is not what it should be.
    FileNotFoundError
        If the file is not there and cannot be downloaded.

    Notes
    -----
    OpenML serves text, so the first download takes minutes and, for the colour sets, several GB of
    memory; the npz file that is kept needs neither.
    """
    if name not in _DATA_SETS:
        raise ValueError(f"There is no data set {name!r}. Choose from {', '.join(_DATA_SETS)}.")
    if split not in _DATA_SETS[name].splits:
        known = " or ".join(map(repr, _DATA_SETS[name].splits))
        raise ValueError(f"{name} has no split {split!r}. Give {known}.")
    path = _data_home(data_home) / f"{name}.npz"
    if not path.exists():
        _download(name, path)
    return _read(name, split, path)


def fetch_mnist(
    *, split: Split = "train", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """MNIST: handwritten digits, grey 28x28, 60,000 + 10,000 (LeCun, Cortes and Burges, 1998).

    The other ``fetch_*`` functions take the same parameters and return the same.

    Parameters
    ----------
    split : {"train", "test"}, default="train"
        The original training or test rows.
    return_X_y : bool, default=False
        Whether to return the labels too, as ``(X, y)``.
    data_home : str, path-like or None, default=None
        Folder of the npz files, see `load`.

    Returns
    -------
    X : ndarray of shape (n, height, width) or (n, height, width, 3), uint8
        Images, pixel values 0 to 255.
    y : ndarray of shape (n,), int64
        Class labels, only if `return_X_y`.

    Raises
    ------
    ValueError
        If there is no such split, or the file is not what it should be.
    FileNotFoundError
        If the file is not there and cannot be downloaded.
    """
    return _fetch("mnist", split, return_X_y, data_home)


def fetch_fashion_mnist(
    *, split: Split = "train", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """Fashion-MNIST: garments, grey 28x28, 60,000 + 10,000 (Xiao et al., arXiv:1708.07747).

    Parameters, returned values and errors are those of `fetch_mnist`.
    """
    return _fetch("fashion_mnist", split, return_X_y, data_home)


def fetch_kmnist(
    *, split: Split = "train", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """Kuzushiji-MNIST: cursive Japanese, grey 28x28, 60,000 + 10,000 (arXiv:1812.01718).

    Parameters, returned values and errors are those of `fetch_mnist`.
    """
    return _fetch("kmnist", split, return_X_y, data_home)


def fetch_cifar10(
    *, split: Split = "train", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """CIFAR-10: small photographs, colour 32x32, 50,000 + 10,000 (Krizhevsky, 2009).

    Parameters, returned values and errors are those of `fetch_mnist`.
    """
    return _fetch("cifar10", split, return_X_y, data_home)


def fetch_svhn(
    *, split: Split = "train", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """SVHN: house numbers cut to digits, colour 32x32, 73,257 + 26,032 (Netzer et al., 2011).

    Parameters, returned values and errors are those of `fetch_mnist`.
    """
    return _fetch("svhn", split, return_X_y, data_home)


def fetch_gtsrb(
    *, split: Split = "test", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """GTSRB: traffic signs, colour 32x32, the test split alone (Stallkamp et al., 2011).

    There is no download: ``gtsrb.npz`` must be put in the data folder by hand. Parameters, returned
    values and errors are those of `fetch_mnist`.
    """
    return _fetch("gtsrb", split, return_X_y, data_home)


def _fetch(
    name: str, split: Split, return_X_y: bool, data_home: Folder
) -> Images | tuple[Images, Labels]:
    X, y = load(name, split, data_home)
    return (X, y) if return_X_y else X


def _data_home(data_home: Folder) -> Path:
    if data_home is None:
        data_home = os.environ.get("SKOOD_DATA") or "~/skood_data"
    return Path(data_home).expanduser()


def _wanted(name: str) -> str:
    """Content of NAME.npz in words, for error messages."""
    shape = ", ".join(map(str, _DATA_SETS[name].image_shape))
    arrays = (f"{s}_images (n, {shape}) and {s}_labels (n,)" for s in _DATA_SETS[name].splits)
    return f"the arrays {', '.join(arrays)}, images uint8, labels integers"


def _read(name: str, split: Split, path: Path) -> tuple[Images, Labels]:
    """One split out of an npz file, checked."""
    keys = [f"{split}_images", f"{split}_labels"]
    try:
        # Given a path, np.load forgets to close a file that is not a zip archive.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            missing = [key for key in keys if key not in file.files]
            arrays = [] if missing else [file[key] for key in keys]
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read as an npz file ({error}). Delete it to have it downloaded "
            f"again, or replace it by one with {_wanted(name)}."
        ) from error
    if missing:
        raise ValueError(
            f"{path} holds no {' and no '.join(missing)}. Replace it by one with {_wanted(name)}."
        )
    images, labels = arrays
    shape = _DATA_SETS[name].image_shape
    if images.dtype != np.uint8 or images.shape[1:] != shape or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{path} holds {keys[0]} {images.dtype} {images.shape} and {keys[1]} {labels.shape}. "
            f"Replace it by one with {_wanted(name)}."
        )
    return images, labels.astype(np.int64)


def _download(name: str, path: Path) -> None:
    """Fetch a data set from OpenML and keep it as `path`."""
    if _DATA_SETS[name].openml_id is None:
        raise FileNotFoundError(
            f"{path} does not exist, and {name} has no download. "
            f"Put there an npz file with {_wanted(name)}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Everything is written in a scratch folder on the same file system and moved in one step: an
    # interrupted download leaves neither a broken file nor scikit-learn's own copy of the text.
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=path.parent) as scratch:
        part = Path(scratch) / path.name
        np.savez_compressed(part, **_from_openml(name, path, scratch))
        os.replace(part, path)


def _from_openml(name: str, path: Path, scratch: str) -> dict[str, NDArray[Any]]:
    """The arrays of NAME.npz, downloaded."""
    spec = _DATA_SETS[name]
    try:
        # liac-arff is the parser that does not need pandas.
        bunch = fetch_openml(
            data_id=spec.openml_id, as_frame=False, parser="liac-arff", data_home=scratch
        )
    # ValueError: OpenML's own refusals, and a wrong checksum.
    except (OSError, HTTPException, ValueError) as error:
        raise FileNotFoundError(
            f"{path} does not exist, and downloading {name} from OpenML (data set "
            f"{spec.openml_id}) failed: {error}. Try again with a network, or put there an npz "
            f"file with {_wanted(name)}."
        ) from error
    images = _images(name, bunch.data)
    # Labels come as text. SVHN counts 1 to 10, and 10 is the digit 0.
    labels = (np.asarray(bunch.target).astype(np.float64) % 10).astype(np.uint8)
    return {
        "train_images": images[: spec.n_train],
        "train_labels": labels[: spec.n_train],
        "test_images": images[spec.n_train :],
        "test_labels": labels[spec.n_train :],
    }


def _images(name: str, rows: NDArray[Any]) -> Images:
    """OpenML's flattened rows as uint8 images, channels last."""
    spec = _DATA_SETS[name]
    expected = (spec.n_train + spec.n_test, int(np.prod(spec.image_shape)))
    if rows.shape != expected or rows.min() < 0 or rows.max() > 255:
        raise ValueError(
            f"OpenML's data set {spec.openml_id} has shape {rows.shape} and values from "
            f"{rows.min()} to {rows.max()}, but {name} should be {expected} from 0 to 255. "
            f"OpenML may have changed it; make {name}.npz by hand."
        )
    pixels = rows.astype(np.uint8)
    if not spec.planes_first:
        return pixels.reshape(-1, *spec.image_shape)
    height, width, channels = spec.image_shape
    planes = pixels.reshape(-1, channels, height, width)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
