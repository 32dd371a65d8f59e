"""How far scores of normal and strange rows lie apart."""

from __future__ import annotations

import numpy as np

from skood.metrics import auroc
from skood.plotting._checks import check_detector, check_named
from skood.plotting._matplotlib import axes_to_draw_on, qualitative_colours

__all__ = ["ScoreDensityDisplay"]


class ScoreDensityDisplay:
    """Densities of an OOD score on several sets, and how well it tells each from the first.

    Use `from_estimator` or `from_predictions`.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n,)
        OOD scores, the higher, the more OOD. The first set is the normal one.
    aurocs : dict of str to float
        Of each other set against the first; these stand in the legend.
    threshold : float, default=None
        OOD score above which a row is called strange, drawn as a line.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        After `plot`.
    scores, aurocs, threshold
        As given.

    See Also
    --------
    skood.metrics.auroc : The number in the legend.
    sklearn.metrics.RocCurveDisplay : The whole curve; takes ``ood_score`` as it is.

    Notes
    -----
    Havtorn et al. 2021, figure 5; Li et al. 2022, figure 4.

    Examples
    --------
    >>> from skood.plotting import ScoreDensityDisplay
    >>> scores = {"normal": [0.1, 0.2, 0.4], "strange": [0.3, 0.8, 0.9]}
    >>> display = ScoreDensityDisplay.from_predictions(scores, threshold=0.5)
    >>> round(display.aurocs["strange"], 3)
    0.889
    """

    def __init__(self, scores, *, aurocs, threshold=None):
        self.scores = scores
        self.aurocs = aurocs
        self.threshold = threshold

    @classmethod
    def from_predictions(cls, scores, *, threshold=None, ax=None, **hist_options):
        """Draw OOD scores that were computed before.

        Parameters
        ----------
        scores : dict of str to array-like of shape (n,)
            What ``ood_score`` gave (not ``score_samples``, whose sign is the other one), the
            normal set first.
        threshold : float, default=None
            On the scale of ``ood_score``: ``-detector.offset_``.
        ax : matplotlib Axes, default=None
            None makes a figure.
        **hist_options
            For ``Axes.hist``, such as ``bins`` (an int or edges) or ``alpha``.

        Returns
        -------
        ScoreDensityDisplay

        Raises
        ------
        ValueError
            If ``scores`` is no dict, or a set is empty, not one-dimensional, or holds NaN.
        """
        check_named("scores", scores)
        scores = {name: _checked(name, values) for name, values in scores.items()}
        normal, *others = scores
        aurocs = {name: auroc(scores[normal], scores[name]) for name in others}
        return cls(scores, aurocs=aurocs, threshold=threshold).plot(ax, **hist_options)

    @classmethod
    def from_estimator(cls, detector, X, *, ax=None, **hist_options):
        """Score several sets with a detector and draw its threshold too.

        Parameters
        ----------
        detector : fitted detector
        X : dict of str to array-like of shape (n, ...)
            The normal set first.
        ax, **hist_options
            As in `from_predictions`.

        Returns
        -------
        ScoreDensityDisplay

        Raises
        ------
        ValueError
            If ``detector`` is none, or X is no dict.
        """
        check_detector("detector", detector, "ood_score", "one of skood.detectors")
        check_named("X", X)
        scores = {name: detector.ood_score(rows) for name, rows in X.items()}
        options = {"threshold": -detector.offset_, "ax": ax} | hist_options
        return cls.from_predictions(scores, **options)

    def plot(self, ax=None, **hist_options):
        """Draw the densities; see `from_predictions` for the parameters.

        The axis ends at the 0.5 and 99.5 % quantiles of the sets; scores beyond are counted in the
        outermost bins.
        """
        self.ax_ = axes_to_draw_on(ax)
        self.figure_ = self.ax_.figure
        options = {"bins": 50, "density": True, "alpha": 0.6} | hist_options
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
        self.ax_.set(xlabel="OOD score: the higher, the stranger", ylabel="density")
        self.ax_.margins(y=0.5)  # room for the legend
        self.ax_.locator_params(axis="x", nbins=6)
        self.ax_.legend()
        return self

    def _range(self):
        """Ends of the axis: they hold nearly all of each set, and the threshold."""
        finite = [values[np.isfinite(values)] for values in self.scores.values()]
        ends = [np.quantile(values, [0.005, 0.995]) for values in finite if len(values)]
        if self.threshold is not None and np.isfinite(self.threshold):
            ends.append([self.threshold, self.threshold])
        low, high = np.min(ends or [[0, 1]]), np.max(ends or [[0, 1]])
        return (low, high) if high > low else (low - 0.5, high + 0.5)


def _checked(name, values):
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or np.isnan(array).any():
        raise ValueError(
            f"scores[{name!r}] must be the OOD scores of at least one row, in one dimension and "
            f"without NaN; got shape {array.shape} with {np.isnan(array).sum()} NaN. Give what "
            "ood_score returns."
        )
    return array
