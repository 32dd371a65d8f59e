"""Divergence of each latent layer during training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skood.plotting._checks import check_model, n_latent_layers
from skood.plotting._matplotlib import axes_to_draw_on, legend_beside, sequential_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LayerKLDisplay"]

_SMALLEST_NATS = 0.01  # below it a layer has collapsed; Monte Carlo estimates may even be negative


class LayerKLDisplay:
    """Kullback-Leibler divergence of each latent layer during training.

    A layer at zero has collapsed to its prior (posterior collapse): it carries no information about
    x, and no score can use it. Create the display with `from_estimator`.

    Parameters
    ----------
    kl : ndarray of shape (n_epochs, n_layers)
        Mean over rows of log q(z_l) - log p(z_l) in nats, layer 1 (nearest to x) first.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    kl
        As given.

    See Also
    --------
    skood.CollapseWarning : Issued by ``fit`` when no unit of a layer carries information.

    Notes
    -----
    Apostolopoulou et al. 2020, figure 6d; Li et al. 2022, table 14. The vertical axis is
    logarithmic. If a layer falls below 0.01 nats, the part from -0.01 to 0.01 is linear, so that a
    layer at zero stays visible. The divergences are single-sample estimates on the rows that
    ``fit`` holds out for validation, and may be slightly negative. The fitted model has the weights
    of the epoch with the best bound, which need not be the last.

    References
    ----------
    Apostolopoulou, Rosenfeld, Dubrawski: Self-Reflective Variational Autoencoder, 2020,
    arXiv:2007.05166.

    Li et al.: Out-of-Distribution Detection with An Adaptive Likelihood Ratio on Informative
    Hierarchical VAE, NeurIPS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import HVAE
    >>> from skood.plotting import LayerKLDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> model = HVAE(latent_dims=(4, 2), max_epochs=3, random_state=0).fit(X)
    >>> LayerKLDisplay.from_estimator(model).kl.shape
    (3, 2)
    """

    def __init__(self, kl: NDArray[np.float64]):
        self.kl = kl

    @classmethod
    def from_estimator(
        cls, model: Any, *, ax: Axes | None = None, **line_options: Any
    ) -> LayerKLDisplay:
        """Draw the divergences that ``fit`` recorded in ``model.history_``.

        Parameters
        ----------
        model : fitted model with latent layers
            Such as `skood.HVAE`.
        ax : matplotlib Axes, default=None
            Where to draw; None creates a figure.
        **line_options
            Passed to ``Axes.plot``, such as ``linestyle``.

        Returns
        -------
        LayerKLDisplay

        Raises
        ------
        ValueError
            If the model has no latent layers or is not fitted.
        """
        check_model(cls.__name__, "model", model)
        # Ctrl-C in the first epoch leaves no entry.
        kl = np.reshape(model.history_["kl"], (-1, n_latent_layers(model)))
        return cls(kl).plot(ax, **line_options)

    def plot(self, ax: Axes | None = None, **line_options: Any) -> LayerKLDisplay:
        """Draw one line for each layer.

        Parameters
        ----------
        ax, **line_options
            As in `from_estimator`.

        Returns
        -------
        LayerKLDisplay
            This display.
        """
        self.ax_ = axes_to_draw_on(ax)
        self.figure_ = self.ax_.figure
        n_epochs, n_layers = self.kl.shape
        epochs = np.arange(1, n_epochs + 1)
        for layer, colour in enumerate(sequential_colours(n_layers), start=1):
            options = {"color": colour, "label": f"{layer}", **line_options}
            self.ax_.plot(epochs, self.kl[:, layer - 1], **options)
        if self.kl.min(initial=np.inf) < _SMALLEST_NATS:
            self.ax_.set_yscale("symlog", linthresh=_SMALLEST_NATS)
        else:
            self.ax_.set_yscale("log")
        self.ax_.set(xlabel="epoch", ylabel="KL divergence (nats)")
        self.ax_.locator_params(axis="x", integer=True, min_n_ticks=1)
        legend_beside(self.ax_, title="layer", handlelength=1)
        return self
