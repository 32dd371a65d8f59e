"""Image data sets in npz files, which are downloaded from OpenML on first use.

A data set NAME is the file ``NAME.npz`` in the data folder. It contains ``train_images``,
``train_labels``, ``test_images`` and ``test_labels`` (or one of the two pairs). An existing file is
used without a download. Pickled objects are never loaded.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from skood.datasets._catalogue import DATA_SETS, Split, wanted
from skood.datasets._openml import download

__all__ = ["Folder", "Images", "Labels", "available", "load"]

Folder: TypeAlias = "str | os.PathLike[str] | None"
Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]


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
    return sorted(name for name in DATA_SETS if (home / f"{name}.npz").is_file())


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
    if name not in DATA_SETS:
        raise ValueError(f"There is no data set {name!r}. Choose from {', '.join(DATA_SETS)}.")
    if split not in DATA_SETS[name].splits:
        known = " or ".join(map(repr, DATA_SETS[name].splits))
        raise ValueError(f"{name} has no split {split!r}. Give {known}.")
    path = _data_home(data_home) / f"{name}.npz"
    if not path.exists():
        download(name, path)
    return _read(name, split, path)


def _data_home(data_home: Folder) -> Path:
    if data_home is None:
        data_home = os.environ.get("SKOOD_DATA") or "~/skood_data"
    return Path(data_home).expanduser()


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
            f"again, or replace it by one with {wanted(name)}."
        ) from error
    if missing:
        raise ValueError(
            f"{path} holds no {' and no '.join(missing)}. Replace it by one with {wanted(name)}."
        )
    images, labels = arrays
    shape = DATA_SETS[name].image_shape
    if images.dtype != np.uint8 or images.shape[1:] != shape or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{path} holds {keys[0]} {images.dtype} {images.shape} and {keys[1]} {labels.shape}. "
            f"Replace it by one with {wanted(name)}."
        )
    return images, labels.astype(np.int64)
