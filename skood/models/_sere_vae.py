"""The self-reflective variational autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from skood.core.protocols import Objective
from skood.core.row_spec import RowSpec
from skood.models._base import BaseGenerativeModel
from skood.models._latent_variables import LatentVariablesMixin
from skood.models._likelihood import LIKELIHOODS, build_likelihood
from skood.nn.encoders import ImageDecoder, VectorDecoder
from skood.nn.layers import Shape
from skood.nn.likelihoods import Likelihood
from skood.nn.networks.self_reflective import SelfReflectiveLatents, affine_bijection
from skood.nn.plans import check_latent_dims
from skood.objectives import ELBO
from skood.training.trainer import Trainer

__all__ = ["SeReVAE"]


class SelfReflectiveNetwork(SelfReflectiveLatents):
    """The network of `SeReVAE`, or of its independent twin."""

    def __init__(
        self,
        x_shape: Shape,
        dims: tuple[int, ...],
        likelihood: Likelihood,
        *,
        network: str,
        width: int,
        self_reflective: bool,
    ):
        super().__init__(
            x_shape,
            dims,
            likelihood,
            network=network,
            width=width,
            self_reflective=self_reflective,
            bijection=affine_bijection,
        )
        decoder = {"mlp": VectorDecoder, "resnet": ImageDecoder}[network]
        self.decoder = decoder(sum(dims), self.parameters_shape, width)

    def decode(self, latents: Tensor) -> Tensor:
        """Parameters of p(x | z), from the latents of all layers side by side, layer 1 first."""
        return self.decoder(latents)


def evidence_network(network: str, shape: Shape) -> str:
    """The architecture for rows of that shape; "auto" is "resnet" for colour images."""
    if network == "resnet" and len(shape) == 1:
        raise ValueError("network='resnet' is for images, but X holds a table. Use network='auto'.")
    if network == "auto":
        return "resnet" if len(shape) == 3 and shape[0] > 1 else "mlp"
    return network


class SeReVAE(LatentVariablesMixin, BaseGenerativeModel):
    """Self-reflective variational autoencoder: top-down, with bijections shared by prior and q.

    A density model whose inference has the structure of the exact posterior. Its likelihood is
    good for its size, but its ten vectors of latents hold no layer of detail, so likelihood ratios
    between them detect little: take `HVAE` for that.

    Parameters
    ----------
    latent_dims : tuple of int or "auto", default="auto"
        Units of each latent layer, layer 1 (nearest to x) first. "auto" is ten layers of ten
        units for images, and (8, 8, 8) for tables.
    self_reflective : bool, default=True
        False gives the independent twin (a DLGM, Rezende et al. 2014): q and the prior of a layer
        no longer depend on the layer above, everything else being equal.
    network : {"auto", "mlp", "resnet"}, default="auto"
        Of the paper's appendix 7 or 8; "auto" is the latter for colour images.
    width : int or "auto", default="auto"
        Units of the hidden layers; the decoder has twice as many. "resnet" has a sixteenth and an
        eighth as many channels in its encoders. "auto" is 256 (32 below 400 rows).
    likelihood, data_kind, objective, trainer, max_epochs, batch_size, learning_rate, device, \
random_state, verbose
        As in `HVAE`, but that ``objective=None`` is ``ELBO(free_bits=0, schedule="geometric")``.

    See Also
    --------
    HierarchicalLLR : Out-of-distribution detection with it.

    Notes
    -----
    With three layers; e_l is the base variable of layer l, f_l its bijection given z above::

        q(e | x):   x => e3 = z3 -> e2 -f2-> z2 -> e1 -f1-> z1       x => e2,  x => e1
        p(x, e):         e3 = z3 -> e2 -f2-> z2 -> e1 -f1-> z1       z3, z2, z1 -> x

    so that ``q = q(e3 | x) q(e2 | z3, x) q(e1 | z2, x)`` (eq. 4) factorises as the exact posterior
    does, and ``p = p(e3) p(e2 | z3) p(e1 | z2) p(x | z1, z2, z3)`` (eq. 3). Since both share f_l,
    both densities are those of e_l. The paper numbers its layers from the top; here layer 1 is the
    last one generated, which every L>k draws from the prior first. f_l is a positive diagonal plus
    a rank-one matrix (section 5.2.1).

    Departures: one network gives both mean and scale of a Gaussian, standard deviations are those
    of `HVAE` (eq. 11 bounds the variance from below by 0.31), and there is no batch
    normalisation and no weight decay.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import SeReVAE
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> model = SeReVAE(latent_dims=(4, 2), max_epochs=2, random_state=0).fit(X)
    >>> model.bounds(X)[0].shape
    (2, 200)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseGenerativeModel._parameter_constraints,
        **LatentVariablesMixin._parameter_constraints,
        "latent_dims": [tuple, list, StrOptions({"auto"})],
        "self_reflective": ["boolean"],
        "network": [StrOptions({"auto", "mlp", "resnet"})],
        "width": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "likelihood": [StrOptions({"auto", *LIKELIHOODS})],
    }

    def __init__(
        self,
        latent_dims: Sequence[int] | str = "auto",
        *,
        self_reflective: bool = True,
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
        self.latent_dims = latent_dims
        self.self_reflective = self_reflective
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
        automatic = (10,) * 10 if len(tensor_shape) == 3 else (8, 8, 8)
        return check_latent_dims(self.latent_dims, automatic)

    def _build_network(self, rows: RowSpec) -> SelfReflectiveNetwork:
        shape = rows.tensor_shape
        return SelfReflectiveNetwork(
            shape,
            self._latent_dims_for(shape, rows.n_rows),
            build_likelihood(self.likelihood, rows),
            network=evidence_network(self.network, shape),
            width=rows.hidden_units(256) if self.width == "auto" else int(self.width),
            self_reflective=self.self_reflective,
        )

    def _default_objective(self, network: nn.Module) -> Objective:
        return ELBO(free_bits=0.0, schedule="geometric")
