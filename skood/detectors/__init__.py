"""Detectors: one class per method, each around a generative model."""

from skood.detectors._gradient_norm import GradientNorm
from skood.detectors._hierarchical_llr import HierarchicalLLR
from skood.detectors._likelihood import Likelihood
from skood.detectors._score_norm import ScoreNorm
from skood.detectors._typicality import Typicality

__all__ = ["GradientNorm", "HierarchicalLLR", "Likelihood", "ScoreNorm", "Typicality"]
