"""Scores of rows, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skood.plotting._checks import LayerScorer, check_layer_scorer
from skood.plotting._matplotlib import axes_to_draw_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LayerScoreDisplay"]

_MOST_NAMED = 12  # more names than that do not fit
_LONGEST_HORIZONTAL = 8  # characters: longer names would overlap, and are turned


class LayerScoreDisplay:
    """Heat map of the score of each layer for each row.

    It shows which layers make a row anomalous: latent layers for `skood.HierarchicalLLR`; parameter
    tensors or modules for `skood.GradientNorm`, whose gradient norms are compared with those of
    normal rows. Create it with `from_estimator`.

    Parameters
    ----------
    scores : ndarray of shape (n, n_columns)
        Score of each row and layer in `unit`; higher means more OOD.
    columns : sequence of str
        Name of each column.
    unit : str
        Unit of the scores, such as "nats".

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    scores, columns, unit
        As given.

    See Also
    --------
    skood.HierarchicalLLR.score_layers, skood.GradientNorm.score_layers : The numbers.

    Notes
    -----
    For `skood.HierarchicalLLR` with ``k="ada"`` the columns are the terms of Li et al. 2022,
    eq. 11; for an integer k the first k columns add up to LLR>k of Havtorn et al. 2021, eq. 6.
    Neither paper shows them.

    References
    ----------
    Havtorn, Frellsen, Hauberg, Maaløe: Hierarchical VAEs Know What They Don't Know, ICML 2021,
    arXiv:2102.08248.

    Li et al.: Out-of-Distribution Detection with An Adaptive Likelihood Ratio on Informative
    Hierarchical VAE, NeurIPS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import HVAE, HierarchicalLLR
    >>> from skood.plotting import LayerScoreDisplay
    >>> X = np.random.default_rng(0).normal(size=(300, 5))
    >>> detector = HierarchicalLLR(HVAE(max_epochs=2), k="ada", random_state=0).fit(X)
    >>> display = LayerScoreDisplay.from_estimator(detector, X[:8])
    >>> display.scores.shape, display.columns, display.unit
    ((8, 2), ['layer 1', 'layer 2'], 'nats')
    """

    def __init__(self, scores: NDArray[np.float64], *, columns: Sequence[str], unit: str):
        self.scores = scores
        self.columns = columns
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        detector: LayerScorer,
        X: ArrayLike,
        *,
        ax: Axes | None = None,
        **imshow_options: Any,
    ) -> LayerScoreDisplay:
        """Score rows layer by layer and draw the result.

        Parameters
        ----------
        detector : fitted HierarchicalLLR, GradientNorm or other detector that scores layers
            It must have ``score_layers(X)``, an ndarray of shape (n, m); ``layer_names_``, a list
            of m str; and ``layer_score_unit_``, a str.
        X : array-like of shape (n, ...)
            Rows to score. Each becomes one line of the map, so tens of rows are legible.
        ax : matplotlib Axes, default=None
            Where to draw; None creates a figure.
        **imshow_options
            Passed to ``Axes.imshow``, such as ``cmap`` or ``vmin``.

        Returns
        -------
        LayerScoreDisplay

        Raises
        ------
        ValueError
            If ``detector`` lacks one of these members, which is named, or is not fitted.
        """
        check_layer_scorer("detector", detector)
        scores = detector.score_layers(X)
        display = cls(scores, columns=detector.layer_names_, unit=detector.layer_score_unit_)
        return display.plot(ax, **imshow_options)

    def plot(self, ax: Axes | None = None, **imshow_options: Any) -> LayerScoreDisplay:
        """Draw the map, zero in white.

        Parameters
        ----------
        ax, **imshow_options
            As in `from_estimator`.

        Returns
        -------
        LayerScoreDisplay
            This display.
        """
        n, n_columns = self.scores.shape
        few = n_columns <= _MOST_NAMED
        width = 2.0 + (0.7 if few else 0.1) * n_columns
        self.ax_ = axes_to_draw_on(ax, (width, max(2.5, 1.0 + 0.15 * n)))
        self.figure_ = self.ax_.figure
        largest = np.abs(self.scores).max() or 1.0
        options: dict[str, Any] = {"vmin": -largest, "vmax": largest, **imshow_options}
        image = self.ax_.imshow(self.scores, **{"cmap": "RdBu_r", "aspect": "auto", **options})
        if few:
            long = max(map(len, self.columns)) > _LONGEST_HORIZONTAL
            self.ax_.set_xticks(range(n_columns), self.columns, rotation=90 if long else 0)
        else:
            self.ax_.set_xlabel("column, from the first layer on")
        self.ax_.locator_params(axis="y", integer=True, min_n_ticks=1)
        self.ax_.set_ylabel("row of X")
        self.figure_.colorbar(image, ax=self.ax_, label=f"layer score ({self.unit})")
        return self
