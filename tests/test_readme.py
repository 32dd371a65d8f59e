"""The README's Python blocks run, in order and in one namespace, on data of a few rows."""

import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from skood.testing import all_trained_models, easy_images

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)

# Instead of the defaults, which train for minutes. One block asks for a model after five epochs.
SMALL = {"max_epochs": 5, "width": 8, "n_steps": 2}


def blocks():
    """Compiled code of each block, whose line numbers are the README's."""
    text = README.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        n_lines_above = text.count("\n", 0, match.start(1))
        yield compile("\n" * n_lines_above + match[1], str(README), "exec")


def data():
    """What the README takes as given."""
    rng = np.random.default_rng(0)
    names = ("X", "X_new", "X_train", "X_calibration", "X_val", "X_test")
    images = {name: easy_images(120, random_state=i) for i, name in enumerate(names)}
    return images | {
        "X_odd": 255 - easy_images(20),
        "table": rng.normal(size=(120, 4)),
        "new_rows": rng.normal(size=(20, 4)),
    }


@pytest.fixture
def small_defaults(monkeypatch):
    for model in all_trained_models():
        defaults = model.__init__.__kwdefaults__
        for name in SMALL.keys() & defaults.keys():
            monkeypatch.setitem(defaults, name, SMALL[name])


@pytest.mark.filterwarnings("ignore::skood.calibration.CalibrationWarning")
@pytest.mark.filterwarnings("ignore::skood.CollapseWarning")
def test_the_blocks_of_the_readme_run(small_defaults, monkeypatch, tmp_path):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)  # one block keeps networks in a folder named cache
    namespace = data()
    for block in blocks():
        exec(block, namespace)
