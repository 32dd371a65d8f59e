"""A generative model to copy: rows under independent Gaussians with learned parameters.

In skood it would be ``skood/models/_my_model.py``, and a line in ``skood/models/__init__.py``. Open
a real module with its notation, the same letters everywhere:

    p(x) = prod_i N(x_i; m_i, s_i)              objective: the mean of -log p(x)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skood import Trainer
from skood.core.noise import Noise
from skood.core.row_spec import RowSpec
from skood.core.terms import Terms
from skood.models._base import BaseGenerativeModel


class MyNetwork(nn.Module):
    """A `skood.core.protocols.DensityNetwork`: terms of each row, and samples."""

    def __init__(self, rows: RowSpec):
        super().__init__()
        self.shape = rows.tensor_shape
        loc, scale = rows.standardisation()
        self.register_buffer("loc", loc)
        self.register_buffer("scale", scale)
        self.mean = nn.Parameter(torch.zeros(self.shape))
        self.log_std = nn.Parameter(torch.zeros(self.shape))

    def terms(self, x: Tensor, noise: Noise) -> Terms:
        """log p(x) in nats, in the units of x; all randomness would come from ``noise``."""
        z = ((x - self.loc) / self.scale).to(self.mean.dtype)
        normal = torch.distributions.Normal(self.mean, self.log_std.exp(), validate_args=False)
        log_px = normal.log_prob(z) - self.scale.log().to(z.dtype)
        return Terms(log_px.flatten(1).sum(1))

    def sample(self, n: int, noise: Noise) -> Tensor:
        """Rows on the scale of the data."""
        z = self.mean + self.log_std.exp() * noise.normal("x", (n, *self.shape))
        return z * self.scale + self.loc


class MyModel(BaseGenerativeModel):
    """One line: what it is. Then, in two or three sentences, what it sees and when it fails.

    Parameters
    ----------
    data_kind, trainer, max_epochs, batch_size, learning_rate, device, random_state, verbose
        As in `HVAE`.

    Notes
    -----
    Paper (title, year, arXiv number or venue) and equation; departures from it.

    Examples
    --------
    One that runs.
    """

    def __init__(
        self,
        *,
        data_kind: str = "auto",
        trainer: Trainer | None = None,
        max_epochs: int | str = "auto",
        batch_size: int = 128,
        learning_rate: float = 1e-2,
        device: str | torch.device = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.data_kind = data_kind
        self.trainer = trainer
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _build_network(self, rows: RowSpec) -> MyNetwork:
        return MyNetwork(rows)
