"""Likelihood ratios between the bounds of one hierarchical model; the higher, the more OOD.

Notation: layer 1 is nearest to x, and ``bounds[k]`` is the bound L>k of log p(x), in nats ([1]_,
eq. 5): the k layers nearest to x are sampled from the prior given the layers above them, the others
from the approximate posterior. ``bounds[0]`` is the evidence lower bound L. Low layers encode
detail that most images share, and reconstruct OOD inputs well; so L is high for these, while L>k,
which has to predict x from the upper layers alone, is not. The likelihood ratios compare the two.

They need a model whose every layer carries information: where a layer has collapsed to its prior,
the ratios that rest on it are near zero for all rows.

``model.bounds`` of a hierarchical model returns ``bounds`` and ``nll``.

References
----------
.. [1] J. D. Havtorn, J. Frellsen, S. Hauberg, L. Maaloe, "Hierarchical VAEs Know What They Don't
       Know", ICML 2021. arXiv:2102.08248.
.. [2] Y. Li, C. Wang, X. Xia, T. Liu, X. Miao, B. An, "Out-of-Distribution Detection with an
       Adaptive Likelihood Ratio on Informative Hierarchical VAE", NeurIPS 2022.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SMALLEST_NLL",
    "adaptive_likelihood_ratio",
    "centre_and_spread",
    "information_ratios",
    "layer_contributions",
    "likelihood_ratios",
    "most_significant_ratio",
    "optimal_likelihood_ratio",
    "standardised_ratios",
]

Array = NDArray[np.float64]

# A reconstruction error this small (nats) is numerical noise; ratios of smaller ones mean nothing.
SMALLEST_NLL = 1e-3


def likelihood_ratios(bounds: Array) -> Array:
    """LLR>k = L - L>k for every k.

    Parameters
    ----------
    bounds : ndarray of shape (n_layers, n)
        L>k for k = 0, ..., n_layers - 1, nats.

    Returns
    -------
    ndarray of shape (n_layers - 1, n)
        LLR>1, LLR>2, ..., nats; the higher, the more OOD ([1]_ in the module's references, eq. 6).

    Examples
    --------
    Three layers, and two rows with the same bound L:

    >>> import numpy as np
    >>> from skood.scores.ratios import likelihood_ratios
    >>> bounds = np.array([[-100.0, -100.0], [-101.0, -130.0], [-105.0, -150.0]])
    >>> likelihood_ratios(bounds)
    array([[ 1., 30.],
           [ 5., 50.]])
    """
    return bounds[0] - bounds[1:]


def layer_contributions(bounds: Array) -> Array:
    """What each layer adds to the last likelihood ratio: LLR>k - LLR>k-1, with LLR>0 = 0.

    Parameters
    ----------
    bounds : ndarray of shape (n_layers, n)
        See `likelihood_ratios`.

    Returns
    -------
    ndarray of shape (n_layers - 1, n)
        For k = 1, ..., n_layers - 1, nats: how much the bound falls when layer k is taken from the
        prior as well; the higher, the more unusual is what layer k encodes.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.ratios import layer_contributions
    >>> bounds = np.array([[-100.0, -100.0], [-101.0, -130.0], [-105.0, -150.0]])
    >>> layer_contributions(bounds)
    array([[ 1., 30.],
           [ 4., 20.]])
    """
    return bounds[:-1] - bounds[1:]


def information_ratios(nll: Array) -> Array:
    """Factor by which the reconstruction error grows when layer k is taken from the prior as well.

    Parameters
    ----------
    nll : ndarray of shape (n_layers, n)
        Reconstruction error -log p(x | z>k) for k = 0, ..., n_layers - 1, nats, at least 0. For
        densities, whose logarithm may be positive, count it from the largest value that the
        likelihood can take.

    Returns
    -------
    ndarray of shape (n_layers - 1, n)
        R(x, z>k-1) / R(x, z>k) for k = 1, ..., n_layers - 1, without unit; 1 means that layer k is
        of no use to the reconstruction. Errors below 0.001 nats count as 0.001.

    Notes
    -----
    [2]_ in the module's references defines R(x, z>k) = 1 / log p(x | z>k), which is negative for
    every discrete likelihood; only ratios of it enter, and those are ratios of negative
    log-likelihoods.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.ratios import information_ratios
    >>> information_ratios(np.array([[90.0, 90.0], [99.0, 180.0], [99.0, 270.0]]))
    array([[1.1, 2. ],
           [1. , 1.5]])
    """
    nll = np.maximum(nll, SMALLEST_NLL)
    return nll[1:] / nll[:-1]


def adaptive_likelihood_ratio(bounds: Array, nll: Array) -> Array:
    """Adaptive likelihood ratio: each layer's contribution, weighted by the information lost there.

    It needs no choice of k. Being a sum in nats, it is dominated by the layers whose ratios vary
    most, which need not be those that separate OOD rows best: see `most_significant_ratio`.

    Parameters
    ----------
    bounds, nll : ndarray of shape (n_layers, n)
        See `likelihood_ratios` and `information_ratios`.

    Returns
    -------
    ndarray of shape (n,)
        sum over k = 1, ..., n_layers - 1 of R(x, z>k-1) / R(x, z>k) * (LLR>k - LLR>k-1), nats;
        the higher, the more OOD.

    Notes
    -----
    Equation 11 of [2]_ in the module's references as printed. The worked example of its appendix M
    uses the weight 1 for k = 1 instead, in contradiction to it.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.ratios import adaptive_likelihood_ratio
    >>> bounds = np.array([[-100.0, -100.0], [-101.0, -130.0], [-105.0, -150.0]])
    >>> nll = np.array([[90.0, 90.0], [99.0, 180.0], [99.0, 270.0]])
    >>> adaptive_likelihood_ratio(bounds, nll)  # 1.1 * 1 + 1 * 4 and 2 * 30 + 1.5 * 20
    array([ 5.1, 90. ])
    """
    return np.asarray((information_ratios(nll) * layer_contributions(bounds)).sum(0))


def optimal_likelihood_ratio(bounds: Array, nll: Array) -> Array:
    """Optimal likelihood ratio: LLR>k at the k where a row loses most information.

    The k is chosen for each row; the ratios of different k are not on one scale, which
    `most_significant_ratio` corrects with reference rows.

    Parameters
    ----------
    bounds, nll : ndarray of shape (n_layers, n)
        See `likelihood_ratios` and `information_ratios`.

    Returns
    -------
    ndarray of shape (n,)
        Nats; the higher, the more OOD ([2]_ in the module's references, appendix L).

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.ratios import optimal_likelihood_ratio
    >>> bounds = np.array([[-100.0, -100.0], [-101.0, -130.0], [-105.0, -150.0]])
    >>> nll = np.array([[90.0, 90.0], [99.0, 180.0], [99.0, 270.0]])
    >>> optimal_likelihood_ratio(bounds, nll)  # k = 1 for both
    array([ 1., 30.])
    """
    best = information_ratios(nll).argmax(0)
    return np.asarray(np.take_along_axis(likelihood_ratios(bounds), best[None], axis=0)[0])


def most_significant_ratio(ratios: Array, reference: Array) -> Array:
    """The LLR>k that differs most from normal rows, in robust standard deviations.

    Each LLR>k is referred to its own distribution on normal rows, so that no layer dominates only
    because its ratio varies much. It needs reference rows besides those that set the threshold.

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
    [1]_ in the module's references, section 5, "Selection of k": a row whose LLR>k differs
    significantly from the empirical distribution for any k is OOD. "Significantly" is left open
    there. Empirical p-values would tie every row beyond the reference, hence a robust z-score:
    distance to the median of the reference in units of half its central 68.3 %. Two-sided, as
    "differs" says: a ratio far too *small* means that the lowest layers encode the row worse than
    the prior does, which happens on tables.

    Examples
    --------
    LLR>1 of normal rows varies by 1 nat, LLR>2 by 10 nats; a row with 5 nats more in either:

    >>> import numpy as np
    >>> from skood.scores.ratios import most_significant_ratio
    >>> reference = np.random.default_rng(0).normal([[5.0], [20.0]], [[1.0], [10.0]], (2, 10_000))
    >>> most_significant_ratio(np.array([[10.0, 5.0], [20.0, 25.0]]), reference).round(1)
    array([5. , 0.5])
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
        Without unit, with sign: positive where LLR>k is larger than for most normal rows. A robust
        standard deviation is half the central 68.3 % of the reference; where that is 0 (one row, or
        equal ones) it is 1 nat.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.ratios import standardised_ratios
    >>> reference = np.random.default_rng(0).normal(5.0, 2.0, (1, 10_000))
    >>> standardised_ratios(np.array([[5.0, 9.0, 1.0]]), reference).round(1) + 0.0
    array([[ 0.,  2., -2.]])
    """
    centre, spread = centre_and_spread(reference)
    return np.asarray((ratios - centre[:, None]) / spread[:, None])


def centre_and_spread(reference: Array) -> tuple[Array, Array]:
    """Median of each LLR>k on normal rows, and its robust standard deviation.

    Parameters
    ----------
    reference
        See `most_significant_ratio`.

    Returns
    -------
    centre, spread : ndarray of shape (n_layers - 1,)
        Nats; see `standardised_ratios`.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.scores.ratios import centre_and_spread
    >>> centre_and_spread(np.array([[5.0]]))
    (array([5.]), array([1.]))
    """
    low, median, high = np.quantile(reference, [0.1587, 0.5, 0.8413], axis=1)
    # A reference of one row, or of equal ones, has no spread.
    spread = (high - low) / 2
    return median, np.where(spread > 1e-12 * np.maximum(1, np.abs(median)), spread, 1.0)
