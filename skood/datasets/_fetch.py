"""Image data sets in npz files, which are downloaded from OpenML on first use.

A data set NAME is the file ``NAME.npz`` in the data folder. It contains ``train_images``,
``train_labels``, ``test_images`` and ``test_labels`` (or one of the two pairs). An existing file is
used without a download. Pickled objects are never loaded.
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
    """Shape and splits of a data set, and its layout at OpenML."""

    image_shape: tuple[int, ...]
    splits: tuple[Split, ...] = ("train", "test")
    openml_id: int | None = None
    # OpenML's rows, the training rows before the test rows.
    n_train: int = 60_000
    n_test: int = 10_000
    # A flattened colour image is three planes (channels first), or pixel after pixel.
    planes_first: bool = False


# These downloads are not tested. Identifiers and layouts were read in public code that draws the
# images: planes for CIFAR_10 (as in its original files), pixel after pixel for SVHN. That the
# original test rows come last is how the sets are commonly split; it was not verified.
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
    """Names of the data sets whose file is in the data folder.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The data folder, see `load`.

    Returns
    -------
    list of str
        Sorted names that `load` accepts and needs no download for.

    Examples
    --------
    >>> import pathlib
    >>> import tempfile
    >>> from skood.datasets import available
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pathlib.Path(folder, "mnist.npz").touch()
    ...     available(folder)
    ['mnist']
    """
    home = _data_home(data_home)
    return sorted(name for name in _DATA_SETS if (home / f"{name}.npz").is_file())


def load(name: str, split: Split = "train", data_home: Folder = None) -> tuple[Images, Labels]:
    """Load one split of a data set by name; download the data set if it has no file yet.

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
        Images with pixel values 0 to 255: grey, or red, green and blue.
    y : ndarray of shape (n,), int64
        Class labels 0, 1, ...

    Raises
    ------
    ValueError
        If there is no data set or split of that name, or the file lacks an array or has one of
        another shape or type.
    FileNotFoundError
        If there is no file and it cannot be downloaded.

    Notes
    -----
    OpenML serves text, so the first download takes minutes and, for the colour data sets, several
    GB of memory. Later calls read the npz file.

    Examples
    --------
    A file of two images in the data folder, so that the example downloads nothing:

    >>> import tempfile
    >>> import numpy as np
    >>> from skood.datasets import load
    >>> images, labels = np.zeros((2, 28, 28), np.uint8), np.array([7, 2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/mnist.npz", test_images=images, test_labels=labels)
    ...     X, y = load("mnist", "test", data_home=folder)
    >>> X.shape, y
    ((2, 28, 28), array([7, 2]))
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
    """MNIST: handwritten digits, grey 28x28, 60,000 training and 10,000 test images.

    The other ``fetch_*`` functions take the same parameters and return the same.

    Parameters
    ----------
    split : {"train", "test"}, default="train"
        The original training or test rows.
    return_X_y : bool, default=False
        If True, return ``(X, y)`` instead of ``X``.
    data_home : str, path-like or None, default=None
        Folder of the npz files, see `load`.

    Returns
    -------
    X : ndarray of shape (n, height, width) or (n, height, width, 3), uint8
        Images with pixel values 0 to 255: grey, or red, green and blue.
    y : ndarray of shape (n,), int64
        Class labels 0, 1, ...; only if ``return_X_y``.

    Raises
    ------
    ValueError
        If there is no such split, or the file lacks an array or has one of another shape or type.
    FileNotFoundError
        If there is no file and it cannot be downloaded.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition,
    Proceedings of the IEEE 86(11), 1998.

    Examples
    --------
    A file of two images in the data folder, so that the example downloads nothing:

    >>> import tempfile
    >>> import numpy as np
    >>> from skood.datasets import fetch_mnist
    >>> images, labels = np.zeros((2, 28, 28), np.uint8), np.array([7, 2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/mnist.npz", test_images=images, test_labels=labels)
    ...     X, y = fetch_mnist(split="test", return_X_y=True, data_home=folder)
    >>> X.shape, y
    ((2, 28, 28), array([7, 2]))
    """
    return _fetch("mnist", split, return_X_y, data_home)


def fetch_fashion_mnist(
    *, split: Split = "train", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """Fashion-MNIST: garments, grey 28x28, 60,000 training and 10,000 test images.

    Parameters, returned values and errors are those of `fetch_mnist`.

    References
    ----------
    Xiao, Rasul, Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms, 2017, arXiv:1708.07747.

    Examples
    --------
    A file of two images in the data folder, so that the example downloads nothing:

    >>> import tempfile
    >>> import numpy as np
    >>> from skood.datasets import fetch_fashion_mnist
    >>> images, labels = np.zeros((2, 28, 28), np.uint8), np.array([9, 2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/fashion_mnist.npz", test_images=images, test_labels=labels)
    ...     X, y = fetch_fashion_mnist(split="test", return_X_y=True, data_home=folder)
    >>> X.shape, y
    ((2, 28, 28), array([9, 2]))
    """
    return _fetch("fashion_mnist", split, return_X_y, data_home)


def fetch_kmnist(
    *, split: Split = "train", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """Kuzushiji-MNIST: cursive Japanese, grey 28x28, 60,000 training and 10,000 test images.

    Parameters, returned values and errors are those of `fetch_mnist`.

    References
    ----------
    Clanuwat et al.: Deep Learning for Classical Japanese Literature, 2018, arXiv:1812.01718.

    Examples
    --------
    A file of two images in the data folder, so that the example downloads nothing:

    >>> import tempfile
    >>> import numpy as np
    >>> from skood.datasets import fetch_kmnist
    >>> images, labels = np.zeros((2, 28, 28), np.uint8), np.array([2, 9])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/kmnist.npz", test_images=images, test_labels=labels)
    ...     X, y = fetch_kmnist(split="test", return_X_y=True, data_home=folder)
    >>> X.shape, y
    ((2, 28, 28), array([2, 9]))
    """
    return _fetch("kmnist", split, return_X_y, data_home)


def fetch_cifar10(
    *, split: Split = "train", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """CIFAR-10: small photographs, colour 32x32, 50,000 training and 10,000 test images.

    Parameters, returned values and errors are those of `fetch_mnist`.

    References
    ----------
    Krizhevsky: Learning Multiple Layers of Features from Tiny Images, technical report, University
    of Toronto, 2009.

    Examples
    --------
    A file of two images in the data folder, so that the example downloads nothing:

    >>> import tempfile
    >>> import numpy as np
    >>> from skood.datasets import fetch_cifar10
    >>> images, labels = np.zeros((2, 32, 32, 3), np.uint8), np.array([3, 8])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/cifar10.npz", test_images=images, test_labels=labels)
    ...     X, y = fetch_cifar10(split="test", return_X_y=True, data_home=folder)
    >>> X.shape, y
    ((2, 32, 32, 3), array([3, 8]))
    """
    return _fetch("cifar10", split, return_X_y, data_home)


def fetch_svhn(
    *, split: Split = "train", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """SVHN: digits of house numbers, colour 32x32, 73,257 training and 26,032 test images.

    Parameters, returned values and errors are those of `fetch_mnist`.

    References
    ----------
    Netzer et al.: Reading Digits in Natural Images with Unsupervised Feature Learning, NIPS
    Workshop on Deep Learning and Unsupervised Feature Learning, 2011.

    Examples
    --------
    A file of two images in the data folder, so that the example downloads nothing:

    >>> import tempfile
    >>> import numpy as np
    >>> from skood.datasets import fetch_svhn
    >>> images, labels = np.zeros((2, 32, 32, 3), np.uint8), np.array([5, 2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/svhn.npz", test_images=images, test_labels=labels)
    ...     X, y = fetch_svhn(split="test", return_X_y=True, data_home=folder)
    >>> X.shape, y
    ((2, 32, 32, 3), array([5, 2]))
    """
    return _fetch("svhn", split, return_X_y, data_home)


def fetch_gtsrb(
    *, split: Split = "test", return_X_y: bool = False, data_home: Folder = None
) -> Images | tuple[Images, Labels]:
    """GTSRB: traffic signs, colour 32x32, test split only.

    There is no download: put ``gtsrb.npz`` into the data folder. Parameters, returned values and
    errors are those of `fetch_mnist`.

    References
    ----------
    Stallkamp, Schlipsing, Salmen, Igel: The German Traffic Sign Recognition Benchmark: A
    Multi-Class Classification Competition, IJCNN 2011.

    Examples
    --------
    A file of two images in the data folder, so that the example downloads nothing:

    >>> import tempfile
    >>> import numpy as np
    >>> from skood.datasets import fetch_gtsrb
    >>> images, labels = np.zeros((2, 32, 32, 3), np.uint8), np.array([16, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/gtsrb.npz", test_images=images, test_labels=labels)
    ...     X, y = fetch_gtsrb(split="test", return_X_y=True, data_home=folder)
    >>> X.shape, y
    ((2, 32, 32, 3), array([16, 1]))
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
    """Description of the arrays of NAME.npz, for error messages."""
    shape = ", ".join(map(str, _DATA_SETS[name].image_shape))
    arrays = (f"{s}_images (n, {shape}) and {s}_labels (n,)" for s in _DATA_SETS[name].splits)
    return f"the arrays {', '.join(arrays)}, images uint8, labels integers"


def _read(name: str, split: Split, path: Path) -> tuple[Images, Labels]:
    """Read and check one split of an npz file."""
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
            f"Create it as an npz file with {_wanted(name)}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Everything is written in a scratch folder on the same file system and moved in one step: an
    # interrupted download leaves neither a broken file nor scikit-learn's own copy of the text.
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=path.parent) as scratch:
        part = Path(scratch) / path.name
        np.savez_compressed(part, **_from_openml(name, path, scratch))
        os.replace(part, path)


def _from_openml(name: str, path: Path, scratch: str) -> dict[str, Any]:
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
            f"{spec.openml_id}) failed: {error}. Try again with a network, or create it as an "
            f"npz file with {_wanted(name)}."
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
