"""The autoregressive model of images.

Notation: x_1, x_2, ... the pixels of an image line by line, from left to right, each with all its
channels; x_<i those before x_i. The log-likelihood is the sum of log p(x_i | x_<i).
"""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skood.core.row_spec import RowSpec
from skood.models._base import BaseGenerativeModel
from skood.models._likelihood import LIKELIHOODS, build_likelihood
from skood.nn.networks.pixel_cnn import PixelCNNNetwork
from skood.training.trainer import Trainer

__all__ = ["PixelCNN"]


class PixelCNN(BaseGenerativeModel):
    """Autoregressive model of images: each pixel given those before it, by gated convolutions.

    Its log-likelihood is exact and has a term for each pixel, so that it shows *where* an image is
    unusual: see `log_likelihood_map`. It sees textures and edges that it has not learned, and
    misses wrong objects with ordinary ones; its likelihood is fooled by simple images, most pixels
    of which are easy to predict. A likelihood takes one pass, a sample about as many as an image
    has lines.

    Parameters
    ----------
    width : int, default=16
        Channels of the features.
    n_hidden_layers : int, default=4
        Gated layers. A pixel sees up to ``n_hidden_layers + 2`` lines above it, as many pixels to
        its left, and lines above on both sides.
    likelihood : {"auto", "bernoulli", "discretized_logistic", "discretized_logistic_mixture", \
"gaussian"}, default="auto"
        p(x_i | x_<i), as in `HVAE`. "auto" is the mixture for images of pixels, in which a pixel's
        colours depend on each other; "discretized_logistic" for tables of pixels; and "gaussian"
        for real numbers. "bernoulli" is for black-and-white images: it binarises grey ones.
    data_kind, trainer, max_epochs, device, random_state, verbose
        As in `HVAE`.
    batch_size : int, default=16
        Small, since each image gives as many predictions as it has pixels.
    learning_rate : float, default=5e-3

    See Also
    --------
    skood.plotting.LikelihoodMapDisplay : Pictures of `log_likelihood_map`.
    MAF : For tables.

    Notes
    -----
    ::

        log p(x) = sum_i log p(x_i | x_<i)          y = tanh(W_f * x) . sigmoid(W_g * x)

    The gated layers y are eq. 2 of van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves,
    Kavukcuoglu: "Conditional Image Generation with PixelCNN Decoders", NeurIPS 2016,
    arXiv:1606.05328, in the two stacks of their figure 2, which leave no pixel before x_i unseen
    within reach: one of the lines above x_i, one of the pixels to its left. The distribution of a
    pixel with its channels is eq. 3 of Salimans, Karpathy, Chen, Kingma: "PixelCNN++", ICLR 2017,
    arXiv:1701.05517, and the kernels are cut and shifted as theirs instead of masked.

    In the first layer a learned bias tells places of the image apart, as eq. 5 of the former with a
    map s that is the same for all images. There are no labels, no dropout and no change of
    resolution. Real values have one learned standard deviation for each channel, and their
    channels are independent given the pixels before.

    A row of a table is a line of pixels: each column given up to ``n_hidden_layers + 2`` before it.

    Examples
    --------
    >>> from skood import PixelCNN
    >>> from skood.testing import easy_images
    >>> X = easy_images(60)
    >>> model = PixelCNN(width=8, max_epochs=2, random_state=0).fit(X)
    >>> model.bits_per_dim(X).shape
    (60,)
    >>> model.log_likelihood_map(X).shape
    (60, 8, 8)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseGenerativeModel._parameter_constraints,
        "width": [Interval(Integral, 1, None, closed="left")],
        "n_hidden_layers": [Interval(Integral, 1, None, closed="left")],
        "likelihood": [StrOptions({"auto", *LIKELIHOODS})],
    }

    def __init__(
        self,
        width: int = 16,
        *,
        n_hidden_layers: int = 4,
        likelihood: str = "auto",
        data_kind: str = "auto",
        trainer: Trainer | None = None,
        max_epochs: int | str = "auto",
        batch_size: int = 16,
        learning_rate: float = 5e-3,
        device: str | torch.device = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.width = width
        self.n_hidden_layers = n_hidden_layers
        self.likelihood = likelihood
        self.data_kind = data_kind
        self.trainer = trainer
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _build_network(self, rows: RowSpec) -> PixelCNNNetwork:
        return PixelCNNNetwork(
            rows.tensor_shape,
            build_likelihood(self._likelihood_for(rows), rows),
            width=self.width,
            n_layers=self.n_hidden_layers,
        )

    def _likelihood_for(self, rows: RowSpec) -> str:
        if self.likelihood != "auto" or rows.kind == "real":
            return self.likelihood
        return "discretized_logistic_mixture" if rows.is_image else "discretized_logistic"

    def log_likelihood_map(self, X: ArrayLike | Tensor) -> NDArray[np.float64]:
        """Where an image is unusual: the log-likelihood of each pixel, given those before it.

        Parameters
        ----------
        X : array-like of shape (n, ...)

        Returns
        -------
        ndarray of shape (n, height, width), or (n, features) for tables, float64
            Nats, all channels together; the lower, the less expected. A row's sum is its
            `score_samples`, up to rounding.
        """
        check_is_fitted(self)
        noise = self.scoring_noise()

        def log_px_map(network: nn.Module, x: Tensor) -> Tensor:
            return cast(PixelCNNNetwork, network).log_px_map(x, noise)

        return self.map_network(log_px_map, X, row_axis=0)
