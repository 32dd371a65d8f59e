"""The self-reflective masked autoregressive flow."""

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
from skood.models._flow import coordinates_for
from skood.models._latent_variables import LatentVariablesMixin
from skood.models._sere_vae import evidence_network
from skood.nn.networks.conditional_flow import ConditionalFlow
from skood.nn.networks.self_reflective import SelfReflectiveLatents, spline_bijection
from skood.nn.plans import check_latent_dims
from skood.objectives import ELBO
from skood.training.trainer import Trainer

__all__ = ["SeReMAF"]


class SelfReflectiveFlowNetwork(SelfReflectiveLatents):
    """The network of `SeReMAF`: its likelihood is a flow that takes the latents as they are."""

    def __init__(self, likelihood: ConditionalFlow, *, network: str, width: int):
        super().__init__(
            likelihood.x_shape,
            likelihood.dims,
            likelihood,
            network=network,
            width=width,
            self_reflective=True,
            bijection=spline_bijection,
        )

    def decode(self, latents: Tensor) -> Tensor:
        """The latents themselves: what `ConditionalFlow` is conditioned on."""
        return latents

    def _crop(self, parameters: Tensor) -> Tensor:
        return parameters  # they are no image


class SeReMAF(LatentVariablesMixin, BaseGenerativeModel):
    """Self-reflective masked autoregressive flow: latent layers of which a flow makes x.

    A flow whose base and transforms depend on latent layers, for densities with several modes. Of
    images it is slow to train and to score, and it can do without its latents, which free bits
    must prevent.

    Parameters
    ----------
    latent_dims : tuple of int or "auto", default="auto"
        Units of each latent layer, layer 1 (nearest to x) first. "auto" is five layers of ten
        units for images, and (8, 8, 8) for tables.
    n_transforms : int, default=2
        Transforms of the flow, each of them with one autoregressive layer for each latent layer.
    network : {"auto", "mlp", "resnet"}, default="auto"
        What encodes x, as in `SeReVAE`; "auto" is "resnet" for colour images.
    width : int or "auto", default="auto"
        Units of the hidden layers; "resnet" has a sixteenth and an eighth as many channels.
        "auto" is 256 (32 below 400 rows).
    objective : objective or None, default=None
        None is ``ELBO(free_bits=1, free_bits_over="layer", schedule="geometric")``, the paper's: a
        flow can do without latents, and would.
    data_kind, trainer, max_epochs, batch_size, learning_rate, device, random_state, verbose
        As in `HVAE`.

    See Also
    --------
    SeReVAE : The same latent layers, with a likelihood that takes values as independent.
    MAF : The flow alone.

    Notes
    -----
    Self-Reflective Variational Autoencoder, section 4.2 and appendix 9. With two latent layers and
    two transforms; z2 -> z1 and q are those of `SeReVAE`::

        z2 -> gamma -(z1)-> gamma + r1(gamma, z1)          parameters of p(e)
        e -z2-> -z1-> -z2-> -z1-> x                        MADE layers, each given one z

    p(e) is Gaussian, its scale a diagonal plus a rank-one matrix, and its parameters gamma are
    mended from the top layer down to layer 1. The MADE layers are affine, and in every second of
    them the order of the values is reversed. The bijections f_l, which prior and q share, are
    rational-quadratic splines in coupling layers. The log-likelihood in the bounds is
    log p(x | z) of the flow, of pixels dequantised as in `MAF`; for tables ``nll`` counts from the
    largest density that values smoothed by the noise of training can have. `reconstruct` pushes
    the mean of e through the flow, and takes as many passes as x has values.

    The paper leaves open in which order a transform takes the latents (here the top first, as they
    are generated), and how its couplings alternate. Departures: two couplings of eight bins on
    [-5, 5] in place of five with 32 on [-20, 20]; the first value of a MADE layer sees z too
    (by its appendix 9.2 it would not), and z is cut at 5 in size there; perceptrons for p(e), in
    place of a residual network; pixels are standardised, not taken to logits; orders are not
    random; and there is no phase without latents, no batch normalisation, no dropout and no weight
    decay. Its sizes for CIFAR-10:
    ``SeReMAF((40,) * 5, width=1024, batch_size=512, max_epochs=1500)``.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import SeReMAF
    >>> angle = np.random.default_rng(0).uniform(0, 6, size=200)
    >>> X = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> model = SeReMAF(latent_dims=(4, 2), max_epochs=10, batch_size=20, random_state=0).fit(X)
    >>> model.bounds(X)[0].shape
    (2, 200)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseGenerativeModel._parameter_constraints,
        **LatentVariablesMixin._parameter_constraints,
        "latent_dims": [tuple, list, StrOptions({"auto"})],
        "n_transforms": [Interval(Integral, 1, None, closed="left")],
        "network": [StrOptions({"auto", "mlp", "resnet"})],
        "width": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        latent_dims: Sequence[int] | str = "auto",
        *,
        n_transforms: int = 2,
        network: str = "auto",
        width: int | str = "auto",
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
        self.n_transforms = n_transforms
        self.network = network
        self.width = width
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
        automatic = (10,) * 5 if len(tensor_shape) == 3 else (8, 8, 8)
        return check_latent_dims(self.latent_dims, automatic)

    def _build_network(self, rows: RowSpec) -> SelfReflectiveFlowNetwork:
        shape = rows.tensor_shape
        width = rows.hidden_units(256) if self.width == "auto" else int(self.width)
        flow = ConditionalFlow(
            shape,
            coordinates_for(rows),
            self._latent_dims_for(shape, rows.n_rows),
            n_transforms=self.n_transforms,
            width=width,
        )
        network = evidence_network(self.network, shape)
        return SelfReflectiveFlowNetwork(flow, network=network, width=width)

    def _default_objective(self, network: nn.Module) -> Objective:
        return ELBO(free_bits=1.0, free_bits_over="layer", schedule="geometric")
