"""How alike two models see the same data."""

from __future__ import annotations

import numpy as np

from skood.plotting._checks import check_model, check_named
from skood.plotting._matplotlib import axes_to_draw_on, qualitative_colours

__all__ = ["LayerCorrelationDisplay"]

_FEWEST_ROWS = 4  # for the unbiased estimate
_ROUNDING = 1e-6  # relative: latents are float32, so a constant unit varies by this much


class LayerCorrelationDisplay:
    """How alike two models represent the same data, layer by layer.

    Use `from_estimators`. Low layers of models trained on different images agree, since strokes
    and edges are in all images; this is why a likelihood, which they rule, misses strange images.

    Parameters
    ----------
    correlations : dict of str to ndarray of shape (n_layers,)
        For each data set the correlation of each layer, layer 1 (nearest to x) first: 1 for
        representations that are the same up to rotation and scale, 0 for unrelated ones.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        After `plot`.
    correlations
        As given.

    Notes
    -----
    After figure 2 of Havtorn et al. 2021, which shows "absolute correlations" and does not say
    between which units. Units of two models have no common order, so a correlation of unit with
    unit means nothing, and the best partner of each unit correlates by chance the more, the more
    units there are: layers of different size could not be compared. Canonical correlations have
    that fault too, and reach 1 with as many units as rows. Here it is linear centred kernel
    alignment (Kornblith et al. 2019), which compares the similarities between rows instead: it
    depends neither on the order nor on a rotation of the units. It is made of unbiased estimates
    (Song et al. 2012, eq. 5; Nguyen et al. 2021), hence 0 on average for unrelated layers of any
    size, and may fall slightly below. For two single units it estimates the square of their
    correlation. Units count by their variance: those that have collapsed to a constant add nothing,
    and a layer made of them correlates by 0.

    Representations are means of q (``encode``), not the features of the deterministic network.

    References
    ----------
    Kornblith, Norouzi, Lee, Hinton: Similarity of Neural Network Representations Revisited, ICML
    2019. Nguyen, Raghu, Kornblith: Do Wide and Deep Networks Learn the Same Things?, ICLR 2021.
    Song, Smola, Gretton, Bedo, Borgwardt: Feature Selection via Dependence Maximization, JMLR 2012.

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

    def __init__(self, correlations):
        self.correlations = correlations

    @classmethod
    def from_estimators(cls, model_a, model_b, X, *, ax=None, **bar_options):
        """Compare two models on one or more data sets and draw the result.

        Parameters
        ----------
        model_a, model_b : fitted models with equally many latent layers
        X : dict of str to array-like of shape (n, ...)
            At least 4 rows each, of the shape and scale that both models know.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **bar_options
            For ``Axes.bar``.

        Returns
        -------
        LayerCorrelationDisplay

        Raises
        ------
        ValueError
            If a model has no latent layers, they have different numbers of them, X is no dict, or
            a data set has less than 4 rows.
        """
        check_model(cls.__name__, "model_a", model_a)
        check_model(cls.__name__, "model_b", model_b)
        check_named("X", X)
        layers = [getattr(model.network_, "n_layers", 0) for model in (model_a, model_b)]
        if layers[0] != layers[1]:
            raise ValueError(
                f"model_a has {layers[0]} latent layers and model_b {layers[1]}. Give models with "
                "equally many: set their latent_dims."
            )
        for name, rows in X.items():
            if len(rows) < _FEWEST_ROWS:
                raise ValueError(
                    f"X[{name!r}] has {len(rows)} rows; give at least {_FEWEST_ROWS}, better some "
                    "hundreds."
                )
        correlations = {
            name: np.array(
                [
                    _centred_kernel_alignment(a, b)
                    for a, b in zip(model_a.encode(rows), model_b.encode(rows), strict=True)
                ]
            )
            for name, rows in X.items()
        }
        return cls(correlations).plot(ax, **bar_options)

    def plot(self, ax=None, **bar_options):
        """Draw a group of bars for each layer; see `from_estimators` for the parameters."""
        self.ax_ = axes_to_draw_on(ax)
        self.figure_ = self.ax_.figure
        n_layers = len(next(iter(self.correlations.values())))
        layers, width = np.arange(1, n_layers + 1), 0.8 / len(self.correlations)
        colours = qualitative_colours(len(self.correlations))
        for i, (name, values) in enumerate(self.correlations.items()):
            shift = (i - (len(self.correlations) - 1) / 2) * width
            options = {"width": width, "color": colours[i], "label": name} | bar_options
            self.ax_.bar(layers + shift, values, **options)
        self.ax_.axhline(0, color="black", lw=0.8)
        self.ax_.set(xticks=layers, xlabel="layer (1 is nearest to x)", ylabel="linear CKA")
        self.ax_.set_ylim(top=1.2)  # room for the legend
        self.ax_.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        self.ax_.legend(frameon=False, loc="upper center", ncols=2)
        return self


def _centred_kernel_alignment(a, b):
    """Linear centred kernel alignment of representations (n, ...) of the same n rows."""
    a, b = _without_constants(a), _without_constants(b)
    product = _independence_criterion(a, a) * _independence_criterion(b, b)
    return _independence_criterion(a, b) / np.sqrt(product) if product > 0 else 0.0


def _without_constants(z):
    """Centred units (n, n_units), those that are constant but for rounding being zero."""
    z = z.reshape(len(z), -1)
    scale = np.abs(z).max(axis=0, initial=0)
    z = z - z.mean(axis=0)
    return np.where(np.abs(z).max(axis=0) > _ROUNDING * scale, z, 0)


def _independence_criterion(a, b):
    """Unbiased Hilbert-Schmidt independence criterion of linear kernels, up to a factor.

    Song et al. 2012, eq. 5, written in units instead of rows, so that no matrix has n x n entries.
    """
    n = len(a)
    squares_a, squares_b = (a**2).sum(1), (b**2).sum(1)  # diagonals of the kernels, to be left out
    sums_a, sums_b = a @ a.sum(0) - squares_a, b @ b.sum(0) - squares_b
    trace = ((a.T @ b) ** 2).sum() - squares_a @ squares_b
    total = sums_a.sum() * sums_b.sum() / ((n - 1) * (n - 2))
    return trace + total - 2 / (n - 2) * sums_a @ sums_b
