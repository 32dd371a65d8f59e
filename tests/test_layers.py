"""Imports point down only, as "Parts" in docs/design.md draws it."""

import ast
from pathlib import Path

import pytest

import skood

ROOT = Path(skood.__file__).parent
LAYERS = (
    {"core"},
    {"nn", "objectives", "scores", "calibration", "martingales", "metrics", "datasets", "training"},
    {"gradients"},
    {"models"},
    {"detectors", "monitoring"},
    {"persistence"},
    {"benchmark", "exporting", "plotting", "testing"},
)
LAYER = {part: layer for layer, parts in enumerate(LAYERS) for part in parts}
TOP = len(LAYERS) - 1
PURE_NUMPY = {"scores", "calibration", "metrics", "martingales"}


def imports(source, module, is_package=False):
    """Dotted names of everything that ``source``, the code of ``module``, imports at any place."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: -node.level or None]
            if is_package and node.level:
                parents = module.split(".")[: 1 - node.level or None]
            base = ".".join([*(parents if node.level else []), *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def violations(source, module, is_package=False):
    """One sentence for each import of ``module`` that the layers forbid."""
    part = module.split(".")[1]
    if part not in LAYER:
        return [f"{module}: {part} has no layer; give it one in CONTRIBUTING.md and here"]
    wrong = []
    for name in imports(source, module, is_package):
        reason = _reason(module, part, name.split("."))
        if reason:
            wrong.append(f"{module} imports {name}: {reason}")
    return wrong


def _reason(module, part, name):
    if name[0] == "skorch" and module != "skood.training.loop":
        return "only skood.training.loop knows skorch"
    if name[0] == "torch" and part in PURE_NUMPY:
        return f"{part} is pure NumPy"
    if name[0] == "sklearn" and part in {"nn", "gradients"}:
        return f"{part} knows no estimator"
    if name[0] != "skood":
        return None
    other = name[1] if len(name) > 1 and name[1] in LAYER else None
    if other is None:
        return None if LAYER[part] == TOP else "the top of the package is above every layer"
    if other != part and LAYER[other] == LAYER[part]:
        return "sideways"
    if LAYER[other] > LAYER[part]:
        return "upwards"
    if other != part and LAYER[part] == TOP and any(step.startswith("_") for step in name):
        return f"{part} may use public names only"
    return None


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        steps = ("skood", *path.relative_to(ROOT).with_suffix("").parts)
        is_package = steps[-1] == "__init__"
        if steps != ("skood", "__init__"):
            module = ".".join(steps[:-1] if is_package else steps)
            yield pytest.param(path, module, is_package, id=module)


@pytest.mark.parametrize("path, module, is_package", list(modules()))
def test_imports_point_down(path, module, is_package):
    assert violations(path.read_text(encoding="utf-8"), module, is_package) == []


@pytest.mark.parametrize(
    "module, line, reason",
    [
        ("skood.core.noise", "from skood.nn.layers import Stage", "upwards"),
        ("skood.core.noise", "import skood.detectors", "upwards"),
        ("skood.core.batches", "import skorch", "skorch"),
        ("skood.models._glow", "from skorch.callbacks import EarlyStopping", "skorch"),
        ("skood.nn.layers", "from skood import objectives", "sideways"),
        ("skood.nn.layers", "from skood.gradients.norms import squared_norms", "upwards"),
        ("skood.nn.layers", "from sklearn.base import BaseEstimator", "no estimator"),
        ("skood.objectives._elbo", "from ..scores.bounds import x", "sideways"),
        ("skood.models._glow", "from ..detectors import Likelihood", "upwards"),
        ("skood.models._glow", "def f():\n    from skood.detectors import Likelihood", "upwards"),
        ("skood.models._glow", "from skood import Likelihood", "the top"),
        ("skood.models._glow", "import skood", "the top"),
        ("skood.scores.bounds", "import torch.nn.functional as F", "pure NumPy"),
        ("skood.calibration", "from torch import Tensor", "pure NumPy"),
        ("skood.plotting.curves", "from skood.testing import small", "sideways"),
        ("skood.plotting.curves", "from skood.detectors._base import BaseDetector", "public"),
        ("skood.detectors._likelihood", "from skood.persistence import load", "upwards"),
        ("skood.extras", "import math", "has no layer"),
    ],
)
def test_the_check_finds_a_made_up_violation(module, line, reason):
    (found,) = violations(line, module)
    assert reason in found


@pytest.mark.parametrize(
    "module, line",
    [
        ("skood.training.loop", "from skorch import NeuralNet"),
        ("skood.training.loop", "from ..core.noise import Noise"),
        ("skood.models._hvae", "from skood.models._base import BaseGenerativeModel"),
        ("skood.models._hvae", "from skood.nn._private import f"),
        ("skood.gradients.norms", "from skood.nn.layers import Linear"),
        ("skood.detectors._likelihood", "from ..calibration import threshold"),
        ("skood.benchmark.runs", "from skood import HVAE"),
    ],
)
def test_the_check_lets_a_downward_import_pass(module, line):
    assert violations(line, module) == []


def test_a_relative_import_of_a_package_starts_at_the_package():
    assert list(imports("from . import _base", "skood.models", True)) == ["skood.models._base"]
    assert list(imports("from ..nn import f", "skood.models", True)) == ["skood.nn.f"]
    assert list(imports("from . import _base", "skood.models._hvae")) == ["skood.models._base"]
