"""Unsupervised out-of-distribution detection with deep generative models."""

from skood.core.exceptions import (
    CollapseWarning,
    ExportError,
    InterruptedFitWarning,
    TrainingError,
)
from skood.detectors import *
from skood.detectors import __all__ as _detectors
from skood.exporting import export
from skood.models import *
from skood.models import __all__ as _models
from skood.objectives import *
from skood.objectives import __all__ as _objectives
from skood.training.trainer import Trainer

__version__ = "0.1.0.dev0"
__all__ = [
    *_detectors,
    *_models,
    *_objectives,
    "CollapseWarning",
    "ExportError",
    "InterruptedFitWarning",
    "Trainer",
    "TrainingError",
    "export",
]
