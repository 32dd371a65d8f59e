"""Unsupervised out-of-distribution detection with deep generative models."""

from skood.core.exceptions import (
    CollapseWarning,
    ExportError,
    InterruptedFitWarning,
    LoadError,
    TrainingError,
)
from skood.core.version import __version__ as __version__
from skood.detectors import *
from skood.detectors import __all__ as _detectors
from skood.exporting import export
from skood.models import *
from skood.models import __all__ as _models
from skood.monitoring import DriftMonitor
from skood.objectives import *
from skood.objectives import __all__ as _objectives
from skood.persistence import load
from skood.training.trainer import Trainer

__all__ = [
    *_detectors,
    *_models,
    *_objectives,
    "CollapseWarning",
    "DriftMonitor",
    "ExportError",
    "InterruptedFitWarning",
    "LoadError",
    "Trainer",
    "TrainingError",
    "export",
    "load",
]
