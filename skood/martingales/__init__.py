"""Sequential tests of the hypothesis that a stream of scores is exchangeable with normal ones.

Three steps, each a pure function or a small object of NumPy arrays. `OnlinePValues` turns scores
into p-values that are independent and uniform as long as the stream is exchangeable with the
calibration scores. `log_bets` bets against each p-value in several ways. `ConformalMartingale` or
`ShiryaevRoberts` adds up the winnings, and is large only if the p-values are not uniform.
`skood.DriftMonitor` does all of it for a detector.

Why not the p-values of `skood.calibration`: these refer all rows of the stream to one fixed set of
scores, and therefore depend on one another. A calibration set that happens to be a little too
normal makes *every* later p-value a little too small, and bets on them win for ever.

References
----------
.. [1] V. Vovk, I. Nouretdinov, A. Gammerman, "Testing Exchangeability On-Line", ICML 2003.
.. [2] V. Vovk, "Testing Randomness Online", Statistical Science 36(4), 2021. arXiv:1906.09256.
.. [3] V. Vovk, I. Petej, I. Nouretdinov, E. Ahlberg, L. Carlsson, A. Gammerman, "Retrain or not
       retrain: conformal test martingales for change-point detection", COPA 2021.
       arXiv:2102.10439.
.. [4] J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential
       change detection", New England Journal of Statistics in Data Science 2(2), 2024.
       arXiv:2203.03532.
"""

from skood.martingales._bets import log_bets
from skood.martingales._capital import ConformalMartingale, ShiryaevRoberts
from skood.martingales._online_p_values import OnlinePValues

__all__ = ["ConformalMartingale", "OnlinePValues", "ShiryaevRoberts", "log_bets"]
