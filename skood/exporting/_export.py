"""The score of a fitted detector, with its threshold, as a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from skood.calibration import p_values
from skood.core.atomic import replacing
from skood.core.estimator_protocols import ExportableDetector
from skood.core.exceptions import ExportError
from skood.core.modes import own_modes
from skood.core.row_spec import RowSpec
from skood.core.rows import Rows, check_rows
from skood.exporting._formats import FORMATS, Run
from skood.exporting._verdict import Verdict

__all__ = ["export"]

_N_SAMPLES = 16
# Of the interquartile range of the calibration scores, and of the score.
_TOLERANCE, _RELATIVE_TOLERANCE = 1e-3, 1e-5


def export(
    detector: Any, path: str | os.PathLike[str], X: ArrayLike | Tensor | None = None
) -> None:
    """Write the score of a fitted detector, with its threshold, to an ONNX file.

    The file needs neither skood nor torch to run. Its input ``X`` is any number of rows as `fit`
    got them: uint8 for 8-bit images, float32 for pixels from 0 to 1, float64 for real numbers. Its
    outputs have a number for each row:

    - ``score_samples``, float64: the LOWER, the more abnormal;
    - ``p_value``, float64: conformal, as `p_values`;
    - ``is_normal``, int64: +1 or -1, as `predict` with the present ``fpr``.

    The random numbers that a score draws, the same for all rows, are constants of the file. Memory
    grows with the rows of a batch times ``n_importance_samples``. The file checks nothing of its
    rows but shape and type: where the detector refuses another scale, the file scores it. A row
    with a number that is not finite has the score NaN and the smallest p-value, and is abnormal.

    Parameters
    ----------
    detector : estimator
        A fitted `Likelihood`, `HierarchicalLLR`, `Typicality` or `ScoreNorm` over a model of skood,
        or another `skood.core.estimator_protocols.ExportableDetector`.
    path : str or path
        Ends in ``.onnx``; or in ``.pt2`` for a file of `torch.export`, which needs torch to run.
    X : array-like of shape (n, ...), default=None
        Rows on which the file is run and compared with the detector; None draws some from its
        model.

    Raises
    ------
    ExportError
        If the detector or its model cannot be exported; or if the file does not score X as the
        detector does, up to a thousandth of the interquartile range of ``calibration_scores_`` plus
        a 100,000th of the score. A file that was at ``path`` before is then still there.
    ImportError
        If a package of ``pip install "skood[onnx]"`` is missing.
    ValueError
        If ``path`` ends in something else, or X is not valid.

    Notes
    -----
    A file is run by other kernels than those of the detector, so scores differ in the last digits
    of single precision; two runtimes, or two sizes of batches, may differ as much. The p-value and
    the decision are exactly those that skood gives to the score of the file.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import skood
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> detector = skood.ScoreNorm(random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skood.export(detector, os.path.join(folder, "detector.onnx"))
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(
            f"path must end in {' or '.join(FORMATS)}, which says the format; got {str(path)!r}."
        )
    if not isinstance(detector, ExportableDetector):
        raise ExportError(
            f"{type(detector).__name__} cannot be exported, since its score is not one torch "
            "module. Use Likelihood, HierarchicalLLR, Typicality or ScoreNorm, or serve the "
            "detector itself, as docs/recipes/serve does."
        )
    check_installed, write, load = FORMATS[path.suffix]
    check_installed()
    scoring: Any = detector.scoring_module()
    rows = _rows_to_compare(detector, scoring.rows, X)
    program = _traced(detector, Verdict(scoring, detector), rows)
    with replacing(path) as temporary:
        write(program, temporary)
        _check(detector, scoring.rows, load(temporary), rows)


def _rows_to_compare(detector: Any, spec: RowSpec, X: Any) -> NDArray[Any]:
    """X, or rows of the model, in the type that the graph takes."""
    if X is None:
        rows = detector.model_.sample(_N_SAMPLES, random_state=0)
    else:
        rows = np.asarray(check_rows(detector, X, reset=False))
    if spec.graph_type == torch.uint8:
        rows = np.rint(rows).clip(0, 255)
    return rows.astype(_numpy_type(spec.graph_type))


def _numpy_type(of_torch: torch.dtype) -> np.dtype[Any]:
    dtype: np.dtype[Any] = torch.empty(0, dtype=of_torch).numpy().dtype
    return dtype


def _traced(detector: Any, verdict: nn.Module, rows: NDArray[Any]) -> torch.export.ExportedProgram:
    # So many rows that no other axis is likely to be as long: equal ones might be taken for one.
    example = torch.from_numpy(np.resize(rows, (13, *rows.shape[1:])))
    batch = torch.export.Dim("batch", min=1)
    with own_modes(grad=True), torch.no_grad():
        verdict.eval()
        verdict(example)  # draws all random numbers, which are constants from here on
        try:
            return torch.export.export(verdict, (example,), dynamic_shapes=({0: batch},))
        except Exception as error:  # of any type: it runs the code of the network
            raise ExportError(
                f"{_name(detector)} cannot be exported: torch.export says {error}"
            ) from error


def _check(detector: Any, spec: RowSpec, run: Run, rows: NDArray[Any]) -> None:
    """Raise ExportError unless a file says what the detector says, of several rows and of one."""
    calibration = detector.calibration_scores_
    low, high = np.quantile(calibration, [0.25, 0.75])
    for some in (rows, rows[:1]):
        expected = detector.score_samples(Rows(some, spec.origin))
        score, p_value, is_normal = run(some)
        allowed = _TOLERANCE * (high - low) + _RELATIVE_TOLERANCE * np.abs(expected)
        excess = np.abs(score - expected) - allowed
        if not (excess <= 0).all():
            i = int(np.argmax(excess))
            raise ExportError(
                f"The exported {_name(detector)} gives row {i} of X the score {score[i]:.8g} "
                f"instead of {expected[i]:.8g}, which is more than rounding. Export with the other "
                f"of {' and '.join(FORMATS)}, or serve the detector itself, as docs/recipes/serve "
                "does."
            )
        decision = np.where(score >= detector.offset_, 1, -1)
        if (p_value != p_values(score, calibration)).any() or (is_normal != decision).any():
            raise ExportError(
                f"The exported {_name(detector)} gives p-values or decisions that do not belong to "
                "its scores. Serve the detector itself, as docs/recipes/serve does."
            )


def _name(detector: Any) -> str:
    return f"{type(detector).__name__} over {type(detector.model_).__name__}"
