"""What is not needed is not imported: counted in modules, since seconds depend on the machine."""

import subprocess
import sys

import numpy as np
import pytest

from skood import MAF
from skood.testing import small

# For training, and for single detectors, with what they import in turn.
ONLY_WHERE_USED = {
    "skorch",
    "sklearn.covariance",
    "sklearn.decomposition",
    "sklearn.ensemble",
    "sklearn.mixture",
    "sklearn.model_selection",
    "sklearn.neighbors",
}


def imported_by(code):
    """Names of the modules that a new process has imported after ``code``."""
    run = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(run, check=True, capture_output=True, text=True).stdout.split())


def test_importing_skood_does_not_import_what_only_some_estimators_use():
    modules = imported_by("import skood")
    assert "skood.detectors._knn_distance" in modules
    assert not ONLY_WHERE_USED & modules


@pytest.mark.parametrize(
    "estimator",
    [
        "skood.MAF, max_epochs=1, trainer=skood.Trainer(optimizer='adam')",
        "skood.MAF, max_epochs=1, trainer=skood.Trainer(optimizer='adamw')",
        "skood.MAF, max_epochs=1, trainer=skood.Trainer(optimizer='adamax')",
        "skood.LikelihoodRegret",
    ],
)
def test_fitting_does_not_import_the_compiler_of_torch(estimator):
    modules = imported_by(
        "import numpy as np, skood; from skood.testing import small\n"
        f"small({estimator}).fit(np.eye(60)[:, :3])"
    )
    assert "skorch" in modules
    assert "torch._dynamo" not in modules


def test_loading_imports_neither_the_compiler_nor_what_only_fitting_needs(tmp_path):
    path = tmp_path / "model.safetensors"
    small(MAF, random_state=0).fit(np.eye(60)[:, :3]).save(path)
    modules = imported_by(f"import skood; skood.load({str(path)!r}).score_samples([[1, 0, 0]])")
    assert "skood.nn.bijections.autoregressive" in modules
    assert not {"skorch", "sympy", "torch._dynamo"} & modules
