"""A file is the old one or the new one, and nothing else is left."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skood.core import atomic
from skood.core.atomic import replacing

# Writes one file after the other, each of one letter, until it is killed.
WRITER = """
import itertools
from atomic import replacing
for letter in itertools.cycle("abc"):
    with replacing("file") as temporary:
        temporary.write_text(1_000_000 * letter)
    print(letter, flush=True)
"""


def test_the_new_file_takes_the_place_of_the_old_one_after_the_block(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_exception_the_old_file_is_there_alone(error, tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_where_it_cannot_be_put_there_is_no_temporary_file_either(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other").touch()
    with pytest.raises(OSError), replacing(tmp_path / "folder") as temporary:
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="other systems have no rights in this form")
@pytest.mark.parametrize("rights", [None, 0o640])
def test_the_new_file_has_the_rights_of_the_old_one_or_of_any_new_one(rights, tmp_path):
    for name in ("file", "usual"):
        (tmp_path / name).touch()
        if rights:
            (tmp_path / name).chmod(rights)
    if not rights:
        (tmp_path / "file").unlink()
    with replacing(tmp_path / "file") as temporary:
        temporary.chmod(0o600)
    modes = [(tmp_path / name).stat().st_mode for name in ("usual", "file")]
    assert modes[0] == modes[1]


@pytest.mark.skipif(os.name != "posix", reason="other systems have links for administrators only")
def test_a_link_goes_on_pointing_to_the_file(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    with replacing(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="other systems have no signals")
def test_a_process_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    rng, path = random.Random(0), tmp_path / "file"
    run = [sys.executable, "-S", "-c", WRITER]
    # The module by itself is there at once, which all of skood is not.
    options = {"cwd": tmp_path, "env": {"PYTHONPATH": str(Path(atomic.__file__).parent)}}
    for _ in range(20):
        with subprocess.Popen(run, stdout=subprocess.PIPE, text=True, **options) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.03))
            process.kill()
        text = path.read_text()
        assert len(text) == 1_000_000 and len(set(text)) == 1
