"""Which evidence speaks by default, by kind of data."""

from __future__ import annotations

import math

from skood.core.row_spec import RowSpec
from skood.core.rows import Rows
from skood.detectors._calibrated import CalibratedDetector
from skood.detectors._gradient_norm import GradientNorm
from skood.detectors._hierarchical_llr import HierarchicalLLR
from skood.detectors._knn_distance import KNNDistance
from skood.detectors._mixture_likelihood import MixtureLikelihood
from skood.detectors._score_norm import ScoreNorm
from skood.models import HVAE
from skood.models._gaussian import MOST_VALUES

__all__ = ["default_members"]


def default_members(rows: Rows) -> list[tuple[str, CalibratedDetector]]:
    """Members of `CombinedDetector` for such rows."""
    n_values = math.prod(rows.shape[1:])
    if rows.ndim == 2:
        return [("neighbors", KNNDistance()), ("mixture", MixtureLikelihood())]
    score_norm = [("score_norm", ScoreNorm())] if n_values <= MOST_VALUES else []
    if RowSpec.tensor_shape_of(rows.shape[1:])[0] > 1:
        return [*score_norm] or [("neighbors", KNNDistance()), ("mixture", MixtureLikelihood())]
    # More importance samples make the ratio a little better, and all evidence several times slower.
    ratio = HierarchicalLLR(HVAE(), k=1, n_importance_samples=2)
    return [("ratio", ratio), ("gradient", GradientNorm(HVAE())), *score_norm]
