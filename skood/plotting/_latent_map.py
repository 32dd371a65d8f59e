"""Two-dimensional maps of latent representations."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skood.plotting._checks import LatentModel, check_model, n_latent_layers
from skood.plotting._matplotlib import axes_to_draw_on, legend_beside, qualitative_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LatentMapDisplay"]

_Map: TypeAlias = tuple[NDArray[np.float64], tuple[str, str]]
_Seed: TypeAlias = "int | np.random.RandomState | None"


class LatentMapDisplay:
    """Two-dimensional map of the means of one latent layer: one point per row.

    It shows how a layer arranges the data, for instance whether classes, or normal and OOD rows,
    are apart. Create it with `from_estimator`.

    Parameters
    ----------
    positions : ndarray of shape (n, 2)
        Coordinates of the points: in units of the latent variables for PCA, without unit for t-SNE.
    layer : int
        The latent layer; 1 is nearest to x.
    labels : ndarray of shape (n,), default=None
        Class of each row, for the colours and the legend.
    axis_names : tuple of two str
        Labels of the axes.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    positions, layer, labels, axis_names
        As given.

    See Also
    --------
    skood.HVAE.encode : The latent means.

    Notes
    -----
    Li et al. 2022, figure 7, is a t-SNE. The default here is PCA with both axes on one scale: the
    means of a layer that has collapsed to its prior differ by far less than the prior's standard
    deviation (1 in the top layer), which t-SNE does not show, since it rescales distances.

    References
    ----------
    Li et al.: Out-of-Distribution Detection with An Adaptive Likelihood Ratio on Informative
    Hierarchical VAE, NeurIPS 2022.

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

    def __init__(
        self,
        positions: NDArray[np.float64],
        *,
        layer: int,
        labels: NDArray[Any] | None = None,
        axis_names: tuple[str, str] = ("", ""),
    ):
        self.positions = positions
        self.layer = layer
        self.labels = labels
        self.axis_names = axis_names

    @classmethod
    def from_estimator(
        cls,
        model: LatentModel,
        X: ArrayLike,
        *,
        layer: int | None = None,
        labels: ArrayLike | None = None,
        method: str = "pca",
        random_state: _Seed = None,
        ax: Axes | None = None,
        **scatter_options: Any,
    ) -> LatentMapDisplay:
        """Encode rows, project the means of one layer to two dimensions and draw the result.

        Parameters
        ----------
        model : fitted model with latent layers
            Such as `skood.HVAE`.
        X : array-like of shape (n, ...)
            At least 3 rows, on the scale of the training data.
        layer : int, default=None
            From 1 (nearest to x) to the number of latent layers; None is the top layer.
        labels : array-like of shape (n,), default=None
            Class or data set of each row, for the colours and the legend.
        method : {"pca", "tsne"}, default="pca"
            First two principal components, or t-distributed stochastic neighbour embedding.
        random_state : int, RandomState instance or None, default=None
            Seed of the t-SNE. PCA is deterministic.
        ax : matplotlib Axes, default=None
            Where to draw; None creates a figure.
        **scatter_options
            Passed to ``Axes.scatter``, such as ``s`` or ``alpha``.

        Returns
        -------
        LatentMapDisplay

        Raises
        ------
        ValueError
            If the model has no latent layers, is not fitted, or has no such layer; if X has fewer
            than 3 rows; or if ``method`` or the shape of ``labels`` is not valid.
        """
        check_model(cls.__name__, "model", model)
        n_layers = n_latent_layers(model)
        layer = n_layers if layer is None else layer
        if not isinstance(layer, Integral) or not 1 <= layer <= n_layers:
            raise ValueError(
                f"layer must be an integer from 1 to {n_layers}, or None for the top layer; "
                f"got {layer!r}."
            )
        if method not in _METHODS:
            raise ValueError(f"method must be 'pca' or 'tsne'; got {method!r}.")
        means = model.encode(X)[layer - 1]
        if len(means) < 3:
            raise ValueError(f"X must have at least 3 rows for a map; got {len(means)}.")
        classes = None if labels is None else _checked_labels(labels, len(means))
        positions, axis_names = _METHODS[method](means.reshape(len(means), -1), random_state)
        display = cls(positions, layer=layer, labels=classes, axis_names=axis_names)
        return display.plot(ax, **scatter_options)

    def plot(self, ax: Axes | None = None, **scatter_options: Any) -> LatentMapDisplay:
        """Draw one point per row.

        Parameters
        ----------
        ax, **scatter_options
            As in `from_estimator`.

        Returns
        -------
        LatentMapDisplay
            This display.
        """
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
            legend_beside(self.ax_, markerscale=2, handletextpad=0.1)
        self.ax_.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        self.ax_.set_title(f"layer {self.layer}")
        self.ax_.set_aspect("equal", "datalim")
        return self


def _checked_labels(labels: ArrayLike, n: int) -> NDArray[Any]:
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise ValueError(
            f"labels must have shape ({n},), one for each row of X; got {labels.shape}."
        )
    return labels


def _principal_components(means: NDArray[np.float64], random_state: _Seed) -> _Map:
    pca = PCA(min(2, means.shape[1]), svd_solver="full")
    with np.errstate(invalid="ignore"):  # 0 / 0, where a collapsed layer has no variance at all
        positions = pca.fit_transform(means)
    parts = np.pad(np.nan_to_num(pca.explained_variance_ratio_), (0, 2))
    first, second = (f"component {i + 1} ({parts[i]:.0%} of variance)" for i in range(2))
    return _two_columns(positions), (first, second)


def _neighbour_embedding(means: NDArray[np.float64], random_state: _Seed) -> _Map:
    tsne = TSNE(
        perplexity=min(30.0, (len(means) - 1) / 3),
        init="pca" if means.shape[1] > 1 else "random",
        random_state=random_state,
    )
    return _two_columns(tsne.fit_transform(means)), ("t-SNE 1", "t-SNE 2")


def _two_columns(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions with a second coordinate of 0 where the layer has a single unit."""
    return np.pad(positions, ((0, 0), (0, 2 - positions.shape[1])))


_METHODS = {"pca": _principal_components, "tsne": _neighbour_embedding}
