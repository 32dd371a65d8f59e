"""Pictures of models and scores, in the manner of scikit-learn's displays.

Each is made by ``from_estimator``, ``from_estimators`` or ``from_predictions``, which also draws
it; it keeps the numbers, and ``plot`` draws them again elsewhere. Drawing needs matplotlib:
``pip install "skood[plots]"``.
"""

from skood.plotting._latent_map import LatentMapDisplay
from skood.plotting._layer_correlation import LayerCorrelationDisplay
from skood.plotting._layer_kl import LayerKLDisplay
from skood.plotting._layer_score import LayerScoreDisplay
from skood.plotting._reconstruction import ReconstructionDisplay
from skood.plotting._score_density import ScoreDensityDisplay

__all__ = [
    "LatentMapDisplay",
    "LayerCorrelationDisplay",
    "LayerKLDisplay",
    "LayerScoreDisplay",
    "ReconstructionDisplay",
    "ScoreDensityDisplay",
]
