"""Likelihood ratios between the bounds of one hierarchical model; the higher, the more OOD.

Throughout, ``bounds[k]`` is L>k (Havtorn et al. 2021, eq. 5): the k layers nearest to x are taken
from the prior, the others from the approximate posterior. ``bounds[0]`` is the ordinary bound L.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "adaptive_likelihood_ratio",
    "information_ratios",
    "layer_contributions",
    "likelihood_ratios",
    "most_significant_ratio",
    "optimal_likelihood_ratio",
    "standardised_ratios",
]

Array = NDArray[np.float64]

# A reconstruction error this small (nats) is numerical noise; ratios of smaller ones mean nothing.
_SMALLEST_NLL = 1e-3


def likelihood_ratios(bounds: Array) -> Array:
    """LLR>k = L - L>k for every k.

    Parameters
    ----------
    bounds : ndarray of shape (n_layers, n)
        L>k for k = 0, ..., n_layers - 1, nats.

    Returns
    -------
    ndarray of shape (n_layers - 1, n)
        LLR>1, LLR>2, ..., nats; the higher, the more OOD (Havtorn et al. 2021, eq. 6).
    """
    return bounds[0] - bounds[1:]


def layer_contributions(bounds: Array) -> Array:
    """LLR>k - LLR>k-1 for k = 1, ..., n_layers - 1, with LLR>0 = 0: what each layer adds.

    Parameters
    ----------
    bounds : ndarray of shape (n_layers, n)
        See `likelihood_ratios`.

    Returns
    -------
    ndarray of shape (n_layers - 1, n)
        Nats; the higher, the stranger is what layer k holds.
    """
    return bounds[:-1] - bounds[1:]


def information_ratios(nll: Array) -> Array:
    """R(x, z>k-1) / R(x, z>k) for k = 1, ..., n_layers - 1: how much worse layer k+1 rebuilds x.

    Parameters
    ----------
    nll : ndarray of shape (n_layers, n)
        -log p(x | z>k), nats, at least 0: subtract it from the largest value that the likelihood
        can take if that is not 0 (densities).

    Returns
    -------
    ndarray of shape (n_layers - 1, n)

    Notes
    -----
    Li et al. 2022 define R(x, z>k) = 1 / log p(x | z>k), which is negative for every discrete
    likelihood; only ratios of it enter, and those are ratios of negative log-likelihoods.
    """
    nll = np.maximum(nll, _SMALLEST_NLL)
    return nll[1:] / nll[:-1]


def adaptive_likelihood_ratio(bounds: Array, nll: Array) -> Array:
    """LLRada: each layer's contribution, weighted by the information that is lost there.

    Parameters
    ----------
    bounds, nll : ndarray of shape (n_layers, n)
        See `likelihood_ratios` and `information_ratios`.

    Returns
    -------
    ndarray of shape (n,)
        sum over k = 1, ..., n_layers - 1 of R(x, z>k-1) / R(x, z>k) * (LLR>k - LLR>k-1), nats;
        the higher, the more OOD (Li et al. 2022, eq. 11).

    Notes
    -----
    Equation 11 as printed. The worked example of their appendix M uses the weight 1 for k = 1
    instead, in contradiction to it.
    """
    return np.asarray((information_ratios(nll) * layer_contributions(bounds)).sum(0))


def optimal_likelihood_ratio(bounds: Array, nll: Array) -> Array:
    """LLR>k of the k at which a row loses most information, chosen for each row.

    Parameters
    ----------
    bounds, nll : ndarray of shape (n_layers, n)
        See `likelihood_ratios` and `information_ratios`.

    Returns
    -------
    ndarray of shape (n,)
        Nats; the higher, the more OOD (Li et al. 2022, appendix L).
    """
    best = information_ratios(nll).argmax(0)
    return np.asarray(np.take_along_axis(likelihood_ratios(bounds), best[None], axis=0)[0])


def most_significant_ratio(ratios: Array, reference: Array) -> Array:
    """The most significant LLR>k, each referred to its own distribution on normal rows.

    Parameters
    ----------
    ratios : ndarray of shape (n_layers - 1, n)
        LLR>k, nats.
    reference : ndarray of shape (n_layers - 1, n_reference)
        LLR>k of normal rows that the model was not trained on.

    Returns
    -------
    ndarray of shape (n,)
        Largest standardised distance, a number without unit, at least 0; the higher, the more OOD.

    Notes
    -----
    Havtorn et al. 2021, section 5, "Selection of k": a row whose LLR>k differs significantly from
    the empirical distribution for any k is OOD. "Significantly" is left open there. Empirical
    p-values would tie every row beyond the reference, hence a robust z-score: distance to the
    median of the reference in units of half its central 68.3 %. Two-sided, as "differs" says: a
    ratio far too *small* means that the lowest layers encode the row worse than the prior does,
    which happens on tables.
    """
    return np.asarray(np.abs(standardised_ratios(ratios, reference)).max(0))


def standardised_ratios(ratios: Array, reference: Array) -> Array:
    """Distance of each LLR>k from its median on normal rows, in robust standard deviations.

    Parameters
    ----------
    ratios, reference
        See `most_significant_ratio`.

    Returns
    -------
    ndarray of shape (n_layers - 1, n)
        Without unit, with sign. The unit is half the central 68.3 % of the reference.
    """
    low, median, high = np.quantile(reference, [0.1587, 0.5, 0.8413], axis=1)
    # A reference of one row, or of equal ones, has no unit of its own; then it is the nat.
    spread = (high - low) / 2
    spread = np.where(spread > 1e-12 * np.maximum(1, np.abs(median)), spread, 1.0)
    return np.asarray((ratios - median[:, None]) / spread[:, None])
