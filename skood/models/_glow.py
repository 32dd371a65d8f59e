"""The flow of 1x1 convolutions."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skood.core.row_spec import RowSpec
from skood.models._base import BaseGenerativeModel
from skood.models._flow import FlowMixin, coordinates_for
from skood.nn.bijections.base import Bijection, Chain
from skood.nn.bijections.couplings import AlternatingCoupling, ChannelCoupling
from skood.nn.bijections.elementwise import ActNorm
from skood.nn.bijections.linear import InvertibleConvolution
from skood.nn.bijections.multi_scale import MultiScale
from skood.nn.bijections.reshaping import Flatten, Squeeze
from skood.nn.networks.flow import ActNormFlowNetwork
from skood.training.trainer import Trainer

__all__ = ["Glow"]


class Glow(FlowMixin, BaseGenerativeModel):
    """Normalising flow of normalisation, 1x1 convolutions and affine couplings.

    Its log-likelihood is exact, up to the dequantisation of pixels, and its samples are as fast.
    On images the likelihood is fooled by simple ones, the convolutional flow's altogether; it is
    the default model of `GradientNorm`, which is not.

    Parameters
    ----------
    network : {"auto", "conv", "flat"}, default="auto"
        "conv" is the multi-scale flow of images (Kingma & Dhariwal 2018): in each coupling a
        convolutional network lets half of the channels change the others. "flat" takes a row as
        one vector, of which every second value changes those between through a multilayer
        perceptron. "auto" is "conv" for colour images that can be squeezed, else "flat": Montazeran
        et al. take it for grey images.
    n_levels : int, default=2
        Of "conv": after each but the last, half of the channels leave the flow.
    patch : int, default=2
        Of "conv": each level turns patches of so many pixels a side into channels.
    n_steps : int or "auto", default="auto"
        Steps of the flow in each level; "auto" is 4 for "conv" and 8 for "flat".
    width : int or "auto", default="auto"
        Channels, or units, of the hidden layers in the couplings. "auto" is 32 channels for "conv"
        and 256 units for "flat" (32 below 400 rows).
    n_hidden_layers : int, default=2
        Hidden layers in the couplings.
    learning_rate : float or "auto", default="auto"
        "auto" is 2e-3 for "conv" and 5e-4 for "flat", whose units die at larger ones.
    data_kind, trainer, max_epochs, batch_size, device, random_state, verbose
        As in `HVAE`.

    See Also
    --------
    GradientNorm : Out-of-distribution detection with it.

    Notes
    -----
    Presets of Montazeran et al., appendix D, that need a GPU; for colour images and grey ones::

        Glow(
            n_levels=3,
            n_steps=32,
            width=512,
            learning_rate=5e-4,
            batch_size=64,
            max_epochs=250,
            trainer=Trainer(optimizer="adamax"),
        )
        Glow("flat", n_steps=10, width=1000, n_hidden_layers=11, learning_rate=1e-3, max_epochs=200)

    The optimiser and the 11 layers are those of their published code, which has a weight decay of
    5e-5 and 1e-4 besides; a constant rate and all rows for training are
    ``Trainer(lr_schedule="constant", validation_fraction=0)``. In that code the second applies one
    and the same step ten times, and does not dequantise.

    The logarithm of each scale is bounded by 2 tanh, where Glow has a sigmoid; the base variables
    of "flat" are logistic, as in that code, those of "conv" normal, with learned means and scales.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import Glow
    >>> X = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    >>> model = Glow(n_steps=2, max_epochs=2, random_state=0).fit(X)
    >>> model.bits_per_dim(X).shape
    (60,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseGenerativeModel._parameter_constraints,
        "network": [StrOptions({"auto", "conv", "flat"})],
        "n_levels": [Interval(Integral, 1, 16, closed="both")],  # sides of 65,536 pixels
        "patch": [Interval(Integral, 2, None, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "width": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_hidden_layers": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        network: str = "auto",
        *,
        n_levels: int = 2,
        patch: int = 2,
        n_steps: int | str = "auto",
        width: int | str = "auto",
        n_hidden_layers: int = 2,
        data_kind: str = "auto",
        trainer: Trainer | None = None,
        max_epochs: int | str = "auto",
        batch_size: int = 128,
        learning_rate: float | str = "auto",
        device: str | torch.device = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.network = network
        self.n_levels = n_levels
        self.patch = patch
        self.n_steps = n_steps
        self.width = width
        self.n_hidden_layers = n_hidden_layers
        self.data_kind = data_kind
        self.trainer = trainer
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _build_network(self, rows: RowSpec) -> ActNormFlowNetwork:
        shape, coordinates = rows.tensor_shape, coordinates_for(rows)
        if self._chosen_network(shape) == "flat":
            return ActNormFlowNetwork(shape, coordinates, self._flat(rows), "logistic", [shape])
        if not self._can_squeeze(shape):
            divisor = self.patch**self.n_levels
            raise ValueError(
                f"network='conv' squeezes images {self.n_levels} times by {self.patch}, so their "
                f"sides must be multiples of {divisor}; a row of X has shape {rows.shape}. Pad "
                "or crop the images, lower n_levels, or use network='flat'."
            )
        bijection = self._multi_scale(shape)
        return ActNormFlowNetwork(shape, coordinates, bijection, "normal", bijection.left_shapes)

    def _chosen_network(self, shape: tuple[int, ...]) -> str:
        if self.network != "auto":
            return self.network
        return "conv" if shape[0] > 1 and self._can_squeeze(shape) else "flat"

    def _can_squeeze(self, shape: tuple[int, ...]) -> bool:
        divisor = self.patch**self.n_levels
        return len(shape) == 3 and all(side % divisor == 0 for side in shape[1:])

    def _learning_rate_for(self, rows: RowSpec) -> float:
        if self.learning_rate != "auto":
            return float(self.learning_rate)
        return 2e-3 if self._chosen_network(rows.tensor_shape) == "conv" else 5e-4

    def _multi_scale(self, shape: tuple[int, ...]) -> MultiScale:
        width = 32 if self.width == "auto" else int(self.width)
        n_steps = 4 if self.n_steps == "auto" else int(self.n_steps)
        levels, shapes = [], []
        for _ in range(self.n_levels):
            n_channels, height, width_ = shape
            n_channels *= self.patch**2
            shape = (n_channels, height // self.patch, width_ // self.patch)
            shapes.append(shape)
            steps: list[Bijection] = [Squeeze(self.patch)]
            for _ in range(n_steps):
                coupling = ChannelCoupling(n_channels, width, self.n_hidden_layers)
                steps += [ActNorm(n_channels), InvertibleConvolution(n_channels), coupling]
            levels.append(Chain(steps))
            shape = (n_channels // 2, *shape[1:])
        return MultiScale(levels, shapes)

    def _flat(self, rows: RowSpec) -> Chain:
        width = rows.hidden_units(256) if self.width == "auto" else int(self.width)
        n_steps = 8 if self.n_steps == "auto" else int(self.n_steps)
        shape, n_values = rows.tensor_shape, rows.n_values
        steps: list[Bijection] = []
        for i in range(n_steps):
            steps += [ActNorm(shape[0]), InvertibleConvolution(shape[0])]
            if n_values > 1:
                steps.append(AlternatingCoupling(n_values, i % 2, width, self.n_hidden_layers))
        return Chain([*steps, Flatten(shape)])
