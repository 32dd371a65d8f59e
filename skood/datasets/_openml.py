"""Data sets from OpenML, kept as npz files."""

from __future__ import annotations

import os
import tempfile
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml

from skood.datasets._catalogue import DATA_SETS, wanted

__all__ = ["download"]


def download(name: str, path: Path) -> None:
    """Fetch a data set from OpenML and keep it as `path`."""
    if DATA_SETS[name].openml_id is None:
        raise FileNotFoundError(
            f"{path} does not exist, and {name} has no download. "
            f"Create it as an npz file with {wanted(name)}."
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
    spec = DATA_SETS[name]
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
            f"npz file with {wanted(name)}."
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


def _images(name: str, rows: NDArray[Any]) -> NDArray[np.uint8]:
    """OpenML's flattened rows as uint8 images, channels last."""
    spec = DATA_SETS[name]
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
