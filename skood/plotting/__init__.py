"""Figures of models and scores, in the style of scikit-learn's displays.

A display is created by ``from_estimator``, ``from_estimators``, ``from_predictions`` or
``from_monitor``, which also draw it. It stores the numbers, and ``plot`` draws them again, for
instance on other axes. Drawing needs matplotlib: ``pip install "skood[plots]"``.
"""

from skood.plotting._drift import DriftDisplay
from skood.plotting._latent_map import LatentMapDisplay
from skood.plotting._layer_correlation import LayerCorrelationDisplay
from skood.plotting._layer_kl import LayerKLDisplay
from skood.plotting._layer_score import LayerScoreDisplay
from skood.plotting._likelihood_map import LikelihoodMapDisplay
from skood.plotting._reconstruction import ReconstructionDisplay
from skood.plotting._score_density import ScoreDensityDisplay

__all__ = [
    "DriftDisplay",
    "LatentMapDisplay",
    "LayerCorrelationDisplay",
    "LayerKLDisplay",
    "LayerScoreDisplay",
    "LikelihoodMapDisplay",
    "ReconstructionDisplay",
    "ScoreDensityDisplay",
]
