"""Similarity of the representations of two models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skood.plotting._checks import LatentModel, check_model, check_named, n_latent_layers
from skood.plotting._matplotlib import axes_to_draw_on, legend_beside, qualitative_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LayerCorrelationDisplay"]

_FEWEST_ROWS = 4  # for the unbiased estimate
_ROUNDING = 1e-6  # relative: latents are float32, so a constant unit varies by this much


class LayerCorrelationDisplay:
    """Similarity of the representations of two models, layer by layer.

    The lowest layers of models trained on different data sets often agree, since edges and strokes
    occur in all images. The likelihood depends mostly on these layers, which is why it can fail to
    detect OOD images. Create the display with `from_estimators`.

    Parameters
    ----------
    correlations : dict of str to ndarray of shape (n_layers,)
        For each data set the similarity of each layer, layer 1 (nearest to x) first, as linear
        centred kernel alignment (CKA), without unit: 1 for representations that are equal up to
        rotation, shift and scale, 0 on average for independent ones.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    correlations
        As given.

    Notes
    -----
    After Havtorn et al. 2021, figure 2, which shows "absolute correlations" and does not say
    between which units. The units of two models have no common order, so correlations between units
    of the same index mean nothing. The largest correlation of each unit with any other grows by
    chance with the number of units, so that layers of different width could not be compared;
    canonical correlations have the same bias, and reach 1 with as many units as rows. Linear CKA
    (Kornblith et al. 2019) compares the similarities between rows instead, and is invariant to the
    order and to rotations of the units. The estimates of its three terms are unbiased (Song et al.
    2012, eq. 5; Nguyen et al. 2021), so for independent layers of any width it is 0 on average and
    may be slightly negative. For two single units it estimates the square of their correlation.
    Units are weighted by their variance: constant (collapsed) units contribute nothing, and a layer
    that has no others gets 0.

    Representations are the means of q (``encode``), not the features of deterministic layers.

    References
    ----------
    Havtorn, Frellsen, Hauberg, Maaløe: Hierarchical VAEs Know What They Don't Know, ICML 2021,
    arXiv:2102.08248.

    Kornblith, Norouzi, Lee, Hinton: Similarity of Neural Network Representations Revisited, ICML
    2019, arXiv:1905.00414.

    Nguyen, Raghu, Kornblith: Do Wide and Deep Networks Learn the Same Things? Uncovering How Neural
    Network Representations Vary with Width and Depth, ICLR 2021, arXiv:2010.15327.

    Song, Smola, Gretton, Bedo, Borgwardt: Feature Selection via Dependence Maximization, JMLR 13,
    2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import HVAE
    >>> from skood.plotting import LayerCorrelationDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> a, b = (HVAE((4, 2), max_epochs=3, random_state=seed).fit(X) for seed in (0, 1))
    >>> display = LayerCorrelationDisplay.from_estimators(a, b, {"noise": X})
    >>> display.correlations["noise"].shape
    (2,)
    """

    def __init__(self, correlations: Mapping[str, NDArray[np.float64]]):
        self.correlations = correlations

    @classmethod
    def from_estimators(
        cls,
        model_a: LatentModel,
        model_b: LatentModel,
        X: Mapping[str, ArrayLike],
        *,
        ax: Axes | None = None,
        **bar_options: Any,
    ) -> LayerCorrelationDisplay:
        """Compare two models on one or more data sets and draw the result.

        Parameters
        ----------
        model_a, model_b : fitted models with the same number of latent layers
            Such as two `skood.HVAE` trained on different data.
        X : dict of str to array-like of shape (n, ...)
            Names and rows of the data sets. At least 4 rows each, of the shape and scale that both
            models were fitted on; some hundreds for a precise estimate.
        ax : matplotlib Axes, default=None
            Where to draw; None creates a figure.
        **bar_options
            Passed to ``Axes.bar``.

        Returns
        -------
        LayerCorrelationDisplay

        Raises
        ------
        ValueError
            If a model has no latent layers or is not fitted, if their numbers of layers differ, if
            X is not a dict, or if a data set has fewer than 4 rows.
        """
        check_model(cls.__name__, "model_a", model_a)
        check_model(cls.__name__, "model_b", model_b)
        check_named("X", X)
        layers = [n_latent_layers(model) for model in (model_a, model_b)]
        if layers[0] != layers[1]:
            raise ValueError(
                f"model_a has {layers[0]} latent layers and model_b {layers[1]}. Give models with "
                "the same number: set their latent_dims."
            )
        correlations = {
            name: _alignments(name, model_a.encode(rows), model_b.encode(rows))
            for name, rows in X.items()
        }
        return cls(correlations).plot(ax, **bar_options)

    def plot(self, ax: Axes | None = None, **bar_options: Any) -> LayerCorrelationDisplay:
        """Draw a group of bars for each layer, one bar for each data set.

        Parameters
        ----------
        ax, **bar_options
            As in `from_estimators`.

        Returns
        -------
        LayerCorrelationDisplay
            This display.
        """
        self.ax_ = axes_to_draw_on(ax)
        self.figure_ = self.ax_.figure
        n_layers = len(next(iter(self.correlations.values())))
        layers, width = np.arange(1, n_layers + 1), 0.8 / len(self.correlations)
        colours = qualitative_colours(len(self.correlations))
        for i, (name, values) in enumerate(self.correlations.items()):
            shift = (i - (len(self.correlations) - 1) / 2) * width
            options = {"width": width, "color": colours[i], "label": name, **bar_options}
            self.ax_.bar(layers + shift, values, **options)
        self.ax_.axhline(0, color="black", lw=0.8)
        self.ax_.set(xticks=layers, xlabel="layer (1 is nearest to x)", ylabel="linear CKA")
        self.ax_.set_ylim(top=1.05)
        legend_beside(self.ax_, handlelength=1)
        return self


def _alignments(
    name: str, a: Sequence[NDArray[np.float64]], b: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Alignment of each layer; ``name`` is the data set's, for the error."""
    if len(a[0]) < _FEWEST_ROWS:
        raise ValueError(
            f"X[{name!r}] has {len(a[0])} rows; give at least {_FEWEST_ROWS}, better some hundreds."
        )
    return np.array([_centred_kernel_alignment(*layer) for layer in zip(a, b, strict=True)])


def _centred_kernel_alignment(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Linear centred kernel alignment of representations (n, ...) of the same n rows."""
    a, b = _without_constants(a), _without_constants(b)
    product = _independence_criterion(a, a) * _independence_criterion(b, b)
    return _independence_criterion(a, b) / math.sqrt(product) if product > 0 else 0.0


def _without_constants(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred units (n, n_units), with zeros for those that vary by rounding errors only."""
    z = z.reshape(len(z), -1)
    scale = np.abs(z).max(axis=0, initial=0)
    z = z - z.mean(axis=0)
    return np.where(np.abs(z).max(axis=0) > _ROUNDING * scale, z, 0)


def _independence_criterion(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Unbiased Hilbert-Schmidt independence criterion of linear kernels, up to a factor.

    Song et al. 2012, eq. 5, written in units instead of rows, so that no matrix has n x n entries.
    """
    n = len(a)
    squares_a, squares_b = (a**2).sum(1), (b**2).sum(1)  # diagonals of the kernels, to be left out
    sums_a, sums_b = a @ a.sum(0) - squares_a, b @ b.sum(0) - squares_b
    trace = ((a.T @ b) ** 2).sum() - squares_a @ squares_b
    total = sums_a.sum() * sums_b.sum() / ((n - 1) * (n - 2))
    return float(trace + total - 2 / (n - 2) * sums_a @ sums_b)
