"""Many clients at once: the time that an answer takes.

python load.py http://127.0.0.1:8000 image.png
"""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

N_CLIENTS = 50


def post(client: httpx.Client, image: bytes) -> tuple[httpx.Response, float]:
    """The answer to one image, and the seconds that it took."""
    start = time.perf_counter()
    response = client.post("/score", files={"image": image})
    return response, time.perf_counter() - start


def post_all(url: str, images: Sequence[bytes]) -> list[tuple[httpx.Response, float]]:
    """`post` of each image, from `N_CLIENTS` clients at the same time."""
    limits = httpx.Limits(max_connections=N_CLIENTS, max_keepalive_connections=N_CLIENTS)
    with (
        httpx.Client(base_url=url, limits=limits, timeout=60) as client,
        ThreadPoolExecutor(N_CLIENTS) as pool,
    ):
        return list(pool.map(lambda image: post(client, image), images))


def main(url: str, path: str, n_requests: int = 2000) -> None:
    """Print quantiles of the seconds."""
    image = Path(path).read_bytes()
    post_all(url, [image] * N_CLIENTS)  # the first batch of a worker takes longer
    start = time.perf_counter()
    answers: list[Any] = post_all(url, [image] * n_requests)
    rate = n_requests / (time.perf_counter() - start)
    n_wrong = sum(response.json() != answers[0][0].json() for response, _ in answers)
    p50, p99 = np.quantile([seconds for _, seconds in answers], [0.5, 0.99])
    print(f"{n_requests} requests of {N_CLIENTS} clients, {rate:.0f} per second")
    print(f"p50 {1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms, {n_wrong} answers differ")


if __name__ == "__main__":
    main(*sys.argv[1:])
