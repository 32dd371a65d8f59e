"""What a detector says of rows, as one torch module."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Verdict"]


class Verdict(nn.Module):
    """From rows to their scores, p-values and decisions.

    Parameters
    ----------
    scoring : module
        From rows to `ood_score`.
    detector : fitted detector
        Of which it is the score.
    """

    def __init__(self, scoring: nn.Module, detector: Any):
        super().__init__()
        self.scoring = scoring
        self.offset = detector.offset_
        self.n_scores = len(detector.calibration_scores_)
        # One less than a power of two, for the search. No score is at least NaN.
        sorted_scores = np.full((1 << self.n_scores.bit_length()) - 1, np.nan)
        sorted_scores[: self.n_scores] = detector.calibration_scores_
        self.sorted_scores: Tensor
        self.register_buffer("sorted_scores", torch.from_numpy(sorted_scores))

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`score_samples`, `p_values` and `predict`, shape (n,) each."""
        score = -self.scoring(X)
        if X.is_floating_point():
            score = torch.where(X.isfinite().flatten(1).all(1), score, torch.nan)
        p_value = (1 + self._count_at_most(score)).double() / (self.n_scores + 1)
        return score, p_value, torch.where(score >= self.offset, 1, -1)

    def _count_at_most(self, score: Tensor) -> Tensor:
        """How many calibration scores are at most the score: a binary search, which ONNX lacks."""
        count = torch.zeros_like(score, dtype=torch.int64)
        step = (len(self.sorted_scores) + 1) // 2
        while step:
            count = count + step * (self.sorted_scores[count + (step - 1)] <= score)
            step //= 2
        return count
