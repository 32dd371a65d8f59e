"""How well a score tells out-of-distribution rows from in-distribution rows.

Out-of-distribution is the positive class, and scores here are OOD scores: **the higher, the more
OOD** (``ood_score``, not ``score_samples``). Nothing in this module is ever needed to fit or to
calibrate a detector: these numbers need OOD examples, and are for reports.

References
----------
.. [1] J. D. Havtorn, J. Frellsen, S. Hauberg, L. Maaloe, "Hierarchical VAEs Know What They Don't
       Know", ICML 2021, section 5 (AUROC, AUPRC and FPR80 on equally many rows of both kinds).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

__all__ = ["auprc", "auroc", "equal_count", "fpr_at_tpr", "summary"]


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
    """
    return float(roc_auc_score(*_labelled_ranks(in_scores, out_scores)))


def auprc(in_scores: ArrayLike, out_scores: ArrayLike) -> float:
    """Area under the precision-recall curve, as average precision (steps, no interpolation).

    It depends on the share of OOD rows: see `equal_count`.

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
    """
    return float(average_precision_score(*_labelled_ranks(in_scores, out_scores)))


def fpr_at_tpr(in_scores: ArrayLike, out_scores: ArrayLike, tpr: float = 0.8) -> float:
    """False positive rate at the first threshold that finds a share `tpr` of the OOD rows.

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
    """
    if not 0.0 < tpr <= 1.0:
        raise ValueError(f"tpr is {tpr}; give a number greater than 0 and at most 1.")
    # drop_intermediate=True leaves thresholds out, among them the first to reach tpr.
    fprs, tprs, _ = roc_curve(*_labelled_ranks(in_scores, out_scores), drop_intermediate=False)
    return float(fprs[np.argmax(tprs >= tpr)])


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
    """The usual numbers on equally many rows of both kinds, the convention of [1]_ (section 5).

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
