"""Image data sets: downloaded once and stored as npz files, included in scikit-learn, or yours."""

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
from skood.datasets._image_folder import load_image_folder

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
    "load_image_folder",
    "load_photo_tiles",
]
