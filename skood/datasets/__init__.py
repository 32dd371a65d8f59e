"""Image data sets: fetched, or included in scikit-learn; your pictures; many files as one."""

from skood.datasets._bundled import load_digit_images, load_photo_tiles
from skood.datasets._fetch import (
    fetch_cifar10,
    fetch_fashion_mnist,
    fetch_gtsrb,
    fetch_kmnist,
    fetch_mnist,
    fetch_svhn,
)
from skood.datasets._files import available, load
from skood.datasets._image_folder import load_image_folder
from skood.datasets._shards import join_shards

__all__ = [
    "available",
    "fetch_cifar10",
    "fetch_fashion_mnist",
    "fetch_gtsrb",
    "fetch_kmnist",
    "fetch_mnist",
    "fetch_svhn",
    "join_shards",
    "load",
    "load_digit_images",
    "load_image_folder",
    "load_photo_tiles",
]
