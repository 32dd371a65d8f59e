"""The example service over HTTP: 50 clients at once, each with the answer that Python gives."""

import importlib.util
import io
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from skood import HVAE, HierarchicalLLR
from skood.testing import easy_images, small

SERVE = Path(__file__).parents[1] / "docs" / "recipes" / "serve"


def load_module():
    spec = importlib.util.spec_from_file_location("load", SERVE / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_file(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def detector():
    return small(HierarchicalLLR, small(HVAE), random_state=0).fit(easy_images(200))


@pytest.fixture(scope="module")
def url(detector, tmp_path_factory):
    """Of the service, which two workers give."""
    folder = tmp_path_factory.mktemp("serve")
    detector.save(folder / "detector.safetensors")
    with socket.socket() as listening, open(folder / "log", "w+") as log:
        listening.bind(("127.0.0.1", 0))
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listening.fileno()}"],
            cwd=SERVE,
            env=os.environ | {"SKOOD_DETECTOR": str(folder / "detector.safetensors")},
            pass_fds=[listening.fileno()],
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            wait_for(url, server)
            yield url
            log.seek(0)
            assert log.read().count("Booting worker") == 2
        finally:
            server.terminate()
            assert server.wait(timeout=30) == 0


def wait_for(url, server):
    deadline = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/health").raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("The service did not start.")


def test_fifty_clients_at_once_get_the_answers_of_python(url, detector):
    X = easy_images(200, random_state=1)
    X[::2] = 255 - X[::2]
    answers = load_module().post_all(url, [as_file(image) for image in X])
    p_values = [response.json()["p_value"] for response, _ in answers]
    is_normal = [response.json()["is_normal"] for response, _ in answers]
    np.testing.assert_array_equal(p_values, detector.p_values(X))
    np.testing.assert_array_equal(is_normal, detector.predict(X) > 0)


GREY = np.zeros((8, 8), dtype=np.uint8)


@pytest.mark.parametrize(
    "file, reason",
    [
        (b"no image", "no image of a format"),
        (b"", "no image of a format"),
        (as_file(GREY)[:45], "damaged"),
        (as_file(np.zeros((8, 9), dtype=np.uint8)), "send 8 x 8"),
        (as_file(GREY.astype(np.uint16)), "mode I;16"),
    ],
    ids=["text", "empty", "cut off", "another size", "16 bits"],
)
def test_bad_images_are_answered_with_the_reason(url, file, reason):
    response = httpx.post(f"{url}/score", files={"image": file})
    assert response.status_code == 422
    assert reason in response.json()["detail"]


def test_colours_are_made_grey_for_a_detector_of_grey_images(url):
    images = GREY, np.zeros((8, 8, 3), dtype=np.uint8)
    answers = [httpx.post(f"{url}/score", files={"image": as_file(image)}) for image in images]
    assert answers[0].json() == answers[1].json()
