"""A map of what a layer makes of the rows."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skood.plotting._checks import check_model
from skood.plotting._matplotlib import axes_to_draw_on, qualitative_colours

__all__ = ["LatentMapDisplay"]


class LatentMapDisplay:
    """Two-dimensional map of the means of one latent layer: one point per row.

    Use `from_estimator`.

    Parameters
    ----------
    positions : ndarray of shape (n, 2)
        In units of the latents for PCA, without unit for t-SNE.
    layer : int
        1 is nearest to x.
    labels : ndarray of shape (n,), default=None
        By which the points are coloured.
    axis_names : tuple of two str

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        After `plot`.
    positions, layer, labels, axis_names
        As given.

    See Also
    --------
    skood.HVAE.encode : The latent means.

    Notes
    -----
    Li et al. 2022, figure 7, which is a t-SNE. The default here is PCA, both axes on one scale: a
    layer that has collapsed to its prior is a heap of points near its mean, far closer than the
    prior's standard deviation (1 in the top layer), whereas t-SNE blows it up.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import HVAE
    >>> from skood.plotting import LatentMapDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> model = HVAE(latent_dims=(4, 2), max_epochs=3, random_state=0).fit(X)
    >>> LatentMapDisplay.from_estimator(model, X, labels=X[:, 0] > 0).positions.shape
    (200, 2)
    """

    def __init__(self, positions, *, layer, labels=None, axis_names=("", "")):
        self.positions = positions
        self.layer = layer
        self.labels = labels
        self.axis_names = axis_names

    @classmethod
    def from_estimator(
        cls,
        model,
        X,
        *,
        layer=None,
        labels=None,
        method="pca",
        random_state=None,
        ax=None,
        **scatter_options,
    ):
        """Map rows by what a layer makes of them and draw the result.

        Parameters
        ----------
        model : fitted model with latent layers
        X : array-like of shape (n, ...)
        layer : int, default=None
            From 1 (nearest to x) to n_layers; None is the top layer.
        labels : array-like of shape (n,), default=None
            Classes or names of sets, for the colours and the legend.
        method : {"pca", "tsne"}, default="pca"
        random_state : int, RandomState instance or None, default=None
            Of the t-SNE.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **scatter_options
            For ``Axes.scatter``, such as ``s`` or ``alpha``.

        Returns
        -------
        LatentMapDisplay

        Raises
        ------
        ValueError
            If the model has no such layer, there are less than 3 rows, or a parameter is not valid.
        """
        check_model(cls.__name__, "model", model)
        n_layers = getattr(model.network_, "n_layers", 0)
        layer = n_layers if layer is None else layer
        if not isinstance(layer, Integral) or not 1 <= layer <= n_layers:
            raise ValueError(
                f"layer must be an integer from 1 to {n_layers}, or None for the top layer; "
                f"got {layer!r}."
            )
        if method not in _METHODS:
            raise ValueError(f"method must be 'pca' or 'tsne'; got {method!r}.")
        means = model.encode(X)[layer - 1].reshape(len(X), -1)
        labels = None if labels is None else np.asarray(labels)
        if labels is not None and labels.shape != (len(means),):
            raise ValueError(
                f"labels must have shape ({len(means)},), one for each row of X; "
                f"got {labels.shape}."
            )
        if len(means) < 3:
            raise ValueError(f"X must have at least 3 rows for a map; got {len(means)}.")
        positions, axis_names = _METHODS[method](means, random_state)
        display = cls(positions, layer=layer, labels=labels, axis_names=axis_names)
        return display.plot(ax, **scatter_options)

    def plot(self, ax=None, **scatter_options):
        """Draw the points; see `from_estimator` for the parameters."""
        self.ax_ = axes_to_draw_on(ax, (4.5, 4.0))
        self.figure_ = self.ax_.figure
        options = {"s": 8, "alpha": 0.7, "linewidths": 0} | scatter_options
        if self.labels is None:
            self.ax_.scatter(*self.positions.T, **options)
        else:
            groups = np.unique(self.labels)
            for group, colour in zip(groups, qualitative_colours(len(groups)), strict=True):
                points = self.positions[self.labels == group]
                self.ax_.scatter(*points.T, **({"color": colour, "label": str(group)} | options))
            options = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
            self.ax_.legend(markerscale=2, handletextpad=0.1, **options)
        self.ax_.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        self.ax_.set_title(f"layer {self.layer}")
        self.ax_.set_aspect("equal", "datalim")
        return self


def _principal_components(means, random_state):
    pca = PCA(min(2, means.shape[1]), svd_solver="full")
    with np.errstate(invalid="ignore"):  # 0 / 0, where a collapsed layer has no variance at all
        positions = pca.fit_transform(means)
    parts = np.pad(np.nan_to_num(pca.explained_variance_ratio_), (0, 2))[:2]
    names = [f"component {i} ({part:.0%} of variance)" for i, part in enumerate(parts, start=1)]
    return _two_columns(positions), tuple(names)


def _neighbour_embedding(means, random_state):
    tsne = TSNE(
        perplexity=min(30.0, (len(means) - 1) / 3),
        init="pca" if means.shape[1] > 1 else "random",
        random_state=random_state,
    )
    return _two_columns(tsne.fit_transform(means)), ("t-SNE 1", "t-SNE 2")


def _two_columns(positions):
    """A layer of a single unit is a line."""
    return np.pad(positions, ((0, 0), (0, 2 - positions.shape[1])))


_METHODS = {"pca": _principal_components, "tsne": _neighbour_embedding}
