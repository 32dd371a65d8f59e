"""A folder of tiny image sets and tables, and default models that train in no time."""

import numpy as np
import pytest

from skood import HVAE
from skood.detectors import HierarchicalLLR, Likelihood, Typicality
from skood.testing import easy_images, small


@pytest.fixture
def folder(tmp_path):
    """Fashion-MNIST, MNIST and CIFAR-10 of made-up images."""
    grey = easy_images(120, side=28)
    photographs = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    labels = np.zeros(120, int)
    for name, images in [("fashion_mnist", grey), ("mnist", 255 - grey), ("cifar10", photographs)]:
        train, test = np.split(images, [len(images) * 2 // 3])
        np.savez(
            tmp_path / f"{name}.npz",
            train_images=train,
            train_labels=labels[: len(train)],
            test_images=test,
            test_labels=labels[: len(test)],
        )
    return tmp_path


@pytest.fixture
def tables(tmp_path):
    """One table with two kinds of rows: anomalies are at 8 in each of the columns."""
    rng = np.random.default_rng(0)
    y = (np.arange(300) % 10 == 0).astype(np.int8)
    X = rng.normal(size=(300, 4)) + 8 * y[:, None]
    (tmp_path / "tables").mkdir()
    np.savez(tmp_path / "tables" / "easy.npz", X=X.astype(np.float32), y=y)
    return tmp_path / "tables"


@pytest.fixture
def small_defaults(monkeypatch):
    """Detectors around an HVAE take a small one."""
    for detector in (HierarchicalLLR, Likelihood, Typicality):
        monkeypatch.setattr(detector, "_nested_default", lambda self, name: small(HVAE))
