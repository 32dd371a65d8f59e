"""Detectors: one class per method, most of them around a generative model."""

from skood.detectors._background_likelihood_ratio import BackgroundLikelihoodRatio
from skood.detectors._combined import CombinedDetector
from skood.detectors._conformal import ConformalDetector
from skood.detectors._dose import DoSE
from skood.detectors._gradient_norm import GradientNorm
from skood.detectors._hierarchical_llr import HierarchicalLLR
from skood.detectors._input_complexity import InputComplexity
from skood.detectors._knn_distance import KNNDistance
from skood.detectors._latent_goodness_of_fit import LatentGoodnessOfFit
from skood.detectors._likelihood import Likelihood
from skood.detectors._likelihood_regret import LikelihoodRegret
from skood.detectors._mixture_likelihood import MixtureLikelihood
from skood.detectors._score_norm import ScoreNorm
from skood.detectors._typicality import Typicality
from skood.detectors._waic import WAIC

__all__ = [
    "WAIC",
    "BackgroundLikelihoodRatio",
    "CombinedDetector",
    "ConformalDetector",
    "DoSE",
    "GradientNorm",
    "HierarchicalLLR",
    "InputComplexity",
    "KNNDistance",
    "LatentGoodnessOfFit",
    "Likelihood",
    "LikelihoodRegret",
    "MixtureLikelihood",
    "ScoreNorm",
    "Typicality",
]
