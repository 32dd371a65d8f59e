"""How well a score tells out-of-distribution rows from in-distribution rows.

Out-of-distribution is the positive class, and scores here are OOD scores: **the higher, the more
OOD** (``ood_score``, not ``score_samples``). Nothing in this module is ever needed to fit or to
calibrate a detector: these numbers need OOD examples, and are for reports.

References
----------
.. [1] J. D. Havtorn, J. Frellsen, S. Hauberg, L. Maaloe, "Hierarchical VAEs Know What They Don't
       Know", ICML 2021, arXiv:2102.08248, section 5 (AUROC, AUPRC and FPR80 on equally many rows
       of both kinds).
.. [2] M. S. Weitzman, "Measures of Overlap of Income Distributions of White and Negro Families in
       the United States", Technical Paper 22, U.S. Bureau of the Census, 1970.
.. [3] B. Montazeran, U. Koethe, "OOD Detection with Immature Models", 2025, arXiv:2502.00820,
       figure 5 (overlap of the scores of two data sets while a model is trained).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

__all__ = ["auprc", "auroc", "equal_count", "fpr_at_tpr", "overlap_coefficient", "summary"]


def auroc(in_scores: ArrayLike, out_scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that an OOD row scores higher than an inlier.

    Parameters
    ----------
    in_scores : array-like of shape (n,)
        OOD scores of in-distribution rows, the higher, the more OOD.
    out_scores : array-like of shape (m,)
        OOD scores of out-of-distribution rows.

    Returns
    -------
    float
        Between 0 and 1: 1 is perfect, 0.5 is chance; ties count one half.

    Raises
    ------
    ValueError
        If an input is empty, not one-dimensional, or holds NaN.

    Examples
    --------
    >>> from skood.metrics import auroc
    >>> auroc(in_scores=[1.0, 2.0, 3.0], out_scores=[3.0, 4.0])
    0.916...
    """
    return float(roc_auc_score(*_labelled_ranks(in_scores, out_scores)))


def auprc(in_scores: ArrayLike, out_scores: ArrayLike) -> float:
    """Area under the precision-recall curve, as average precision (steps, no interpolation).

    Unlike `auroc` it depends on the share of OOD rows: compare it on equal numbers, see
    `equal_count`.

    Parameters
    ----------
    in_scores : array-like of shape (n,)
        OOD scores of in-distribution rows, the higher, the more OOD.
    out_scores : array-like of shape (m,)
        OOD scores of out-of-distribution rows.

    Returns
    -------
    float
        Between 0 and 1: 1 is perfect, m / (n + m) is chance.

    Raises
    ------
    ValueError
        If an input is empty, not one-dimensional, or holds NaN.

    Examples
    --------
    >>> from skood.metrics import auprc
    >>> auprc(in_scores=[1.0, 2.0, 3.0], out_scores=[2.5, 4.0])
    0.833...
    """
    return float(average_precision_score(*_labelled_ranks(in_scores, out_scores)))


def fpr_at_tpr(in_scores: ArrayLike, out_scores: ArrayLike, tpr: float = 0.8) -> float:
    """False positive rate at the highest threshold that detects a share `tpr` of the OOD rows.

    Parameters
    ----------
    in_scores : array-like of shape (n,)
        OOD scores of in-distribution rows, the higher, the more OOD.
    out_scores : array-like of shape (m,)
        OOD scores of out-of-distribution rows.
    tpr : float, default=0.8
        True positive rate to reach, in (0, 1]. The default gives the FPR80 of [1]_ in the
        module's references.

    Returns
    -------
    float
        Share of in-distribution rows flagged, between 0 and 1: 0 is perfect, `tpr` is chance.

    Raises
    ------
    ValueError
        If an input is empty, not one-dimensional, or holds NaN, or `tpr` is outside (0, 1].

    Examples
    --------
    >>> from skood.metrics import fpr_at_tpr
    >>> fpr_at_tpr(in_scores=[1.0, 2.0, 3.0, 4.0], out_scores=[0.0, 3.5, 5.0, 6.0, 7.0], tpr=0.8)
    0.25
    """
    if not 0.0 < tpr <= 1.0:
        raise ValueError(f"tpr is {tpr}; give a number greater than 0 and at most 1.")
    # drop_intermediate=True leaves thresholds out, among them the first to reach tpr.
    fprs, tprs, _ = roc_curve(*_labelled_ranks(in_scores, out_scores), drop_intermediate=False)
    return float(fprs[np.argmax(tprs >= tpr)])


