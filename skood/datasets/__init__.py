"""Image data sets: downloaded once and stored as npz files, or included in scikit-learn."""

from skood.datasets._bundled import load_digit_images, load_photo_tiles
from skood.datasets._fetch import (
    available,
    fetch_cifar10,
    fetch_fashion_mnist,
    fetch_gtsrb,
    fetch_kmnist,
    fetch_mnist,
    fetch_svhn,
    load,
)

__all__ = [
    "available",
    "fetch_cifar10",
    "fetch_fashion_mnist",
    "fetch_gtsrb",
    "fetch_kmnist",
    "fetch_mnist",
    "fetch_svhn",
    "load",
    "load_digit_images",
    "load_photo_tiles",
]
