"""What the layers of a hierarchy know, as pictures."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from skood.core.validation import channel_axis, check_rows
from skood.plotting._checks import check_model
from skood.plotting._matplotlib import axes_to_draw_on

__all__ = ["ReconstructionDisplay"]

_GAP = 0.08  # between pictures, in widths of a picture


class ReconstructionDisplay:
    """Images, and what a model makes of them from its upper layers alone.

    Use `from_estimator`. The top row holds the inputs, the others what is rebuilt from the layers
    above k: a hierarchical model keeps strange inputs from its low layers and turns them into
    normal ones from its top layers.

    Parameters
    ----------
    pictures : dict of str to ndarray of shape (m, n, height, width) or (m, n, height, width, 3)
        For each label m rows of n pictures, on the scale of the data; 4 channels are RGBA.
    vmin, vmax : float
        Values that are black and white (or full colour); what lies beyond is clipped.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        After `plot`. ``ax_.images`` are the pictures, row by row.
    pictures, vmin, vmax
        As given.

    See Also
    --------
    skood.HVAE.reconstruct, skood.HVAE.partial_sample : The numbers.

    Notes
    -----
    Havtorn et al. 2021, figures 1 and 3; Li et al. 2022, figures 2, 5, 6 and 8. Rebuilt pictures
    are means of p(x | z>k), the layers up to k being the prior's mean; drawn ones have samples of
    all layers (and are means of p(x | z), so they show no noise of pixels).

    Examples
    --------
    >>> from skood import HVAE, Trainer
    >>> from skood.plotting import ReconstructionDisplay
    >>> from skood.testing import easy_images
    >>> X = easy_images(200)
    >>> model = HVAE(max_epochs=2, width=8, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(model, X[:6])
    >>> list(display.pictures)
    ['input', 'from z > 0', 'from z > 1', 'from z > 2']
    """

    def __init__(self, pictures, *, vmin, vmax):
        self.pictures = pictures
        self.vmin = vmin
        self.vmax = vmax

    @classmethod
    def from_estimator(
        cls, model, X, *, k=None, n_samples=0, random_state=None, ax=None, **imshow_options
    ):
        """Rebuild X from the layers above each k and draw the result.

        Parameters
        ----------
        model : fitted model of images with latent layers
        X : array-like of shape (n, height, width), (n, height, width, channels) or \
(n, channels, height, width)
            A few images, one column each.
        k : sequence of int, default=None
            Which k to show, from 0 to n_layers - 1, and to n_layers for samples. None is all from
            0, and from 1 for samples.
        n_samples : int, default=0
            With 0 one rebuilt row for each k; otherwise so many rows of partial generations, z>k
            from q and the layers below from the prior.
        random_state : int, RandomState instance or None, default=None
            Of the samples.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **imshow_options
            For ``Axes.imshow``, such as ``cmap``.

        Returns
        -------
        ReconstructionDisplay

        Raises
        ------
        ValueError
            If the model has no latent layers or was fitted on a table, or if a parameter is out of
            its range.
        """
        check_model(cls.__name__, "model", model)
        if len(model.input_shape_) < 2:
            raise ValueError(
                f"model was fitted on a table with {model.input_shape_[0]} features, which is no "
                f"picture. Give {cls.__name__} a model of images, or look at the layers of a table "
                "with LatentMapDisplay."
            )
        if not isinstance(n_samples, Integral) or n_samples < 0:
            raise ValueError(
                f"n_samples must be an integer of at least 0; got {n_samples!r}. 0 rebuilds X "
                "without samples."
            )
        X = check_rows(model, X, reset=False)
        rows = {"input": X[None]} | _rebuilt(model, X, k, n_samples, random_state)
        vmin, vmax = _value_range(model.data_kind_, X)
        pictures = {label: _channels_last(images) for label, images in rows.items()}
        return cls(pictures, vmin=vmin, vmax=vmax).plot(ax, **imshow_options)

    def plot(self, ax=None, **imshow_options):
        """Draw the pictures into one axes; see `from_estimator` for the parameters."""
        rows = [row for images in self.pictures.values() for row in images]
        n, (height, width) = len(rows[0]), rows[0].shape[1:3]
        step_x, step_y = width * (1 + _GAP), height + width * _GAP
        size = (1.6 + 0.6 * n, 0.1 + 0.6 * len(rows) * step_y / step_x)
        self.ax_ = axes_to_draw_on(ax, size)
        self.figure_ = self.ax_.figure
        options = {"cmap": "gray", "vmin": self.vmin, "vmax": self.vmax} | imshow_options
        for i, row in enumerate(rows):
            for j, picture in enumerate(row):
                left, top = j * step_x, i * step_y
                extent = (left, left + width, top + height, top)
                self.ax_.imshow(self._shown(picture), extent=extent, **options)
        counts = [len(images) for images in self.pictures.values()]
        middles = (np.cumsum(counts) - np.array(counts) / 2) * step_y
        self.ax_.set(xlim=(0, n * step_x), ylim=(len(rows) * step_y, 0), xticks=[])
        self.ax_.set_yticks(middles, list(self.pictures))
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        return self

    def _shown(self, picture):
        """Colours in [0, 1], which is what imshow takes; grey values have ``vmin`` and ``vmax``."""
        if picture.ndim == 2:
            return picture
        return np.clip((picture - self.vmin) / (self.vmax - self.vmin), 0, 1)


def _rebuilt(model, X, k, n_samples, random_state):
    """Label and pictures (m, n, ...) for each k."""
    n_layers = model.network_.n_layers
    if k is None:
        k = range(min(1, n_layers - 1) if n_samples else 0, n_layers)
    elif isinstance(k, Integral) or not len(k):
        raise ValueError(f"k must be a sequence of integers such as (0, 2), or None; got {k!r}.")
    if not n_samples:
        return {f"from z > {i}": model.reconstruct(X, k=i)[None] for i in k}
    options = {"n_samples": n_samples, "random_state": random_state}
    return {f"drawn, z > {i}": model.partial_sample(X, k=i, **options) for i in k}


def _channels_last(images):
    """Images (m, n, ...) as matplotlib wants them: grey, or colours last."""
    if images.ndim == 4:
        return images
    if channel_axis(images.shape[2:]) == 0:
        images = np.moveaxis(images, 2, -1)
    return images[..., 0] if images.shape[-1] == 1 else images


def _value_range(kind, X):
    if kind != "real":
        return 0.0, {"bytes": 255.0, "unit": 1.0}[kind]
    low, high = float(X.min()), float(X.max())
    return low, high if high > low else low + 1.0
