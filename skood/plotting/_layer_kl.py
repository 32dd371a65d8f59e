"""What each layer carries, as training goes on."""

from __future__ import annotations

import numpy as np

from skood.plotting._checks import check_model
from skood.plotting._matplotlib import axes_to_draw_on, sequential_colours

__all__ = ["LayerKLDisplay"]

_SMALLEST_NATS = 0.01  # below it a layer has collapsed; Monte Carlo estimates may even be negative


class LayerKLDisplay:
    """Kullback-Leibler divergence of each latent layer over training: which layers are alive.

    Use `from_estimator`.

    Parameters
    ----------
    kl : ndarray of shape (n_epochs, n_layers)
        Mean over rows of log q(z_l) - log p(z_l), nats, layer 1 (nearest to x) first.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        After `plot`.
    kl
        As given.

    See Also
    --------
    skood.CollapseWarning : Given by ``fit`` when no unit of a layer carries information.

    Notes
    -----
    Figure 6d of the self-reflective VAE; Li et al. 2022, table 14. The vertical axis is
    logarithmic; if a layer falls below 0.01 nats, the part from -0.01 to 0.01 is linear, so that a
    layer at zero is seen there and not lost. The divergences are single-sample estimates on the
    rows that `fit` keeps out of training, and may be slightly negative. The network kept at the end
    is that of the epoch with the best bound.

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

    def __init__(self, kl):
        self.kl = kl

    @classmethod
    def from_estimator(cls, model, *, ax=None, **line_options):
        """Draw the training of a model.

        Parameters
        ----------
        model : fitted model with latent layers
        ax : matplotlib Axes, default=None
            None makes a figure.
        **line_options
            For ``Axes.plot``, such as ``linestyle``.

        Returns
        -------
        LayerKLDisplay

        Raises
        ------
        ValueError
            If the model has no latent layers.
        """
        check_model(cls.__name__, "model", model)
        # Ctrl-C in the first epoch leaves no entry.
        kl = np.reshape(model.history_["kl"], (-1, model.network_.n_layers))
        return cls(kl).plot(ax, **line_options)

    def plot(self, ax=None, **line_options):
        """Draw one line for each layer; see `from_estimator` for the parameters."""
        self.ax_ = axes_to_draw_on(ax)
        self.figure_ = self.ax_.figure
        n_epochs, n_layers = self.kl.shape
        epochs = np.arange(1, n_epochs + 1)
        for layer, colour in enumerate(sequential_colours(n_layers), start=1):
            options = {"color": colour, "label": f"{layer}"} | line_options
            self.ax_.plot(epochs, self.kl[:, layer - 1], **options)
        if self.kl.min(initial=np.inf) < _SMALLEST_NATS:
            self.ax_.set_yscale("symlog", linthresh=_SMALLEST_NATS)
        else:
            self.ax_.set_yscale("log")
        self.ax_.set(xlabel="epoch", ylabel="KL per layer (nats)")
        options = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
        self.ax_.legend(title="layer", handlelength=1, **options)
        return self
