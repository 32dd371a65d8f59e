"""The data sets that skood knows by name: their shapes, splits and layout at OpenML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = ["DATA_SETS", "DataSet", "Split", "wanted"]

Split: TypeAlias = Literal["train", "test"]


@dataclass(frozen=True)
class DataSet:
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
DATA_SETS: Mapping[str, DataSet] = MappingProxyType(
    {
        "mnist": DataSet((28, 28), openml_id=554),
        "fashion_mnist": DataSet((28, 28), openml_id=40996),
        "kmnist": DataSet((28, 28), openml_id=41982),
        "cifar10": DataSet((32, 32, 3), openml_id=40927, n_train=50_000, planes_first=True),
        "svhn": DataSet((32, 32, 3), openml_id=41081, n_train=73_257, n_test=26_032),
        "gtsrb": DataSet((32, 32, 3), splits=("test",)),
    }
)


def wanted(name: str) -> str:
    """Description of the arrays of NAME.npz, for error messages."""
    shape = ", ".join(map(str, DATA_SETS[name].image_shape))
    arrays = (f"{s}_images (n, {shape}) and {s}_labels (n,)" for s in DATA_SETS[name].splits)
    return f"the arrays {', '.join(arrays)}, images uint8, labels integers"
