"""Estimators inside a program that does other things too: threads, and modes of torch."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skood.testing._fits import fit, reference

__all__ = ["process_checks"]

_N_THREADS = 4


def check_threads_share_an_estimator(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """Threads that score other rows with one estimator get the scores of one thread."""
    fitted, expected = reference(estimator, X)
    parts = [slice(i, None, _N_THREADS) for i in range(_N_THREADS)]
    tasks = [(name, part) for name in ("score_samples", "predict") for part in parts]
    tasks = [(name, part) for name, part in tasks if name in expected]
    results = _at_once([partial(getattr(fitted, name), X[part]) for name, part in tasks])
    for (name, part), result in zip(tasks, results, strict=True):
        np.testing.assert_array_equal(result, expected[name][part], err_msg=name)


def check_fits_in_threads_are_those_of_one_thread(
    estimator: BaseEstimator, X: NDArray[Any]
) -> None:
    """Estimators fitted at the same time score like one fitted alone."""
    _, expected = reference(estimator, X)
    # scikit-learn's validation uses catch_warnings, which is not safe in threads: a filter of its
    # may stay.
    with warnings.catch_warnings():
        together = _at_once([partial(fit, estimator, X)] * _N_THREADS)
    for fitted in together:
        np.testing.assert_array_equal(fitted.score_samples(X), expected["score_samples"])


def check_surroundings_change_nothing(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """The modes of torch that the caller has set change neither a fit nor a score."""
    fitted, expected = reference(estimator, X)
    for name, surroundings in _SURROUNDINGS.items():
        with surroundings():
            scores = fitted.score_samples(X)
            of_fit = fit(estimator, X).score_samples(X)
        np.testing.assert_array_equal(scores, expected["score_samples"], err_msg=f"score: {name}")
        np.testing.assert_array_equal(of_fit, expected["score_samples"], err_msg=f"fit: {name}")


def check_number_of_threads_changes_no_score(estimator: BaseEstimator, X: NDArray[Any]) -> None:
    """Scores are bitwise equal whatever number of threads torch may use for them."""
    fitted, expected = reference(estimator, X)
    before = torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            scores = fitted.score_samples(X)
            np.testing.assert_array_equal(
                scores, expected["score_samples"], err_msg=f"{n_threads} threads"
            )
    finally:
        torch.set_num_threads(before)


def check_caller_random_numbers_are_untouched_during_fit(
    estimator: BaseEstimator, X: NDArray[Any]
) -> None:
    """What the caller draws from torch's global generator while a fit runs is what it would be."""
    before = torch.get_rng_state()
    alone = torch.Generator().manual_seed(0)
    try:
        torch.default_generator.manual_seed(0)
        with _switching_often(), ThreadPoolExecutor(1) as pool:
            running = pool.submit(fit, estimator, X)
            while not running.done():
                drawn, expected = torch.rand(2).tolist(), torch.rand(2, generator=alone).tolist()
                assert drawn == expected, "fit moves torch's global generator"
                time.sleep(1e-4)  # or the fit gets nowhere
            running.result()
    finally:
        torch.set_rng_state(before)


process_checks = (
    check_threads_share_an_estimator,
    check_fits_in_threads_are_those_of_one_thread,
    check_surroundings_change_nothing,
    check_number_of_threads_changes_no_score,
    check_caller_random_numbers_are_untouched_during_fit,
)


def _at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The results of the calls, each of them made in a thread of its own, all at the same time."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        return call()

    with _switching_often(), ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@contextmanager
def _switching_often() -> Iterator[None]:
    """Python changes threads every 10 microseconds, and not 5 milliseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def _doubles_without_gradients() -> Iterator[None]:
    dtype, deterministic = torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True)
        with torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


@contextmanager
def _inference_in_bfloat16() -> Iterator[None]:
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        yield


# Modes of which none hides what another one does to a fit are set together, to save fits.
_SURROUNDINGS = {
    "no_grad, float64 as default dtype, deterministic algorithms": _doubles_without_gradients,
    "inference_mode, autocast to bfloat16": _inference_in_bfloat16,
}
