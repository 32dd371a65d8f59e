"""For those who write a model or a detector: which there are, and small ones for tests."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags
from torch import Tensor

import skood.detectors
import skood.models
from skood.core.estimator_protocols import DensityModel, missing_members
from skood.core.row_spec import RowSpec
from skood.core.rows import check_rows
from skood.testing._image_checks import image_checks
from skood.training.trainer import Trainer

__all__ = [
    "all_detectors",
    "all_model_detectors",
    "all_models",
    "all_trained_models",
    "easy_images",
    "image_checks",
    "image_layouts",
    "model_for",
    "small",
    "spec_of",
    "takes_tables",
    "tensor_of",
]


def spec_of(X: ArrayLike) -> RowSpec:
    """What a model's ``_build_network`` gets for training rows X: to build a network by hand.

    Examples
    --------
    >>> from skood.testing import easy_images, spec_of
    >>> spec_of(easy_images(10)).kind
    'bytes'
    """
    return RowSpec.of(check_rows(BaseEstimator(), X, reset=True))


def tensor_of(X: ArrayLike) -> Tensor:
    """Rows X as the network of a model that was fitted on them takes them, on the CPU.

    Examples
    --------
    >>> from skood.testing import easy_images, tensor_of
    >>> tuple(tensor_of(easy_images(5)).shape)
    (5, 1, 8, 8)
    """
    rows = check_rows(BaseEstimator(), X, reset=True)
    return RowSpec.of(rows).to_tensor(np.asarray(rows), torch.device("cpu"))


def all_models() -> list[type[BaseEstimator]]:
    """Every public generative model.

    Examples
    --------
    >>> from skood.testing import all_models
    >>> "HVAE" in [model.__name__ for model in all_models()]
    True
    """
    return [getattr(skood.models, name) for name in skood.models.__all__]


def all_trained_models() -> list[type[BaseEstimator]]:
    """Those that are trained by gradient descent, and so have epochs, a trainer and a history.

    Examples
    --------
    >>> from skood.testing import all_trained_models
    >>> "Gaussian" in [model.__name__ for model in all_trained_models()]
    False
    """
    return [model for model in all_models() if hasattr(model, "at_epoch")]


def all_detectors() -> list[type[BaseEstimator]]:
    """Every public detector.

    Examples
    --------
    >>> from skood.testing import all_detectors
    >>> "Likelihood" in [detector.__name__ for detector in all_detectors()]
    True
    """
    return [getattr(skood.detectors, name) for name in skood.detectors.__all__]


def all_model_detectors() -> list[type[BaseEstimator]]:
    """Those around a generative model, which is their first parameter.

    Examples
    --------
    >>> from skood.testing import all_model_detectors
    >>> "KNNDistance" in [detector.__name__ for detector in all_model_detectors()]
    False
    """
    return [d for d in all_detectors() if "model" in inspect.signature(d).parameters]


def takes_tables(estimator: BaseEstimator) -> bool:
    """Whether it is for tables too, and not for images alone.

    Examples
    --------
    >>> from skood import InputComplexity, Likelihood
    >>> from skood.testing import takes_tables
    >>> takes_tables(Likelihood()), takes_tables(InputComplexity())
    (True, False)
    """
    return bool(get_tags(estimator).input_tags.two_d_array)


def model_for(detector_class: type[BaseEstimator]) -> type[BaseEstimator]:
    """A model that has what the detector asks of it: HVAE, or else the detector's own default.

    Examples
    --------
    >>> from skood import ScoreNorm
    >>> from skood.testing import model_for
    >>> model_for(ScoreNorm).__name__
    'Gaussian'
    """
    protocol = getattr(detector_class, "_model_protocol", DensityModel)
    if not missing_members(protocol, skood.models.HVAE):
        return skood.models.HVAE
    return type(detector_class()._nested_default("model"))


def small(
    estimator_class: type[BaseEstimator], model: BaseEstimator | None = None, **parameters: Any
) -> BaseEstimator:
    """An instance that trains in a fraction of a second; hierarchical models have three layers.

    Examples
    --------
    >>> from skood import HVAE
    >>> from skood.testing import small
    >>> small(HVAE).latent_dims
    (3, 2, 2)
    """
    names = inspect.signature(estimator_class).parameters
    if "model" in names:
        parameters["model"] = small(model_for(estimator_class)) if model is None else model
        fewest = {"n_importance_samples": 2, "n_models": 2, "n_steps": 3}
        parameters = {name: fewest[name] for name in fewest if name in names} | parameters
        return estimator_class(**parameters)
    if "detectors" in names:
        classes = (skood.detectors.HierarchicalLLR, skood.detectors.Likelihood)
        parameters["detectors"] = [(member.__name__.lower(), small(member)) for member in classes]
        # With 30 of 300 rows the most unusual one of all would often be the threshold.
        parameters.setdefault("calibration_fraction", 0.2)
        return estimator_class(**parameters)
    shared: dict[str, Any] = {"max_epochs": 2, "width": 8, "latent_dims": (3, 2, 2)}
    shared |= {"n_steps": 2, "n_transforms": 1, "n_mixtures": 2}
    shared["trainer"] = Trainer(patience=None)
    shared = {name: value for name, value in shared.items() if name in names}
    return estimator_class(**(shared | parameters))


def easy_images(n: int, *, random_state: int = 0, side: int = 8) -> NDArray[np.uint8]:
    """Grey uint8 images (n, side, side): a bright bar at a random place, with noise.

    Examples
    --------
    >>> from skood.testing import easy_images
    >>> easy_images(5).shape
    (5, 8, 8)
    """
    rng = np.random.default_rng(random_state)
    images = rng.integers(0, 40, size=(n, side, side))
    rows = rng.integers(0, side - 1, size=n)
    images[np.arange(n), rows] += 200
    return images.astype(np.uint8)


def image_layouts(n: int, *, random_state: int = 0, side: int = 8) -> dict[str, NDArray[Any]]:
    """The same images in the layouts and scales that every estimator must take.

    Grey bytes (n, side, side), colour bytes (n, side, side, 3), and colours in [0, 1] with the
    channels first (n, 3, side, side).

    Examples
    --------
    >>> from skood.testing import image_layouts
    >>> [X.shape for X in image_layouts(5).values()]
    [(5, 8, 8), (5, 8, 8, 3), (5, 3, 8, 8)]
    """
    grey = easy_images(n, random_state=random_state, side=side)
    colour = np.stack([grey, grey // 2, 255 - grey], axis=-1)
    return {
        "grey bytes": grey,
        "colour bytes, channels last": colour,
        "colour in [0, 1], channels first": np.moveaxis(colour, -1, 1) / 255,
    }
