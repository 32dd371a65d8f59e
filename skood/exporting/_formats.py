"""The formats that exported detectors are written in, and run from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

__all__ = ["FORMATS", "INPUT", "OUTPUTS", "Format", "Run"]

INPUT = "X"
OUTPUTS = ("score_samples", "p_value", "is_normal")

Run = Callable[[NDArray[Any]], tuple[NDArray[Any], ...]]


class Format(NamedTuple):
    """How files of one format are written and run.

    Attributes
    ----------
    check_installed : callable
        Raises ImportError if a package is missing.
    write, load : callable
        ``load(path)`` is a function from rows to the outputs.
    """

    check_installed: Callable[[], None]
    write: Callable[[ExportedProgram, Path], None]
    load: Callable[[Path], Run]


def _check_onnx_installed() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"skood.export needs {error.name} for ONNX. Install it with "
            'pip install "skood[onnx]", or give a path that ends in .pt2.'
        ) from error


def _write_onnx(program: ExportedProgram, path: Path) -> None:
    with _without_remarks():
        # In torch's own steps: onnxscript would make log(sigmoid(x)) of its log_sigmoid, which is
        # minus infinity below -18.
        onnx_program = torch.onnx.export(
            program.run_decompositions(),
            input_names=[INPUT],
            output_names=OUTPUTS,
            dynamic_shapes=({0: "batch"},),  # the name of the axis
            dynamo=True,
            verbose=False,
        )
    assert onnx_program is not None
    onnx_program.save(path)


def _load_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda rows: tuple(session.run(list(OUTPUTS), {INPUT: rows}))


@contextmanager
def _without_remarks() -> Iterator[None]:
    """torch's exporter misses torchvision, which no model needs, and calls torch's old names."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _write_torch(program: ExportedProgram, path: Path) -> None:
    with open(path, "wb") as file:  # of a name that does not end in .pt2 yet
        torch.export.save(program, file)


def _load_torch(path: Path) -> Run:
    with open(path, "rb") as file:
        module = torch.export.load(file).module()
    return lambda rows: tuple(each.detach().numpy() for each in module(torch.from_numpy(rows)))


FORMATS = {
    ".onnx": Format(_check_onnx_installed, _write_onnx, _load_onnx),
    ".pt2": Format(lambda: None, _write_torch, _load_torch),
}
