"""The variational autoencoder with one latent layer: the baseline."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from skood.models._base import BaseGenerativeModel
from skood.models._hvae import BottomUpNetwork, NormalisedBottomUpNetwork
from skood.models._latent_variables import LatentVariablesMixin
from skood.models._likelihood import LIKELIHOODS, build_likelihood, row_shape
from skood.nn.plans import plan_network

__all__ = ["VAE"]


class VAE(LatentVariablesMixin, BaseGenerativeModel):
    """Variational autoencoder with one latent layer: the baseline.

    Parameters
    ----------
    latent_dim : int or "auto", default="auto"
        Units of the latent vector. "auto" is 32 for images and 8 for tables.
    network, width, likelihood, trainer, max_epochs, batch_size, learning_rate, device, \
random_state, verbose
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
        latent_dim="auto",
        *,
        network="auto",
        width="auto",
        likelihood="auto",
        objective=None,
        trainer=None,
        max_epochs="auto",
        batch_size=128,
        learning_rate=1e-3,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.latent_dim = latent_dim
        self.network = network
        self.width = width
        self.likelihood = likelihood
        self.objective = objective
        self.trainer = trainer
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _build_network(self, X, kind):
        shape = row_shape(X.shape[1:])
        automatic = 32 if len(shape) == 3 else 8
        plan = plan_network(
            shape,
            network=self.network,
            latent_dims=(automatic if self.latent_dim == "auto" else self.latent_dim,),
            n_spatial_layers=0,
            width=self.width,
            n_rows=len(X),
        )
        network_class = NormalisedBottomUpNetwork if plan.normalise else BottomUpNetwork
        return network_class(shape, plan, build_likelihood(self.likelihood, kind, X))
