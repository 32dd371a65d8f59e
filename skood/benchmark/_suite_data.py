"""Every normal data set of the suite with the OOD rows that fit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from skood import datasets
from skood.benchmark._made import (
    centre_cut,
    grey_images,
    in_colour,
    made_sets,
    padded,
    plain_images,
)
from skood.benchmark._run import out_sets

__all__ = ["InSet", "Source"]

_IMAGES = ("fashion_mnist", "mnist", "cifar10")
_N_TEST_IMAGES = 2_000
_N_TABLE, _N_ANOMALIES = 1_000, 2_500


@dataclass(frozen=True)
class InSet:
    """Normal rows for training and for testing, and OOD rows, all in random order."""

    X_train: NDArray[Any]
    X_test: NDArray[Any]
    out: dict[str, NDArray[Any]]
    # Single images.
    plain: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "tables" if self.X_train.ndim == 2 else "images"


@dataclass(frozen=True)
class Source:
    """Where the data are, and how much of them is taken.

    Parameters
    ----------
    data_home : str or None
        Folder of the images, see `skood.datasets`.
    tables : path or None
        Folder of NAME.npz files with X (n, d) and y, which is 1 for anomalies.
    n_train, n_test : int or None
        At most so many training rows, and rows of each test set. None: all training images and
        2,000 of each test set; of tables, 1,000 normal rows of both and 2,500 anomalies.
    """

    data_home: str | None
    tables: Path | None = None
    n_train: int | None = None
    n_test: int | None = None

    def names(self) -> list[str]:
        """Those image data sets of the suite that are there, and all tables."""
        images = [name for name in _IMAGES if name in datasets.available(self.data_home)]
        return images + sorted(path.stem for path in self._files())

    def load(self, name: str, seed: int) -> InSet:
        """One normal data set with its OOD sets; ``seed`` draws the rows and makes images."""
        rng = np.random.default_rng(seed)
        files = {path.stem: path for path in self._files()}
        return self._table(files[name], rng) if name in files else self._images(name, seed, rng)

    def _files(self) -> list[Path]:
        return [] if self.tables is None else list(self.tables.glob("*.npz"))

    def _table(self, path: Path, rng: Generator) -> InSet:
        with np.load(path, allow_pickle=False) as file:
            X, anomalous = file["X"], file["y"] == 1
        normal, anomalies = (_some(part, None, rng) for part in (X[~anomalous], X[anomalous]))
        half = len(normal) // 2
        return InSet(
            normal[:half][: _least(_N_TABLE, self.n_train)],
            normal[half:][: _least(_N_TABLE, self.n_test)],
            {"anomalies": anomalies[: _least(_N_ANOMALIES, self.n_test)]},
        )

    def _images(self, name: str, seed: int, rng: Generator) -> InSet:
        X_train = _some(datasets.load(name, "train", self.data_home)[0], self.n_train, rng)
        X_test = self._some_test(datasets.load(name, "test", self.data_home)[0], rng)
        others = {other: self._some_test(X, rng) for other, X in self._others(name, X_test)}
        return InSet(X_train, X_test, others | made_sets(X_test, seed), plain_images(X_test))

    def _others(self, name: str, X_test: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Data sets of the same image shape, and what is brought to it."""
        yield from out_sets(name, X_test, self.data_home, None)
        there = datasets.available(self.data_home)
        if X_test.shape[1:] == (28, 28) and "cifar10" in there:
            photographs = datasets.load("cifar10", "test", self.data_home)[0]
            yield "cifar10 in grey", centre_cut(grey_images(photographs), 28)
        if name == "cifar10" and "mnist" in there:
            digits = datasets.load("mnist", "test", self.data_home)[0]
            yield "mnist in colour", in_colour(padded(digits, 32))

    def _some_test(self, X: NDArray[Any], rng: Generator) -> NDArray[Any]:
        return _some(X, self.n_test or _N_TEST_IMAGES, rng)


def _some(X: NDArray[Any], n: int | None, rng: Generator) -> NDArray[Any]:
    return X[rng.permutation(len(X))[:n]]


def _least(most: int, n: int | None) -> int:
    return most if n is None else min(most, n)
