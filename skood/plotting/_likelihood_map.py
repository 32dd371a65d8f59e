"""Images, and the log-likelihood of each of their pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skood.core.rows import check_rows
from skood.plotting._checks import check_map_model
from skood.plotting._images import (
    channels_last,
    check_is_of_images,
    draw_row,
    label_rows,
    size_of_grid,
    value_range,
)
from skood.plotting._matplotlib import axes_to_draw_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LikelihoodMapDisplay"]

_BRIGHTEST = 0.99  # the quantile above which all pixels look alike: a few would dim all others


class LikelihoodMapDisplay:
    """Images, and below each the negative log-likelihood of its pixels.

    Bright pixels are those that the model did not expect after the ones before them, line by line:
    an unusual part of an image is bright where it begins. Edges are brighter than plain areas in
    normal images too, so compare with some. Create the display with `from_estimator`.

    Parameters
    ----------
    images : ndarray of shape (n, height, width) or (n, height, width, 3)
        On the scale of the data; 4 channels are RGBA.
    maps : ndarray of shape (n, height, width)
        Negative log-likelihood of each pixel, nats.
    vmin, vmax : float
        Values of images drawn as black and as white (or full colour).

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`. ``ax_.images`` are the images, and then the maps.
    images, maps, vmin, vmax
        As given.

    See Also
    --------
    skood.PixelCNN.log_likelihood_map : The numbers.

    Notes
    -----
    All maps have one scale, which ends at the 99 % quantile. As figure 2 of Ren, Liu, Fertig,
    Snoek, Poplin, DePristo, Dillon, Lakshminarayanan: "Likelihood Ratios for Out-of-Distribution
    Detection", NeurIPS 2019, arXiv:1906.02845, of the likelihood alone.

    Examples
    --------
    >>> from skood import PixelCNN
    >>> from skood.plotting import LikelihoodMapDisplay
    >>> from skood.testing import easy_images
    >>> X = easy_images(60)
    >>> model = PixelCNN(width=8, max_epochs=2, random_state=0).fit(X)
    >>> LikelihoodMapDisplay.from_estimator(model, X[:5]).maps.shape
    (5, 8, 8)
    """

    def __init__(
        self, images: NDArray[Any], maps: NDArray[np.float64], *, vmin: float, vmax: float
    ):
        self.images = images
        self.maps = maps
        self.vmin = vmin
        self.vmax = vmax

    @classmethod
    def from_estimator(
        cls, model: Any, X: ArrayLike, *, ax: Axes | None = None, **imshow_options: Any
    ) -> LikelihoodMapDisplay:
        """Evaluate the pixels of X and draw the result.

        Parameters
        ----------
        model : fitted PixelCNN, or other model of images with ``log_likelihood_map``
        X : array-like of shape (n, height, width), (n, height, width, channels) or \
(n, channels, height, width)
            A few images on the scale of the training data. Each becomes one column.
        ax : matplotlib Axes, default=None
            Where to draw; None creates a figure.
        **imshow_options
            Passed to ``Axes.imshow`` for the maps, such as ``cmap`` or ``vmax``.

        Returns
        -------
        LikelihoodMapDisplay

        Raises
        ------
        ValueError
            If the model has no such maps, is not fitted or was fitted on a table.
        """
        check_map_model(cls.__name__, "model", model)
        check_is_of_images(cls.__name__, model, "log_likelihood_map itself")
        images = np.asarray(check_rows(model, X, reset=False))
        vmin, vmax = value_range(model.data_kind_, images)
        maps = -model.log_likelihood_map(images)
        display = cls(channels_last(images[None])[0], maps, vmin=vmin, vmax=vmax)
        return display.plot(ax, **imshow_options)

    def plot(self, ax: Axes | None = None, **imshow_options: Any) -> LikelihoodMapDisplay:
        """Draw images and maps in one axes.

        Parameters
        ----------
        ax, **imshow_options
            As in `from_estimator`.

        Returns
        -------
        LikelihoodMapDisplay
            This display.
        """
        self.ax_ = axes_to_draw_on(ax, size_of_grid(2, self.images))
        self.figure_ = self.ax_.figure
        scale = {"vmin": self.maps.min(), "vmax": np.quantile(self.maps, _BRIGHTEST)}
        options = {"cmap": "magma", **scale, **imshow_options}
        draw_row(self.ax_, 0, self.images, self.vmin, self.vmax, cmap="gray")
        drawn = draw_row(self.ax_, 1, self.maps, **options)
        label_rows(self.ax_, {"input": [self.images], "-log p": [self.maps]})
        self.figure_.colorbar(drawn[0], ax=self.ax_, label="nats", extend="max")
        return self
