"""The variational autoencoder with one latent layer: the baseline."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skood.core.protocols import Objective
from skood.core.row_spec import RowSpec
from skood.models._base import BaseGenerativeModel
from skood.models._hvae import BottomUpNetwork, NormalisedBottomUpNetwork
from skood.models._latent_variables import LatentVariablesMixin
from skood.models._likelihood import LIKELIHOODS, build_likelihood
from skood.nn.plans import plan_network
from skood.training.trainer import Trainer

__all__ = ["VAE"]


class VAE(LatentVariablesMixin, BaseGenerativeModel):
    """Variational autoencoder with one latent layer: the baseline.

    It has a likelihood but no hierarchy, so it serves `Likelihood`, `Typicality` and
    `GradientNorm`, and not `HierarchicalLLR`. Its likelihood is fooled by simple images, as that
    of the others is.

    Parameters
    ----------
    latent_dim : int or "auto", default="auto"
        Units of the latent vector. "auto" is 32 for images and 8 for tables.
    network, width, likelihood, data_kind, trainer, max_epochs, batch_size, learning_rate, \
device, random_state, verbose
        As in `HVAE`.
    objective : Objective, default=None
        None is ``ELBO(free_bits=0)``.

    See Also
    --------
    Likelihood, Typicality : Detectors for models with less than two latent layers.

    Notes
    -----
    ::

        q(z | x):   x -> z
        p(x, z):    z -> x

    Kingma & Welling 2014; the layers are those of a `HVAE` with a single vector.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import VAE
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 5))
    >>> model = VAE(latent_dim=2, max_epochs=20, random_state=0).fit(X)
    >>> model.transform(X).shape
    (200, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseGenerativeModel._parameter_constraints,
        **LatentVariablesMixin._parameter_constraints,
        "latent_dim": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "network": [StrOptions({"auto", "mlp", "patch", "resnet"})],
        "width": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "likelihood": [StrOptions({"auto", *LIKELIHOODS})],
    }

    def __init__(
        self,
        latent_dim: int | str = "auto",
        *,
        network: str = "auto",
        width: int | str = "auto",
        likelihood: str = "auto",
        data_kind: str = "auto",
        objective: Objective | None = None,
        trainer: Trainer | None = None,
        max_epochs: int | str = "auto",
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        device: str | torch.device = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.latent_dim = latent_dim
        self.network = network
        self.width = width
        self.likelihood = likelihood
        self.data_kind = data_kind
        self.objective = objective
        self.trainer = trainer
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _latent_dims_for(self, tensor_shape: tuple[int, ...], n_rows: int) -> tuple[int, ...]:
        automatic = 32 if len(tensor_shape) == 3 else 8
        return (automatic if self.latent_dim == "auto" else int(self.latent_dim),)

    def _build_network(self, rows: RowSpec) -> BottomUpNetwork:
        shape = rows.tensor_shape
        plan = plan_network(
            shape,
            network=self.network,
            latent_dims=self._latent_dims_for(shape, rows.n_rows),
            n_spatial_layers=0,
            width=self.width,
            n_rows=rows.n_rows,
        )
        network_class = NormalisedBottomUpNetwork if plan.normalise else BottomUpNetwork
        return network_class(shape, plan, build_likelihood(self.likelihood, rows))
