"""P-values of a stream that are independent and uniform while nothing has changed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["OnlinePValues"]


class OnlinePValues:
    """Smoothed conformal p-values of scores that arrive one after the other.

    The p-value of a score s is its rank among the scores before it, those of the calibration rows
    and those of the stream: p = (#{lower scores} + u (#{equal scores} + 1)) / (n + 1) with n scores
    before it and u uniform on (0, 1), the smoothed p-value of Vovk, Nouretdinov, Gammerman 2003. If
    all scores are exchangeable, these are independent and uniform on (0, 1), for every n and every
    distribution, ties or not.

    They see any change in the distribution of the scores. After it the new scores become part of
    the reference: a change is only visible until there are as many scores of its kind as there were
    before it. A stream whose rows depend on one another (frames of a video) is not exchangeable.

    Parameters
    ----------
    calibration_scores : array-like of shape (n,)
        Scores of normal rows that the scoring function has not seen; the lower, the more abnormal.
        Where there are more than ``max_reference``, a random part of them is used.
    max_reference : int, default=50_000
        Largest number of earlier scores to keep.
    random_state : int, default=0
        Seed of u and of what is forgotten. Do not choose it by its result.

    Raises
    ------
    ValueError
        If ``calibration_scores`` is not one-dimensional or holds NaN.

    Notes
    -----
    A new score makes the reference one too large, and a random one of all of them, the new one
    included, is dropped. The p-values remain independent and uniform: given the scores in the
    reference *before* one is dropped, the new one is equally likely to be any of them; which one is
    dropped says nothing about that, and later p-values see of the past only what is left. Keeping a
    random sample of all scores so far (reservoir sampling), or the latest, would not do: a score
    that is dropped for being the newest, or the oldest, is known by that.

    Finding a rank takes O(log n) comparisons; the insertion moves at most 400 kB with the default
    size, which is about as fast.

    References
    ----------
    See `skood.martingales`.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.martingales import OnlinePValues
    >>> rng = np.random.default_rng(0)
    >>> p_values = OnlinePValues(rng.normal(size=200))
    >>> p = p_values.update(rng.normal(size=10_000))
    >>> np.histogram(p, bins=4, range=(0, 1))[0] / len(p)
    array([0.2448, 0.2473, 0.2517, 0.2562])
    """

    def __init__(
        self, calibration_scores: ArrayLike, *, max_reference: int = 50_000, random_state: int = 0
    ):
        scores = _checked("calibration_scores", calibration_scores)
        self.max_reference = max_reference
        self._generator = np.random.default_rng(random_state)
        if len(scores) > max_reference:
            scores = self._generator.choice(scores, max_reference, replace=False)
        self._reference: list[float] = np.sort(scores).tolist()

    def update(self, scores: ArrayLike) -> NDArray[np.float64]:
        """P-values of the next scores, which then belong to the reference.

        Parameters
        ----------
        scores : array-like of shape (m,)
            In the unit and sign of the calibration scores; may be infinite.

        Returns
        -------
        ndarray of shape (m,), float64
            In (0, 1): the lower, the more abnormal. They do not depend on how the stream is cut
            into calls.

        Raises
        ------
        ValueError
            If ``scores`` is not one-dimensional or holds NaN; nothing has changed then.
        """
        values = _checked("scores", scores)
        uniform = self._generator.random((len(values), 2)).tolist()
        pairs = zip(values.tolist(), uniform, strict=True)
        return np.array([self._rank(score, u, drop) for score, (u, drop) in pairs])

    def get_state(self) -> dict[str, Any]:
        """All that `update` changes, as plain values."""
        generator = self._generator.bit_generator.state
        return {"reference": np.array(self._reference), "generator": dict(generator)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where another one with the same ``max_reference`` was.

        Parameters
        ----------
        state : dict
            Of `get_state`.

        Raises
        ------
        ValueError
            If ``state`` is none.
        """
        reference = _checked("reference", state["reference"])
        is_ordered = (reference[:-1] <= reference[1:]).all()
        if len(reference) > self.max_reference or not is_ordered:
            raise ValueError(
                f"The reference must be in ascending order, and at most {self.max_reference} long; "
                f"got {len(reference)} scores. Give a state of get_state."
            )
        self._generator.bit_generator.state = state["generator"]
        self._reference = reference.tolist()

    def _rank(self, score: float, u: float, drop: float) -> float:
        reference = self._reference
        n_lower = bisect_left(reference, score)
        n_not_higher = bisect_right(reference, score, n_lower)
        p = (n_lower + u * (n_not_higher - n_lower + 1)) / (len(reference) + 1)
        reference.insert(n_not_higher, score)
        if len(reference) > self.max_reference:
            del reference[int(drop * len(reference))]
        return p


def _checked(name: str, scores: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or np.isnan(values).any():
        raise ValueError(
            f"{name} must have one dimension and no NaN; got shape {values.shape} with "
            f"{np.isnan(values).sum()} NaN. Remove these rows, or find out why they have no score."
        )
    return values
