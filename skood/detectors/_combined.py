"""Several detectors as one: their p-values combined, and calibrated once more."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import _BaseComposition
from torch import Tensor

from skood.core.parameters import draw_seed
from skood.core.progress import shows_progress
from skood.core.rows import Rows
from skood.detectors._calibrated import CalibratedDetector
from skood.detectors._default_members import default_members
from skood.detectors._shared_models import SharedModels
from skood.scores.combination import METHODS, independent_weights
from skood.scores.survival import LogSurvival

__all__ = ["CombinedDetector"]

_Floats = NDArray[np.float64]

# Of the members: their thresholds are not used, and this one asks for no number of rows.
_UNUSED_RATE = 0.5
_CALIBRATION_IMAGES = 500
# Normal rows on which it is seen how members depend on one another.
_MOST_ROWS_FOR_WEIGHTS = 1_000


class CombinedDetector(CalibratedDetector, _BaseComposition):
    """Out-of-distribution detection by several kinds of evidence: the default for any data.

    Every single score has inputs to which it is blind: a likelihood to simple images, a likelihood
    ratio to noise or to a dead camera, a Gaussian to shapes. What one member misses another sees:
    each gives a p-value for each row, and a row is OOD if they are small together. Members share
    trained models. It fails where no member sees anything, and every member that does not dilutes
    the evidence of those that do.

    Parameters
    ----------
    detectors : list of (str, detector) tuples, or None, default=None
        The members, by name. None chooses by the kind of data and the size of the rows: for tables,
        `KNNDistance` and `MixtureLikelihood`; for grey images, `HierarchicalLLR` and `GradientNorm`
        over one `HVAE`, and `ScoreNorm`; for colour images, `ScoreNorm` and `InputComplexity` over
        one `Gaussian`, as a trained colour model is neither fast nor good enough on a CPU; see
        docs/understand/defaults.md.
    method : {"fisher", "harmonic", "max"}, default="fisher"
        "fisher" adds up what members see, with less weight for those that say the same on normal
        rows; "max" takes the member that sees most; "harmonic" is between the two.
    fpr : float in (0, 1), default=0.05
        False positive rate: part of normal rows that `predict` may call -1.
    calibration_fraction : float in (0, 1) or "auto", default="auto"
        Part of the rows that set the threshold, and part of the others that say what members'
        scores of normal rows are: models are trained on neither. Members without a network then
        learn once more from all rows but the former. "auto" is 0.1; of less than 5,000 images,
        500, but at most a quarter, since members learn there how tens of layers go together.
    random_state : int, RandomState instance or None, default=None
        Rules the split, and the members that have no ``random_state`` of their own. None is 0 if
        a member keeps its training: with ``memory``, or a ``checkpoint`` of its model's trainer.
    verbose : int, default=0
        With 1, the progress of all members' training and scoring is shown.

    Attributes
    ----------
    detectors_ : dict from str to detector
        The fitted members; their own thresholds are not used.
    log_survival_ : dict from str to LogSurvival
        Of the members' scores on normal rows.
    weights_ : ndarray of shape (n_members,), float64
        Of the members in Fisher's sum, with mean 1; see
        `skood.scores.combination.independent_weights`.
    calibration_scores_, calibration_statistics_, offset_, input_shape_, n_features_in_
        See `CalibratedDetector`.

    See Also
    --------
    ConformalDetector : Makes a member of any scikit-learn estimator.

    Notes
    -----
    Members' p-values are estimated with an exponential tail (`skood.scores.survival.LogSurvival`),
    so that rows beyond all normal ones still differ. With p_i the p-value of member i, `ood_score`
    is ``-sum w_i log p_i``, ``log sum 1 / p_i`` or ``max -log p_i`` (`skood.scores.combination` has
    the sources). None of their distributions is used, since members depend on one another: the
    combination is calibrated on rows of its own, and so `p_values` and `fpr` hold whatever the
    dependence.

    Examples
    --------
    >>> import numpy as np
    >>> from skood import CombinedDetector
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> detector = CombinedDetector(random_state=0).fit(X)
    >>> detector.predict([[0, 0, 0], [9, 9, 9]])
    array([ 1, -1])
    >>> list(detector.detectors_)
    ['neighbors', 'mixture']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CalibratedDetector._parameter_constraints,
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither"), StrOptions({"auto"})],
        "detectors": [list, None],
        "method": [StrOptions({*METHODS})],
        "verbose": ["verbose"],
    }
    _not_scoring = CalibratedDetector._not_scoring | {"detectors", "verbose"}

    def __init__(
        self,
        detectors: Sequence[tuple[str, CalibratedDetector]] | None = None,
        *,
        method: str = "fisher",
        fpr: float = 0.05,
        calibration_fraction: float | str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.detectors = detectors
        self.method = method
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters, with ``deep`` those of the members as ``name__parameter`` too."""
        return self._get_params("detectors", deep=deep)

    def set_params(self, **params: Any) -> Any:
        """Set parameters: of the detector, a member by its name, or one of a member's."""
        return self._set_params("detectors", **params)

    @property
    def _keeps_training(self) -> bool:
        members = self.detectors or []
        return any(_is_member(member) and member[1]._keeps_training for member in members)

    def _split(self, rows: Rows, seed: int) -> tuple[Rows, Rows]:
        members = default_members(rows) if self.detectors is None else self.detectors
        self._check_members(members)
        self.detectors_ = {name: clone(member) for name, member in members}
        fraction = self._fraction_of(rows)
        for member in self.detectors_.values():
            member.set_params(fpr=_UNUSED_RATE, calibration_fraction=fraction)
        self.log_survival_: dict[str, LogSurvival] = {}
        return super()._split(rows, seed)

    def _fraction_of(self, rows: Rows) -> float:
        if self.calibration_fraction != "auto":
            return float(self.calibration_fraction)
        wanted = _CALIBRATION_IMAGES / len(rows) if rows.ndim > 2 else 0.0
        return min(0.25, max(0.1, wanted))

    def _check_members(self, members: Any) -> None:
        if not members:
            raise ValueError("detectors is empty; give at least one (name, detector) tuple.")
        for member in members:
            if not _is_member(member):
                raise ValueError(
                    f"detectors must hold (name, detector) tuples; got {member!r}. Put a "
                    "scikit-learn estimator into a ConformalDetector, and the members of another "
                    "CombinedDetector into this one."
                )
            member[1]._validate_params()
        self._validate_names([name for name, _ in members])

    @property
    def _fewest_calibration_rows(self) -> int:
        return max(member._fewest_calibration_rows for member in self.detectors_.values())

    def _count_calibration_rows(self, rows: Rows) -> int:
        fewest = 2 * self._fewest_calibration_rows  # as many for the members, and to learn from
        self._check_rows_enough(len(rows), fewest + 1)
        if all(member._is_frozen for member in self.detectors_.values()):
            return len(rows) // 2
        return super()._count_calibration_rows(rows)

    @property
    def _has_models(self) -> bool:
        return any(member._has_learned for member in vars(self).get("detectors_", {}).values())

    def _check_learnable(self, rows: Rows) -> None:
        for member in self.detectors_.values():
            member._check_learnable(rows)

    def _learn(
        self, rows: Rows, seed: int, shared: SharedModels | None = None
    ) -> BaseException | None:
        shared = shared or SharedModels()
        seeds = [
            seed if member.random_state is None else draw_seed(member.random_state)
            for member in self.detectors_.values()
        ]
        lefts = []
        for (name, member), own in zip(self.detectors_.items(), seeds, strict=True):
            training, left = member._split(rows, seed)
            member._learn(training, own, shared)
            rows.remember_on(member)
            member._calibrate(left)
            self.log_survival_[name] = LogSurvival.fit(-member.calibration_scores_)
            lefts.append(left)
        common = min(lefts, key=len)[-_MOST_ROWS_FOR_WEIGHTS:]
        self.weights_ = independent_weights(self._evidence(common))
        for member, own in zip(self.detectors_.values(), seeds, strict=True):
            if member._learns_quickly:
                # Its scores hardly change, and no threshold rests on these rows.
                member._learn(rows, own)
        return shared.interrupt

    def _evidence(self, rows: Rows) -> _Floats:
        """-log p of each member, shape (n, n_members)."""
        columns = []
        for name, member in self.detectors_.items():
            scores = member._combine(member._statistic(rows)[:, None])
            columns.append(-self.log_survival_[name](scores))
        return np.stack(columns, axis=1)

    def _statistic(self, rows: Rows) -> _Floats:
        return METHODS[self.method](self._evidence(rows), self.weights_)

    @shows_progress
    def score_members(self, X: ArrayLike | Tensor) -> _Floats:
        """How much each member has against a row, in the order of ``detectors_``.

        Returns
        -------
        ndarray of shape (n, n_members), float64
            -log p in nats: 0 for an ordinary row, 3 for one in twenty, 7 for one in a thousand.
        """
        return self._evidence(self._checked(X))


def _is_member(member: Any) -> bool:
    if not (isinstance(member, tuple) and len(member) == 2 and isinstance(member[0], str)):
        return False
    detector = member[1]
    return isinstance(detector, CalibratedDetector) and not isinstance(detector, CombinedDetector)
