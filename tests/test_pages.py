"""The Python blocks of each page run: of tutorials as they stand, of others on a few rows."""

import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from skood.testing import all_trained_models, easy_images

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("[gu]*/*.md"))]
TUTORIALS = [p for p in sorted((ROOT / "docs/tutorials").glob("*.md")) if p.stem != "index"]
OWN_TEST = ["images.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OUTPUT = re.compile(r"^```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"\d+(?:\.\d+)?")

# Instead of the defaults, which train for minutes. One block asks for a model after five epochs.
SMALL = {"max_epochs": 5, "width": 8, "n_steps": 2}


def blocks(page, replaced=("", "")):
    """Compiled code of each block, whose line numbers are those of the page."""
    text = page.read_text(encoding="utf-8")
    assert replaced[0] in text
    text = text.replace(*replaced) if replaced[0] else text
    for match in BLOCK.finditer(text):
        n_lines_above = text.count("\n", 0, match.start(1))
        yield compile("\n" * n_lines_above + match[1], str(page), "exec")


def data():
    """What the pages take as given."""
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
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in OWN_TEST], ids=lambda page: page.stem
)
def test_the_blocks_of_a_page_run(page, small_defaults, monkeypatch, tmp_path):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)  # some blocks write files
    namespace = data()
    for block in blocks(page):
        exec(block, namespace)


def test_the_readme_prints_what_it_says(capsys):
    exec(next(blocks(ROOT / "README.md")), {})
    said = OUTPUT.search((ROOT / "README.md").read_text())
    assert capsys.readouterr().out == said[1]


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_prints_what_it_says(page, monkeypatch, tmp_path, capsys):
    """The same words, and numbers that processors of another kind may give."""
    matplotlib.use("Agg")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    namespace = {}
    for block in blocks(page):
        exec(block, namespace)
    printed = capsys.readouterr().out
    said = "".join(OUTPUT.findall(page.read_text(encoding="utf-8")))
    assert NUMBER.sub("0", printed) == NUMBER.sub("0", said)
    numbers = ([float(n) for n in NUMBER.findall(text)] for text in (printed, said))
    np.testing.assert_allclose(*numbers, rtol=0.25, atol=4)


def test_the_readme_is_short():
    assert (ROOT / "README.md").read_text().count("\n") <= 120


def save_pictures(folder, n, random_state, *, noise=0):
    """Smooth pictures of two formats, with noise on top."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(random_state)
    for i in range(n):
        small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        large = np.asarray(small.resize((12, 16) if i % 2 else (16, 12)), dtype=float)
        noisy = large + rng.normal(0, noise, large.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i:03}.png")


def test_the_guide_for_pictures_finds_noisy_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_pictures(tmp_path / "pictures" / "normal", 200, 0)
    save_pictures(tmp_path / "pictures" / "new" / "clean", 20, 1)
    save_pictures(tmp_path / "pictures" / "new" / "noisy", 20, 2, noise=40)
    for block in blocks(ROOT / "docs/guide/images.md", ('"size": 32', '"size": 12')):
        exec(block, {})
    lines = capsys.readouterr().out.splitlines()
    found = ["not like the others" in line for line in lines]
    assert ["noisy" in line for line in lines] == [False] * 20 + [True] * 20
    assert sum(found[:20]) <= 4
    assert all(found[20:])
