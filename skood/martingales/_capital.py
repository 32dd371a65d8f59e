"""From bets to evidence: capital that is staked bit by bit, so that a change may come late."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skood.martingales._bets import N_BETS

__all__ = ["ConformalMartingale", "ShiryaevRoberts"]


class _StakedCapital:
    """Capital of each bet: at each step a new stake, the same for all bets, joins what they won.

    The sum over bets and over the steps at which their stakes were placed needs one number for each
    bet: C <- (C + stake / n_bets) f(p). Kept as logarithms, since evidence grows exponentially.
    """

    def __init__(self) -> None:
        self.n_seen = 0
        self._log_capital = np.full(N_BETS, -np.inf)

    def update(self, log_bets: NDArray[np.float64]) -> float:
        """Log evidence after one more p-value.

        Parameters
        ----------
        log_bets : ndarray of shape (n_bets,)
            A row of what `log_bets` returns.

        Returns
        -------
        float
            Nats.
        """
        log_stake = self._log_stake(self.n_seen) - math.log(N_BETS)
        self._log_capital = np.logaddexp(self._log_capital, log_stake) + log_bets
        self.n_seen += 1
        return self.log_evidence

    def get_state(self) -> dict[str, Any]:
        """All that `update` changes, as plain values."""
        return {"n_seen": self.n_seen, "log_capital": self._log_capital.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where another one of this class was.

        Parameters
        ----------
        state : dict
            Of `get_state`.

        Raises
        ------
        ValueError
            If ``state`` is none.
        """
        n_seen, log_capital = state["n_seen"], np.array(state["log_capital"], dtype=np.float64)
        is_capital = log_capital.shape == (N_BETS,) and not np.isnan(log_capital).any()
        if not isinstance(n_seen, int) or n_seen < 0 or not is_capital:
            raise ValueError(f"{state!r} is no state of {type(self).__name__}. Use get_state.")
        self.n_seen, self._log_capital = n_seen, log_capital

    @property
    def log_evidence(self) -> float:
        """Log of all capital, nats."""
        won = np.logaddexp.reduce(self._log_capital)
        return float(np.logaddexp(won, self._log_reserve(self.n_seen)))

    def _log_stake(self, n: int) -> float:
        """Log of the sum of the stakes placed after n p-values."""
        raise NotImplementedError

    def _log_reserve(self, n: int) -> float:
        """Log of what is not yet staked after n p-values."""
        raise NotImplementedError


class ConformalMartingale(_StakedCapital):
    """Test martingale: capital 1, all of which is staked in the course of time.

    While p-values are independent and uniform, the probability that it *ever* exceeds 1 / alpha is
    at most alpha (Ville's inequality), however long the stream is. It is the mean over bets and
    over times of a change: 1 / log2(n + 2) is what is in reserve after n p-values. So a change
    after a million normal rows has to win e^20 to make up for the small stake that is left for it,
    and not what a martingale that always bets would have lost until then, which is without bounds.

    Attributes
    ----------
    n_seen : int
        P-values so far.
    log_evidence : float
        Log of the martingale, nats; 0 at first.

    References
    ----------
    Vovk, Nouretdinov, Gammerman 2003; Vovk 2021; see `skood.martingales`. The reserve is ours.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.martingales import ConformalMartingale, log_bets
    >>> martingale = ConformalMartingale()
    >>> for bets in log_bets(np.full(10, 0.01)):
    ...     evidence = martingale.update(bets)
    >>> bool(evidence > np.log(1 / 0.001))  # an alarm at alpha = 0.001
    True
    """

    def _log_stake(self, n: int) -> float:
        return math.log(_reserve(n) - _reserve(n + 1))

    def _log_reserve(self, n: int) -> float:
        return math.log(_reserve(n))


class ShiryaevRoberts(_StakedCapital):
    """Shiryaev-Roberts statistic: a new stake of 1 at each step, for changes that come again.

    While p-values are independent and uniform, it exceeds A after A steps at the earliest, on
    average (average run length): its expectation after n steps is n. Start again with a new one
    after each alarm, and there is at most one false alarm in A steps, on average. It does not have
    the guarantee of `ConformalMartingale`: in the long run false alarms are certain.

    Attributes
    ----------
    n_seen : int
        P-values so far.
    log_evidence : float
        Log of the statistic, nats; minus infinity at first.

    References
    ----------
    A. N. Shiryaev, "On optimum methods in quickest detection problems", Theory of Probability and
    its Applications 8(1), 1963; S. W. Roberts, "A comparison of some control chart procedures",
    Technometrics 8(3), 1966. For conformal p-values: Vovk 2021; as a sum of test martingales
    that start one after the other: Shin, Ramdas, Rinaldo 2024; see `skood.martingales`.

    Examples
    --------
    >>> import numpy as np
    >>> from skood.martingales import ShiryaevRoberts, log_bets
    >>> statistic = ShiryaevRoberts()
    >>> for bets in log_bets(np.full(10, 0.01)):
    ...     evidence = statistic.update(bets)
    >>> bool(evidence > np.log(100_000))  # an alarm with an average run length of 100,000
    True
    """

    def _log_stake(self, n: int) -> float:
        return 0.0

    def _log_reserve(self, n: int) -> float:
        return -math.inf


def _reserve(n: int) -> float:
    return 1 / math.log2(n + 2)
