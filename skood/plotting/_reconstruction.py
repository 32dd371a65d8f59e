"""Reconstructions and samples from the upper layers of a hierarchical model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skood.core.rows import check_rows
from skood.plotting._checks import check_model, n_latent_layers
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

__all__ = ["ReconstructionDisplay"]


class ReconstructionDisplay:
    """Images and their reconstructions from the upper layers of a model.

    The top row shows the inputs, the others the reconstructions from the layers above k. From the
    low layers a hierarchical model reconstructs OOD images as well as normal ones; from its top
    layers alone it replaces them by images like the training data. Create the display with
    `from_estimator`.

    Parameters
    ----------
    pictures : dict of str to ndarray of shape (m, n, height, width) or (m, n, height, width, 3)
        For each label m rows of n images, on the scale of the data; 4 channels are RGBA.
    vmin, vmax : float
        Values drawn as black and as white (or full colour); values beyond are clipped.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`. ``ax_.images`` are the images, row by row.
    pictures, vmin, vmax
        As given.

    See Also
    --------
    skood.HVAE.reconstruct, skood.HVAE.partial_sample : The numbers.

    Notes
    -----
    Havtorn et al. 2021, figures 1 and 3; Li et al. 2022, figures 2, 5, 6 and 8. Reconstructions
    are means of p(x | z), where z>k are means of q and the layers up to k means of the prior. For
    samples, z>k are drawn from q and the layers up to k from the prior; the images are means of
    p(x | z), without pixel noise.

    References
    ----------
    Havtorn, Frellsen, Hauberg, Maaløe: Hierarchical VAEs Know What They Don't Know, ICML 2021,
    arXiv:2102.08248.

    Li et al.: Out-of-Distribution Detection with An Adaptive Likelihood Ratio on Informative
    Hierarchical VAE, NeurIPS 2022.

    Examples
    --------
    >>> from skood import HVAE
    >>> from skood.plotting import ReconstructionDisplay
    >>> from skood.testing import easy_images
    >>> X = easy_images(200)
    >>> model = HVAE(max_epochs=2, width=8, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(model, X[:6])
    >>> list(display.pictures)
    ['input', 'from z > 0', 'from z > 1', 'from z > 2']
    """

    def __init__(self, pictures: Mapping[str, NDArray[Any]], *, vmin: float, vmax: float):
        self.pictures = pictures
        self.vmin = vmin
        self.vmax = vmax

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: ArrayLike,
        *,
        k: Sequence[int] | None = None,
        n_samples: int = 0,
        random_state: int | np.random.RandomState | None = None,
        ax: Axes | None = None,
        **imshow_options: Any,
    ) -> ReconstructionDisplay:
        """Reconstruct X from the layers above each k and draw the result.

        Parameters
        ----------
        model : fitted model of images with latent layers
            Such as `skood.HVAE`.
        X : array-like of shape (n, height, width), (n, height, width, channels) or \
(n, channels, height, width)
            A few images on the scale of the training data. Each becomes one column.
        k : sequence of int, default=None
            Values of k to show: from 0 to n_layers - 1 for reconstructions, and to n_layers, which
            ignores X, for samples. None is every k from 0 (from 1 for samples) to n_layers - 1.
        n_samples : int, default=0
            With 0, one row of reconstructions for each k; otherwise this number of rows of samples,
            with z>k from q and the layers up to k from the prior.
        random_state : int, RandomState instance or None, default=None
            Seed of the samples.
        ax : matplotlib Axes, default=None
            Where to draw; None creates a figure.
        **imshow_options
            Passed to ``Axes.imshow``, such as ``cmap``.

        Returns
        -------
        ReconstructionDisplay

        Raises
        ------
        ValueError
            If the model has no latent layers, is not fitted or was fitted on a table, or if a
            parameter is out of its range.
        """
        check_model(cls.__name__, "model", model)
        check_is_of_images(cls.__name__, model, "LatentMapDisplay")
        if not isinstance(n_samples, Integral) or n_samples < 0:
            raise ValueError(
                f"n_samples must be an integer of at least 0; got {n_samples!r}. Use 0 for "
                "reconstructions."
            )
        images = np.asarray(check_rows(model, X, reset=False))
        rows = {"input": images[None], **_generated(model, images, k, n_samples, random_state)}
        vmin, vmax = value_range(model.data_kind_, images)
        pictures = {label: channels_last(row) for label, row in rows.items()}
        return cls(pictures, vmin=vmin, vmax=vmax).plot(ax, **imshow_options)

    def plot(self, ax: Axes | None = None, **imshow_options: Any) -> ReconstructionDisplay:
        """Draw the images in one axes.

        Parameters
        ----------
        ax, **imshow_options
            As in `from_estimator`.

        Returns
        -------
        ReconstructionDisplay
            This display.
        """
        rows = [row for images in self.pictures.values() for row in images]
        self.ax_ = axes_to_draw_on(ax, size_of_grid(len(rows), rows[0]))
        self.figure_ = self.ax_.figure
        options = {"cmap": "gray", "vmin": self.vmin, "vmax": self.vmax, **imshow_options}
        for i, row in enumerate(rows):
            draw_row(self.ax_, i, row, **options)
        label_rows(self.ax_, self.pictures)
        return self


def _generated(
    model: Any,
    X: NDArray[Any],
    k: Sequence[int] | None,
    n_samples: int,
    random_state: int | np.random.RandomState | None,
) -> dict[str, NDArray[np.float64]]:
    """Label and images (m, n, ...) for each k."""
    n_layers = n_latent_layers(model)
    if k is None:
        k = range(min(1, n_layers - 1) if n_samples else 0, n_layers)
    elif isinstance(k, Integral) or not len(k):
        raise ValueError(f"k must be a sequence of integers such as (0, 2), or None; got {k!r}.")
    if not n_samples:
        return {f"from z > {i}": model.reconstruct(X, k=i)[None] for i in k}
    options = {"n_samples": n_samples, "random_state": random_state}
    return {f"samples, z > {i}": model.partial_sample(X, k=i, **options) for i in k}
