"""Formats write functions as torch computes them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skood.exporting._formats import FORMATS


class Tails(nn.Module):
    """Three functions of a number that a careless translation rounds to 0 or to infinity."""

    def forward(self, X):
        loss = F.binary_cross_entropy_with_logits(X, torch.ones_like(X), reduction="none")
        return F.logsigmoid(X), loss, F.softplus(X)


@pytest.mark.parametrize("name", FORMATS)
def test_functions_are_exact_far_out(name, tmp_path):
    X = torch.tensor([-500.0, -100.0, -19.0, -1.0, 0.0, 1.0, 19.0, 100.0, 500.0])
    dynamic_shapes = ({0: torch.export.Dim("batch", min=1)},)
    program = torch.export.export(Tails(), (X,), dynamic_shapes=dynamic_shapes)
    FORMATS[name].write(program, tmp_path / "file")
    got = np.stack(FORMATS[name].load(tmp_path / "file")(X.numpy()))
    np.testing.assert_allclose(got, torch.stack(Tails()(X)), rtol=1e-6, atol=1e-6)
