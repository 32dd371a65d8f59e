"""Score files of rows on one core; files whose scores are there already are skipped.

export OMP_NUM_THREADS=1
ls rows/*.npy | xargs -P 16 -n 100 python score_shards.py detector.safetensors scores/
"""

import os
import sys
import uuid
from pathlib import Path

import numpy as np

import skood


def score_shards(detector, folder, paths):
    """The scores of each file of rows, in a file of the same name in the folder."""
    for path in map(Path, paths):
        target = Path(folder) / path.name
        if not target.exists():
            save(target, detector.score_samples(np.load(path, mmap_mode="r")))


def save(target, scores):
    """There is the whole file or none, also after a kill or a loss of power."""
    temporary = target.with_name(f".{uuid.uuid4().hex}")
    with open(temporary, "wb") as file:
        np.save(file, scores)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, target)


if __name__ == "__main__":
    score_shards(skood.load(sys.argv[1]), sys.argv[2], sys.argv[3:])
