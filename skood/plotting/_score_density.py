"""Densities of the scores of normal and OOD rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skood.metrics import auroc
from skood.plotting._checks import Scorer, check_named, check_scorer
from skood.plotting._matplotlib import axes_to_draw_on, qualitative_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ScoreDensityDisplay"]


class ScoreDensityDisplay:
    """Histograms of the OOD scores of several data sets, with the AUROC of each against the first.

    Create it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n,)
        OOD scores of each data set; higher means more OOD. The first set is the normal one.
    aurocs : dict of str to float
        Area under the ROC curve of each other set against the first, in [0, 1], for the legend.
    threshold : float, default=None
        OOD score above which ``predict`` returns -1, drawn as a line.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    scores, aurocs, threshold
        As given.

    See Also
    --------
    skood.metrics.auroc : The number in the legend.
    sklearn.metrics.RocCurveDisplay : The ROC curve itself; give it ``ood_score`` as ``y_score``.

    Notes
    -----
    Havtorn et al. 2021, figure 5; Li et al. 2022, figure 4.

    References
    ----------
    Havtorn, Frellsen, Hauberg, Maaløe: Hierarchical VAEs Know What They Don't Know, ICML 2021,
    arXiv:2102.08248.

    Li et al.: Out-of-Distribution Detection with An Adaptive Likelihood Ratio on Informative
    Hierarchical VAE, NeurIPS 2022.

    Examples
    --------
    >>> from skood.plotting import ScoreDensityDisplay
    >>> scores = {"normal": [0.1, 0.2, 0.4], "OOD": [0.3, 0.8, 0.9]}
    >>> display = ScoreDensityDisplay.from_predictions(scores, threshold=0.5)
    >>> round(display.aurocs["OOD"], 3)
    0.889
    """

    def __init__(
        self,
        scores: Mapping[str, NDArray[np.float64]],
        *,
        aurocs: Mapping[str, float],
        threshold: float | None = None,
    ):
        self.scores = scores
        self.aurocs = aurocs
        self.threshold = threshold

    @classmethod
    def from_predictions(
        cls,
        scores: Mapping[str, ArrayLike],
        *,
        threshold: float | None = None,
        ax: Axes | None = None,
        **hist_options: Any,
    ) -> ScoreDensityDisplay:
        """Draw given OOD scores.

        Parameters
        ----------
        scores : dict of str to array-like of shape (n,)
            OOD scores of each data set, the normal set first: results of ``ood_score``, not of
            ``score_samples``, whose sign is opposite.
        threshold : float, default=None
            Threshold on the scale of ``ood_score``, that is ``-detector.offset_``.
        ax : matplotlib Axes, default=None
            Where to draw; None creates a figure.
        **hist_options
            Passed to ``Axes.hist``, such as ``bins`` (an int or edges) or ``alpha``.

        Returns
        -------
        ScoreDensityDisplay

        Raises
        ------
        ValueError
            If ``scores`` is not a dict, or a set is empty, not one-dimensional, or contains NaN.
        """
        check_named("scores", scores)
        checked = {name: _checked(name, values) for name, values in scores.items()}
        normal, *others = checked
        aurocs = {name: auroc(checked[normal], checked[name]) for name in others}
        return cls(checked, aurocs=aurocs, threshold=threshold).plot(ax, **hist_options)

    @classmethod
    def from_estimator(
        cls,
        detector: Scorer,
        X: Mapping[str, ArrayLike],
        *,
        ax: Axes | None = None,
        **hist_options: Any,
    ) -> ScoreDensityDisplay:
        """Score several data sets with a detector and draw the scores and its threshold.

        Parameters
        ----------
        detector : fitted detector
            Such as `skood.HierarchicalLLR`.
        X : dict of str to array-like of shape (n, ...)
            Rows of each data set, the normal set first.
        ax, **hist_options
            As in `from_predictions`.

        Returns
        -------
        ScoreDensityDisplay

        Raises
        ------
        ValueError
            If ``detector`` is not a detector, or not fitted, or X is not a dict.
        """
        check_scorer("detector", detector)
        check_named("X", X)
        scores = {name: detector.ood_score(rows) for name, rows in X.items()}
        options = {"threshold": -detector.offset_, "ax": ax} | hist_options
        return cls.from_predictions(scores, **options)

    def plot(self, ax: Axes | None = None, **hist_options: Any) -> ScoreDensityDisplay:
        """Draw the histograms.

        The axis ends at the smallest 0.5 % and the largest 99.5 % quantile of the sets; scores
        beyond are counted in the outermost bins.

        Parameters
        ----------
        ax, **hist_options
            As in `from_predictions`.

        Returns
        -------
        ScoreDensityDisplay
            This display.
        """
        self.ax_ = axes_to_draw_on(ax)
        self.figure_ = self.ax_.figure
        options: dict[str, Any] = {"bins": 50, "density": True, "alpha": 0.6, **hist_options}
        if np.ndim(options["bins"]) == 0:
            options["bins"] = np.linspace(*self._range(), options["bins"] + 1)
        low, high = options["bins"][0], options["bins"][-1]
        colours = qualitative_colours(len(self.scores))
        for (name, values), colour in zip(self.scores.items(), colours, strict=True):
            label = name
            if name in self.aurocs:
                label = f"{name} (AUROC {self.aurocs[name]:.3f})"
            self.ax_.hist(values.clip(low, high), **({"label": label, "color": colour} | options))
        if self.threshold is not None:
            self.ax_.axvline(self.threshold, color="black", lw=1, ls="--", label="threshold")
        self.ax_.set(xlabel="OOD score: higher means more OOD", ylabel="density")
        self.ax_.margins(y=0.5)  # room for the legend
        self.ax_.locator_params(axis="x", nbins=6)
        self.ax_.legend()
        return self

    def _range(self) -> tuple[float, float]:
        """Ends of the axis, between which lie nearly all of each set, and the threshold."""
        finite = [values[np.isfinite(values)] for values in self.scores.values()]
        ends = [np.quantile(values, [0.005, 0.995]) for values in finite if len(values)]
        if self.threshold is not None and np.isfinite(self.threshold):
            ends.append(np.array([self.threshold]))
        limits = np.concatenate(ends or [np.array([0.0, 1.0])])
        low, high = float(limits.min()), float(limits.max())
        return (low, high) if high > low else (low - 0.5, high + 0.5)


def _checked(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or np.isnan(array).any():
        raise ValueError(
            f"scores[{name!r}] must be the OOD scores of at least one row, in one dimension and "
            f"without NaN; got shape {array.shape} with {np.isnan(array).sum()} NaN. Give what "
            "ood_score returns."
        )
    return array
