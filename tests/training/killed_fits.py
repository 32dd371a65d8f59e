"""Kill a small training at random moments, and compare what comes of it with one that ran through.

    python killed_fits.py FOLDER N_KILLS SEED

Prints what was seen as JSON. In a process of its own, since its children are forks, which have
nothing to import.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from skood import MAF, Trainer
from skood.testing import small
from skood.training.state_file import read_state

X = np.random.default_rng(0).normal(size=(100, 3))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
HANDLED = {signal.SIGINT, signal.SIGTERM}


def fitted_weights(checkpoint):
    trainer = Trainer(checkpoint=checkpoint, patience=None)
    options = {"max_epochs": 40, "batch_size": 32, "trainer": trainer, "random_state": 0}
    network = small(MAF, **options).fit(X).network_
    return b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())


def start(checkpoint, result):
    """The process id of a child that fits, and writes the weights to a file if it comes so far."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        return child
    status = 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        result.write_bytes(fitted_weights(checkpoint))
        status = 0
    except KeyboardInterrupt:
        status = 130
    except SystemExit as stop:
        status = stop.code
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        os._exit(status)


def wait(child, seconds):
    """The child's exit status; None if it is still there after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.001)


def kept_epoch(checkpoint):
    return read_state(checkpoint)[1].epoch if checkpoint.exists() else 0


def main(folder, n_kills, seed):
    choose = random.Random(seed)
    checkpoint, result = folder / "fit.safetensors", folder / "weights"
    torch.set_num_threads(1)  # forks have no others
    expected = fitted_weights(None)  # which also imports all that a fit needs
    begin = time.monotonic()
    assert wait(start(folder / "through.safetensors", result), 600) == 0
    whole = time.monotonic() - begin
    seen = {"kills": 0, "fits": 0, "equal": 0, "lost": 0, "taken_up": [], "statuses": Counter()}
    is_enough = False
    while not is_enough or checkpoint.exists():
        # Kills may all have come before the first epoch was kept.
        is_enough = seen["kills"] >= n_kills and any(seen["taken_up"])
        before = kept_epoch(checkpoint)
        child = start(checkpoint, result)
        status = wait(child, 600 if is_enough else choose.uniform(0, whole))
        if status is None:
            os.kill(child, SIGNALS[seen["kills"] % len(SIGNALS)])
            seen["kills"] += 1
            status = wait(child, 600)
        seen["statuses"][status] += 1
        seen["taken_up"].append(before)
        seen["lost"] += kept_epoch(checkpoint) < before
        if status == 0:
            seen["fits"] += 1
            seen["equal"] += result.read_bytes() == expected
            checkpoint.unlink()
    seen["left_over"] = sum(path.suffix == ".tmp" for path in folder.iterdir())
    seen["seconds"] = round(whole, 2)
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
