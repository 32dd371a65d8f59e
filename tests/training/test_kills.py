"""A fit that is killed at random moments loses nothing: see `killed_fits.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills its children with signals")
SCRIPT = Path(__file__).with_name("killed_fits.py")


@pytest.mark.parametrize("n_kills", [3, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_killed_fits_are_taken_up_to_the_weights_of_one_that_ran_through(n_kills, tmp_path):
    command = [sys.executable, SCRIPT, tmp_path, str(n_kills), "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert ended.returncode == 0 and ended.stderr == ""
    seen = json.loads(ended.stdout)
    assert seen["kills"] >= n_kills and any(seen["taken_up"])
    assert seen["fits"] == seen["equal"] and seen["lost"] == 0
    # Finished, or ended by one of the signals, the last two of which training may answer.
    assert seen["statuses"].keys() <= {"0", "-9", "-15", "143", "130"}