def overlap_coefficient(in_scores: ArrayLike, out_scores: ArrayLike) -> float:
    """Overlap of the two densities of scores: the area under the smaller of both.

    Unlike `auroc` it does not ask which of the two scores higher. It is what [2]_ in the module's
    references defines, and one minus the total variation distance.

    Parameters
    ----------
    in_scores : array-like of shape (n,)
        OOD scores of in-distribution rows.
    out_scores : array-like of shape (m,)
        OOD scores of out-of-distribution rows.

    Returns
    -------
    float
        Between 0 and 1: 0 where the scores of both kinds lie apart, 1 where their distributions
        are the same.

    Raises
    ------
    ValueError
        If an input is empty, not one-dimensional, or holds NaN.

    Notes
    -----
    [3]_ in the module's references does not say how the densities are estimated. Here they are
    histograms with the same bins for both kinds, each bin with the same mass of the even mixture of
    the two samples; there are about as many as the cube root of the smaller sample, rounded up to
    an even number. Ties are never parted. So there is nothing to choose, only the order counts, as
    for the other metrics here, and samples that lie apart always give 0.

    Chance makes histograms of the same distribution differ. With B bins the estimate is then about
    ``1 - sqrt((B - 1) * (1/n + 1/m) / (2 * pi))``: 0.91 for 200 rows of both kinds, 0.95 for 1000.
    The bias fades where the overlap is small. Bins hide what differs within them, which errs the
    other way, by at most 1/B for each crossing of the densities other than at the median of the
    mixture: up to 2/B, a third for 200 rows, if one kind lies between two halves of the other.

    Examples
    --------
    Standard normal scores, and the same shifted by two standard deviations, overlap by 0.317:

    >>> import numpy as np
    >>> from skood.metrics import overlap_coefficient
    >>> scores = np.random.default_rng(0).normal(size=(2, 10_000))
    >>> round(overlap_coefficient(scores[0], scores[1] + 2), 2)
    0.31
    """
    inside, outside = _scores("in_scores", in_scores), _scores("out_scores", out_scores)
    values, ranks = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    masses = np.stack(
        [
            np.bincount(part, minlength=values.size) / part.size
            for part in np.split(ranks, [inside.size])
        ]
    )
    # An even number: one edge is then the median of the mixture, where samples apart are parted.
    n_bins = 2 * math.ceil(np.cbrt(min(inside.size, outside.size)) / 2)
    mixture = masses.mean(axis=0)
    levels = mixture.cumsum() - mixture / 2
    bins = np.minimum((levels * n_bins).astype(np.intp), n_bins - 1)
    shares = [np.bincount(bins, weights=mass, minlength=n_bins) for mass in masses]
    return min(1.0, float(np.minimum(*shares).sum()))


def equal_count(
    in_scores: ArrayLike,
    out_scores: ArrayLike,
    random_state: int | np.random.Generator | None = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Equally many scores of both kinds: a random subset of the larger, all of the smaller.

    Parameters
    ----------
    in_scores : array-like of shape (n,)
        OOD scores of in-distribution rows.
    out_scores : array-like of shape (m,)
        OOD scores of out-of-distribution rows.
    random_state : int, Generator or None, default=0
        Seed of the subset, drawn without replacement. NumPy's global generator is not touched.

    Returns
    -------
    in_scores, out_scores : ndarray of shape (min(n, m),), float64
        The two samples; the one that was not larger is unchanged.

    Raises
    ------
    ValueError
        If an input is empty, not one-dimensional, or holds NaN.

    Examples
    --------
    >>> from skood.metrics import equal_count
    >>> in_scores, out_scores = equal_count([1.0, 2.0, 3.0, 4.0], [5.0, 6.0])
    >>> in_scores.shape, out_scores.shape
    ((2,), (2,))
    """
    inside, outside = _scores("in_scores", in_scores), _scores("out_scores", out_scores)
    size = min(inside.size, outside.size)
    generator = np.random.default_rng(random_state)
    if inside.size > size:
        inside = generator.choice(inside, size, replace=False)
    elif outside.size > size:
        outside = generator.choice(outside, size, replace=False)
    return inside, outside


def summary(
    in_scores: ArrayLike,
    out_scores: ArrayLike,
    random_state: int | np.random.Generator | None = 0,
) -> dict[str, float]:
    """AUROC, AUPRC and false positive rates on equally many rows of both kinds.

    The convention of section 5 of [1]_ in the module's references.

    Parameters
    ----------
    in_scores : array-like of shape (n,)
        OOD scores of in-distribution rows, the higher, the more OOD.
    out_scores : array-like of shape (m,)
        OOD scores of out-of-distribution rows.
    random_state : int, Generator or None, default=0
        Seed of the subset of the larger sample, see `equal_count`.

    Returns
    -------
    dict of str to float
        ``auroc``, ``auprc`` (higher is better), ``fpr80`` and ``fpr95`` (lower is better).

    Raises
    ------
    ValueError
        If an input is empty, not one-dimensional, or holds NaN.

    Examples
    --------
    >>> from skood.metrics import summary
    >>> summary(in_scores=[1.0, 2.0, 3.0], out_scores=[4.0, 5.0, 6.0])
    {'auroc': 1.0, 'auprc': 1.0, 'fpr80': 0.0, 'fpr95': 0.0}
    """
    inside, outside = equal_count(in_scores, out_scores, random_state)
    return {
        "auroc": auroc(inside, outside),
        "auprc": auprc(inside, outside),
        "fpr80": fpr_at_tpr(inside, outside, 0.80),
        "fpr95": fpr_at_tpr(inside, outside, 0.95),
    }


def _labelled_ranks(
    in_scores: ArrayLike, out_scores: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels (1 is OOD) and dense ranks of the scores, as scikit-learn's metrics take them."""
    inside, outside = _scores("in_scores", in_scores), _scores("out_scores", out_scores)
    labels = np.repeat(np.array([0, 1], dtype=np.int64), [inside.size, outside.size])
    # All the metrics depend on the order alone. Ranks let infinite scores through, which
    # scikit-learn refuses: log p(x) = -inf is a fair verdict on an OOD row.
    _, ranks = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    return labels, ranks.astype(np.int64)


def _scores(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension; got shape {array.shape}. Ravel it.")
    if array.size == 0:
        raise ValueError(f"{name} is empty. Give the OOD score of at least one row.")
    n_missing = int(np.isnan(array).sum())
    if n_missing:
        raise ValueError(
            f"{name} holds {n_missing} NaN out of {array.size} values. "
            "Remove these rows, or find out why their score is undefined."
        )
    return array
