"""Why the Mahalanobis distance of log gradient norms finds outliers, or does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.covariance import LedoitWolf

from skood.metrics import auroc

__all__ = ["explain_mahalanobis"]

_Floats = NDArray[np.float64]


def explain_mahalanobis(
    reference: _Floats, normal: _Floats, out: _Floats, nll: Sequence[_Floats]
) -> dict[str, float]:
    """Try one suspect after the other; the rows are standardised log norms (n, n_layers).

    Parameters
    ----------
    reference, normal, out : ndarrays of shape (n, n_layers)
        Normal rows that the distance is fitted on, others, and abnormal rows.
    nll : three ndarrays of shape (n,)
        Negative log-likelihoods of the same rows.

    Returns
    -------
    dict
        AUROC of the distance: ``as it is``; fitted on ``500 rows``; of ``normal scores`` (the ranks
        of each layer as normal quantiles, so without heavy tails); ``without duplicates`` (layers
        that correlate by more than 0.95). Then the mean squared distance of the outliers over that
        of normal rows in the ``leading`` two directions and in the ``other`` ones (median), the
        ``effective directions``, and how far the outliers lie from normal, in standard deviations
        and averaged over layers: ``shift``, and ``shift given the likelihood``, which is what is
        left after a linear regression of each layer on the negative log-likelihood.
    """
    values, vectors = np.linalg.eigh(np.cov(reference.T))
    values, vectors = values[::-1], vectors[:, ::-1]
    squares = [np.mean((rows @ vectors) ** 2, axis=0) for rows in (normal, out)]
    ratio = squares[1] / squares[0]
    scores = [_normal_scores(reference, rows) for rows in (reference, normal, out)]
    kept = _without_duplicates(reference)
    residuals = _given(nll, (reference, normal, out))
    return {
        "as it is": _auroc(reference, normal, out),
        "500 rows": _auroc(reference[:500], normal, out),
        "normal scores": _auroc(*scores),
        "without duplicates": _auroc(reference[:, kept], normal[:, kept], out[:, kept]),
        "layers": float(reference.shape[1]),
        "effective directions": float(values.sum() ** 2 / (values**2).sum()),
        "leading": float(ratio[:2].mean()),
        "other": float(np.median(ratio[2:])),
        "shift": float(out.mean()),
        "shift given the likelihood": float(residuals.mean()),
    }


def _auroc(reference: _Floats, normal: _Floats, out: _Floats) -> float:
    precision = LedoitWolf(assume_centered=True).fit(reference).precision_
    distances = [((rows @ precision) * rows).sum(1) for rows in (normal, out)]
    return auroc(*distances)


def _normal_scores(reference: _Floats, rows: _Floats) -> _Floats:
    pairs = zip(np.sort(reference, axis=0).T, rows.T, strict=True)
    ranks = np.stack([np.searchsorted(column, values) for column, values in pairs], axis=1)
    return norm.ppf((ranks + 0.5) / (len(reference) + 1))


def _without_duplicates(rows: _Floats) -> list[int]:
    correlations = np.abs(np.corrcoef(rows.T))
    kept: list[int] = []
    for layer in range(len(correlations)):
        if np.all(correlations[layer, kept] < 0.95):
            kept.append(layer)
    return kept


def _given(nll: Sequence[_Floats], rows: Sequence[_Floats]) -> _Floats:
    """Outliers' log norms, less what their likelihood lets expect, standardised again."""
    designs = [np.stack([np.ones_like(values), values], axis=1) for values in nll]
    coefficients = np.linalg.lstsq(designs[0], rows[0], rcond=None)[0]
    spread = (rows[0] - designs[0] @ coefficients).std(axis=0)
    return (rows[2] - designs[2] @ coefficients) / spread
