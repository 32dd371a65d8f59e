"""A function for each data set, in the manner of scikit-learn's ``fetch_*``."""

from __future__ import annotations

from skood.datasets._catalogue import Split
from skood.datasets._files import Folder, Images, Labels, load

__all__ = [
    "fetch_cifar10",
    "fetch_fashion_mnist",
    "fetch_gtsrb",
    "fetch_kmnist",
    "fetch_mnist",
    "fetch_svhn",
]


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
