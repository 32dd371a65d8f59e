"""Train on one data set, score against the others, compare with the papers."""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

import skood
from skood import datasets, metrics
from skood.calibration import threshold
from skood.scores.ratios import (
    adaptive_likelihood_ratio,
    likelihood_ratios,
    most_significant_ratio,
    optimal_likelihood_ratio,
)

__all__ = ["average", "clock", "epochs_within", "machine", "out_sets", "run"]

_FPR = 0.05


def run(
    name: str,
    model: Any,
    *,
    data_home: str | None,
    n_importance_samples: int,
    minutes: float | None,
    n_train: int | None,
    n_test: int | None,
) -> dict[str, Any]:
    """One seed: everything that the table and the JSON file show.

    The last tenth of the training rows calibrates; for "max", half of it is the reference and the
    other half sets the threshold.
    """
    X = datasets.load(name, "train", data_home)[0][:n_train]
    X_test = datasets.load(name, "test", data_home)[0][:n_test]
    n_calibration = len(X) // 10
    X_train, X_calibration = X[:-n_calibration], X[-n_calibration:]

    if minutes:
        model.set_params(max_epochs=epochs_within(minutes, model, X_train))
    start = clock()
    model.fit(X_train)
    seconds_fit = clock() - start
    result: dict[str, Any] = {
        "seconds_fit": seconds_fit,
        "epochs": model.n_iter_,
        "n_parameters": sum(p.numel() for p in model.network_.parameters()),
        "bound": model.history_["bound"][-1],
        "kl": model.history_["kl"][-1],
        "active_units": model.history_["active_units"][-1],
    }
    out = {other: X for other, X in out_sets(name, X_test, data_home, n_test)}
    for n_samples in sorted({1, n_importance_samples}):
        start = time.perf_counter()
        bounds_test = model.bounds(X_test, n_importance_samples=n_samples)
        rate = len(X_test) / (time.perf_counter() - start)
        bounds = {
            "calibration": model.bounds(X_calibration, n_importance_samples=n_samples),
            "train": model.bounds(X_train[: len(X_test)], n_importance_samples=n_samples),
        }
        bounds |= {o: model.bounds(X, n_importance_samples=n_samples) for o, X in out.items()}
        result[f"S={n_samples}"] = {
            "images_per_second": rate,
            **_evaluate(bounds_test, bounds, list(out)),
        }
    return result


def epochs_within(minutes: float, model: Any, X: NDArray[Any]) -> int:
    """How many epochs take so long, judged by a few on some of the rows."""
    some = X[: max(300, len(X) // 10)]  # fewer make a single step
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", skood.CollapseWarning)
        for n_epochs in (1, 1, 3):  # the first fit of all is slow
            start = clock()
            clone(model).set_params(max_epochs=n_epochs).fit(some)
            seconds.append(clock() - start)
    per_epoch = (seconds[2] - seconds[1]) / 2 * len(X) / len(some)
    return max(1, round(60 * minutes / per_epoch))


def clock() -> float:
    """Seconds of a machine that does nothing else: what other programs take does not count."""
    if torch.cuda.is_available():
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()


def out_sets(
    name: str, X_test: NDArray[Any], data_home: str | None, n_test: int | None
) -> Iterator[tuple[str, NDArray[Any]]]:
    """The test split of every other data set with images of the same shape."""
    for other in datasets.available(data_home):
        if other != name:
            X = datasets.load(other, "test", data_home)[0][:n_test]
            if X.shape[1:] == X_test.shape[1:]:
                yield other, X


def _scores(
    bounds_and_nll: tuple[NDArray[Any], NDArray[Any]], reference: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """Every score by its name in the table; the higher, the more OOD."""
    bounds, nll = bounds_and_nll
    scores = {"L": -bounds[0]}
    scores |= {f"L>{k}": -bounds[k] for k in range(1, len(bounds))}
    if len(bounds) > 1:
        ratios = likelihood_ratios(bounds)
        scores |= {f"LLR>{k}": ratio for k, ratio in enumerate(ratios, start=1)}
        scores["ada"] = adaptive_likelihood_ratio(bounds, nll)
        scores["opt"] = optimal_likelihood_ratio(bounds, nll)
        scores["max"] = most_significant_ratio(ratios, reference)
    return scores


def _evaluate(test: Any, others: dict[str, Any], out_names: list[str]) -> dict[str, Any]:
    half = others["calibration"][0].shape[1] // 2
    reference = likelihood_ratios(others["calibration"][0][:, :half])
    in_scores = _scores(test, reference)
    train_scores = _scores(others["train"], reference)
    calibration = _scores(others["calibration"], reference)
    if "max" in calibration:
        calibration["max"] = calibration["max"][half:]
    evaluation: dict[str, Any] = {"out": {}, "train_test_auroc": {}, "measured_fpr": {}}
    for score, values in in_scores.items():
        evaluation["train_test_auroc"][score] = metrics.auroc(train_scores[score], values)
        offset = threshold(-calibration[score], _FPR)
        evaluation["measured_fpr"][score] = float(np.mean(-values < offset))
    for name in out_names:
        out_scores = _scores(others[name], reference)
        evaluation["out"][name] = {
            score: metrics.summary(values, out_scores[score]) for score, values in in_scores.items()
        }
    return evaluation


def average(values: list[Any]) -> Any:
    """The results of several seeds as one, each number as [mean, standard deviation]."""
    first = values[0]
    if isinstance(first, dict):
        return {key: average([value[key] for value in values]) for key in first}
    if isinstance(first, list):
        return [average(list(entries)) for entries in zip(*values, strict=True)]
    return [float(np.mean(values)), float(np.std(values))]


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "skood": skood.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
