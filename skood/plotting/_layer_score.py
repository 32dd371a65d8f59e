"""Where each row is strange."""

from __future__ import annotations

import numpy as np

from skood.plotting._checks import check_detector
from skood.plotting._matplotlib import axes_to_draw_on

__all__ = ["LayerScoreDisplay"]

_MOST_NAMED = 12  # more names than that do not fit


class LayerScoreDisplay:
    """What each layer adds to the score of each row, as a heat map.

    Latent layers for `skood.HierarchicalLLR`; for `skood.GradientNorm` the parameter tensors or
    modules, whose norms are compared with those of normal rows.

    Use `from_estimator`.

    Parameters
    ----------
    scores : ndarray of shape (n, n_columns)
        The higher, the stranger is what the layer holds; see ``score_layers`` of the detectors.
    columns : sequence of str
        What each column is.
    unit : str
        Of the scores.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        After `plot`.
    scores, columns, unit
        As given.

    Notes
    -----
    The terms of eq. 11 of Li et al. 2022 for ``k="ada"``, and of the sum that LLR>k of Havtorn et
    al. 2021, eq. 6, is for an integer k. Neither paper shows them.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import HVAE, HierarchicalLLR
    >>> from skood.plotting import LayerScoreDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 5))
    >>> detector = HierarchicalLLR(HVAE(max_epochs=2), k="ada", random_state=0).fit(X)
    >>> LayerScoreDisplay.from_estimator(detector, X[:8]).scores.shape
    (8, 2)
    """

    def __init__(self, scores, *, columns, unit):
        self.scores = scores
        self.columns = columns
        self.unit = unit

    @classmethod
    def from_estimator(cls, detector, X, *, ax=None, **imshow_options):
        """Score some rows layer by layer and draw the result.

        Parameters
        ----------
        detector : fitted HierarchicalLLR or GradientNorm
        X : array-like of shape (n, ...)
            One line each: give some tens of rows.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **imshow_options
            For ``Axes.imshow``, such as ``cmap`` or ``vmin``.

        Returns
        -------
        LayerScoreDisplay

        Raises
        ------
        ValueError
            If ``detector`` gives no scores of layers.
        """
        remedy = "a fitted HierarchicalLLR or GradientNorm"
        check_detector("detector", detector, "score_layers", remedy)
        scores = detector.score_layers(X)
        if hasattr(detector, "layer_names_"):
            columns, unit = detector.layer_names_, "standard deviations"
        else:
            ratio = detector.k == "max"
            name, unit = ("LLR>", "standard deviations") if ratio else ("layer ", "nats")
            columns = [f"{name}{i}" for i in range(1, scores.shape[1] + 1)]
        return cls(scores, columns=columns, unit=unit).plot(ax, **imshow_options)

    def plot(self, ax=None, **imshow_options):
        """Draw the map; see `from_estimator` for the parameters."""
        n, n_columns = self.scores.shape
        few = n_columns <= _MOST_NAMED
        width = 2.0 + (0.7 if few else 0.1) * n_columns
        self.ax_ = axes_to_draw_on(ax, (width, 1.0 + 0.15 * n))
        self.figure_ = self.ax_.figure
        largest = np.abs(self.scores).max()
        options = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest, "aspect": "auto"}
        image = self.ax_.imshow(self.scores, **(options | imshow_options))
        if few:
            self.ax_.set_xticks(range(n_columns), self.columns)
        else:
            self.ax_.set_xlabel("place in columns, from the first layer on")
        self.ax_.yaxis.get_major_locator().set_params(integer=True)
        self.ax_.set_ylabel("row of X")
        self.figure_.colorbar(image, ax=self.ax_, label=f"OOD score ({self.unit})")
        return self
