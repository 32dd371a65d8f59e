"""Files: what was written is read, and what was not written by skood is named for what it is."""

import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from skood.core import saved_files
from skood.core.exceptions import LoadError
from skood.core.saved_files import FORMAT, read, write

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor([True, False]),
    "c": torch.zeros(0, 3, dtype=torch.float64),
    "d": torch.tensor(7, dtype=torch.uint32),
}
DOCUMENT = {"number": 0.1, "list": [1, None, 'ü \\ " \n'], "empty": {}}


def a_zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(DOCUMENT))
    return file.getvalue()


def an_array():
    file = io.BytesIO()
    np.save(file, np.zeros(1000))
    return file.getvalue()


FOREIGN = {
    "empty": b"",
    "a pickle": pickle.dumps(list(range(1000))),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "a zip": a_zip(),
    "an array": an_array(),
    "text": b"detector: HVAE\n" * 100,
    "zeros": bytes(1000),
    "a table of nothing": (2).to_bytes(8, "little") + b"{}",
    "no table": (2).to_bytes(8, "little") + b"[]",
    "a long table": (2**62).to_bytes(8, "little") + bytes(1000),
}


def test_what_was_written_is_read(tmp_path):
    write(tmp_path / "file", DOCUMENT, TENSORS)
    document, tensors = read(tmp_path / "file")
    assert document == DOCUMENT and list(document["list"]) == DOCUMENT["list"]
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype and torch.equal(tensors[name], tensor)


def test_any_reader_of_safetensors_sees_what_is_inside(tmp_path):
    write(tmp_path / "file", DOCUMENT, TENSORS)
    with safe_open(tmp_path / "file", "pt") as file:
        assert set(file.keys()) == TENSORS.keys()
        assert json.loads(file.metadata()["document"]) == DOCUMENT
        assert file.metadata()["skood_format"] == str(FORMAT)


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_of_others_are_refused(kind, tmp_path):
    (tmp_path / "file").write_bytes(FOREIGN[kind])
    message = "looks like a pickle" if kind == "a pickle" else "was not saved by skood"
    with pytest.raises(LoadError, match=message):
        read(tmp_path / "file")


def test_tensors_of_others_are_refused(tmp_path):
    save_file(TENSORS, tmp_path / "file", {"format": "pt"})
    with pytest.raises(LoadError, match="was not saved by skood"):
        read(tmp_path / "file")


def test_a_newer_format_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_files, "FORMAT", FORMAT + 1)
    write(tmp_path / "file", DOCUMENT, TENSORS)
    monkeypatch.undo()
    with pytest.raises(LoadError, match=rf"format is {FORMAT + 1}, .* reads {FORMAT}. Use .*newer"):
        read(tmp_path / "file")


def test_a_change_of_one_byte_is_noticed(tmp_path):
    write(tmp_path / "file", DOCUMENT, TENSORS)
    data = bytearray((tmp_path / "file").read_bytes())
    data[-1] ^= 1
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(LoadError, match="checksum"):
        read(tmp_path / "file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # to read from it would wait for ever
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(LoadError, match="no regular file"):
            read(path)


def test_a_file_that_is_not_there_is_the_usual_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        read(tmp_path / "missing")


def test_what_could_not_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_files, "_LONGEST_TABLE", 1000)
    with pytest.raises(ValueError, match=r"takes \d+ bytes, and may take 1000. Hold long lists"):
        write(tmp_path / "file", {"text": "x" * 1000}, TENSORS)
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_json_does_not_have_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(json, "dumps", lambda document, **options: '{"number": NaN}')
    write(tmp_path / "file", {}, TENSORS)
    with pytest.raises(LoadError, match="holds NaN"):
        read(tmp_path / "file")
