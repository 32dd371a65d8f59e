"""Thousands of damaged and hostile files: an error or an estimator, no code run, no crash.

Random bytes hardly get past the checksum. So most files here are documents and tensors with one
thing in them replaced by another, written with the right checksum, as an attacker would.
"""

import copy
import json
import pickle
import random
import sys
import warnings

import numpy as np
import pytest
import torch

import skood
from skood.core.exceptions import LoadError
from skood.core.saved_files import read, write
from skood.testing import small

resource = pytest.importorskip("resource", reason="this system does not count memory in this form")

HOSTILE = [
    *(None, True, -1, 0, 1, 7, 2**31, 2**62, 2**70, 1e308, "", "os.system", "x" * 5_000),
    *([], {}, [[]], {"dict": [[[], 1]]}, {"tuple": 3}, {"float": "nan"}, {"float": "1"}),
    *({"object": 0}, {"object": -1}, {"object": 10**6}, {"array": "no such tensor"}),
    *({"device": "cuda"}, {"device": "no such"}, {"strings": [1]}, {"random_state": [1, 2, 3, 4]}),
    *({"class": "os.system", "parameters": {}, "attributes": {}}, {"skops": {"array": "x"}}),
]
# What a file may not make a process do. Python reports it before it happens.
EVENTS = {"os.system", "os.exec", "os.fork", "subprocess.Popen", "pickle.find_class", "exec"}
EVENTS |= {"compile", "ctypes.dlopen", "socket.connect", "os.remove", "os.rename", "shutil.rmtree"}
seen, watching = [], []
sys.addaudithook(lambda event, _: seen.append(event) if watching and event in EVENTS else None)


@pytest.fixture(scope="module")
def estimators(fit, flow_detector):
    """One of each kind of value that files can hold."""
    members = [("near", skood.KNNDistance()), ("mixture", small(skood.MixtureLikelihood))]
    return [
        flow_detector,
        fit(small(skood.HVAE, trainer=skood.Trainer(snapshot_epochs=(1,)))),
        fit(skood.CombinedDetector(members)),
        fit(skood.ScoreNorm()),
        fit(skood.ConformalDetector()),
        fit(skood.DoSE(small(skood.Glow))),
        watching_a_stream(fit(skood.KNNDistance())),
    ]


def watching_a_stream(detector):
    monitor = skood.DriftMonitor(detector)
    monitor.update(np.zeros((20, 4)))
    return monitor


def try_out(path):
    """Whether the file is loaded; what is, may be wrong, and says so by an exception or a score."""
    watching.append(path)
    try:
        estimator = skood.load(path)
    except LoadError:
        return False
    finally:
        watching.clear()
    try:
        is_monitor = isinstance(estimator, skood.DriftMonitor)
        (estimator.update if is_monitor else estimator.score_samples)(np.zeros((5, 4)))
    except Exception as error:
        assert not isinstance(error, MemoryError)
    return True


def test_code_would_be_seen():
    watching.append("a pickle")
    pickle.loads(pickle.dumps(skood.HVAE()))
    watching.clear()
    assert "pickle.find_class" in seen


def peak_memory():
    """Of this process so far, megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


@pytest.fixture
def harmless():
    """Nothing that a file may not do was done in the test, and no more memory used."""
    repr(torch.zeros(1)), repr(skood.HVAE())  # messages may have them, and they import something
    seen.clear()
    before = peak_memory()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    assert seen == []
    assert peak_memory() - before < 300


def places(node):
    """Every value below a node of a document: what holds it, and where in that."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield node, key
        if isinstance(value, dict | list):
            yield from places(value)


def mutate_document(document, rng):
    holder, key = rng.choice(list(places(document)))
    kind = rng.random()
    if kind < 0.4:
        holder[key] = rng.choice(HOSTILE)
    elif kind < 0.7:  # values of other places are of types that pass
        other, where = rng.choice(list(places(document)))
        holder[key] = copy.deepcopy(other[where])
    elif kind < 0.9:
        del holder[key]
    elif isinstance(holder, dict):
        holder[rng.choice(["__class__", "fit", "save", "x_", key * 2])] = holder[key]
    else:
        holder.insert(key, holder[key])


def mutate_tensor(tensors, rng):
    name, other = rng.choice(list(tensors)), rng.choice(list(tensors))
    x = tensors[name]
    changed = [
        lambda: x.flatten()[:-1].clone(),
        lambda: x[None].clone(),
        lambda: torch.zeros(0, dtype=x.dtype),
        lambda: x.to(rng.choice([torch.float16, torch.int64, torch.uint8, torch.bool])),
        lambda: torch.full_like(x, rng.choice([0, 1, 100])),
        lambda: (x.double() * rng.choice([1e300, float("nan"), -1])).to(x.dtype),
        lambda: torch.full((x.nbytes,), 255, dtype=torch.uint8).view(x.dtype).reshape(x.shape),
        lambda: tensors[other].clone(),
    ]
    tensors[name] = rng.choice(changed)()


def test_documents_and_tensors_of_an_attacker(estimators, tmp_path, harmless, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # these need not outlive a power cut
    rng, path, n_loaded = random.Random(0), tmp_path / "file", 0
    originals = []
    for estimator in estimators:
        estimator.save(path)
        assert try_out(path)
        document, tensors = read(path)
        originals.append((json.dumps(document), tensors))
    for i in range(2_000):
        text, tensors = originals[i % len(originals)]
        document, tensors = json.loads(text), dict(tensors)
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            if rng.random() < 0.75:
                mutate_document(document, rng)
            else:
                mutate_tensor(tensors, rng)
        path.unlink()  # a new file is faster than another one in its place
        write(path, document, tensors)
        n_loaded += try_out(path)
    # Not all is found out, and not little: a number may become another one.
    assert 200 < n_loaded < 1_000


def test_random_bytes(flow_detector, tmp_path, harmless):
    rng, path = random.Random(0), tmp_path / "file"
    flow_detector.save(path)
    whole = path.read_bytes()
    assert try_out(path)
    for _ in range(1_000):
        data = bytearray(whole)
        start, length = rng.randrange(len(data)), rng.choice([1, 1, 1, 8, 100])
        kind = rng.random()
        if kind < 0.6:
            data[start : start + length] = rng.randbytes(length)
        elif kind < 0.8:
            del data[start : start + length]
        else:
            data[start:start] = rng.randbytes(length)
        path.write_bytes(data)
        assert not try_out(path) or data == whole


def test_every_truncation(flow_detector, tmp_path, harmless):
    path = tmp_path / "file"
    flow_detector.save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 500)):
        path.write_bytes(whole[:length])
        assert not try_out(path)


@pytest.mark.parametrize("text", ["[" * 10_000, '{"a":' * 10_000, "[" + "[]," * 10_000 + "[]]"])
def test_deep_and_wide_documents(text, flow_detector, tmp_path, harmless, monkeypatch):
    monkeypatch.setattr(json, "dumps", lambda document, **options: text)
    write(tmp_path / "file", {}, {"x": torch.from_numpy(np.ones(3))})
    assert not try_out(tmp_path / "file")
