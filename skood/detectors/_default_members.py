"""Which evidence speaks by default, by kind of data."""

from __future__ import annotations

import math

from skood.core.data_kinds import kind_for
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows
from skood.detectors._calibrated import CalibratedDetector
from skood.detectors._gradient_norm import GradientNorm
from skood.detectors._hierarchical_llr import HierarchicalLLR
from skood.detectors._input_complexity import InputComplexity
from skood.detectors._knn_distance import KNNDistance
from skood.detectors._mixture_likelihood import MixtureLikelihood
from skood.detectors._score_norm import ScoreNorm
from skood.models import HVAE, Gaussian
from skood.models._gaussian import MOST_VALUES

__all__ = ["default_members"]


_Members = list[tuple[str, CalibratedDetector]]


def default_members(rows: Rows) -> _Members:
    """Members of `CombinedDetector` for such rows; docs/understand/defaults.md has the reasons."""
    vectors: _Members = [("neighbors", KNNDistance()), ("mixture", MixtureLikelihood())]
    if rows.ndim == 2:
        return vectors
    is_small = math.prod(rows.shape[1:]) <= MOST_VALUES  # enough for a full covariance
    score_norm: _Members = [("score_norm", ScoreNorm(Gaussian()))] if is_small else []
    if RowSpec.tensor_shape_of(rows.shape[1:])[0] == 1:
        # More samples make the ratio a little better, and all evidence several times slower.
        ratio = HierarchicalLLR(HVAE(), k=1, n_importance_samples=2)
        return [("ratio", ratio), ("gradient", GradientNorm(HVAE())), *score_norm]
    if not is_small:
        return vectors
    if kind_for(Gaussian(), rows) == "real":  # which no compressor of images takes
        return score_norm
    return [*score_norm, ("complexity", InputComplexity(Gaussian()))]
