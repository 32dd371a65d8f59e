"""The code of the how-to guides runs as it stands."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def run(name, long, short):
    """Run the blocks of a guide, of which one has a value that would take too long."""
    text = (DOCS / name).read_text(encoding="utf-8")
    assert long in text
    for block in BLOCK.findall(text.replace(long, short)):
        exec(compile(block, name, "exec"), {})


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
    run("howto_images.md", '"size": 32', '"size": 12')
    lines = capsys.readouterr().out.splitlines()
    found = ["not like the others" in line for line in lines]
    assert ["noisy" in line for line in lines] == [False] * 20 + [True] * 20
    assert sum(found[:20]) <= 4
    assert all(found[20:])
