"""Every normal data set against every OOD set, for every detector and the floor."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from skood import VAE, PixelCNN, detectors, metrics
from skood.benchmark._floor import floors
from skood.benchmark._suite_data import InSet, Source
from skood.benchmark._suite_models import SuiteModels

__all__ = ["GROUP_SIZE", "detectors_of", "measure", "run_in_set", "run_suite"]

GROUP_SIZE = 5
_LOG = logging.getLogger("skood.benchmark")
# What the papers have besides: one layer of latents, and an autoregressive model.
_PIXEL_CNN = {" PixelCNN": {"model": PixelCNN()}}
# Classes that are run with other parameters than their defaults, each by what its label says.
_VARIANTS: Mapping[str, dict[str, dict[str, Any]]] = MappingProxyType(
    {
        "HierarchicalLLR": {" k=1": {"k": 1}, " k=ada": {"k": "ada"}, " k=max": {"k": "max"}},
        "GradientNorm": {"": {"group_size": GROUP_SIZE}},
        "WAIC": {"": {}, " VAE, one sample": {"model": VAE(), "n_importance_samples": 1}},
        "BackgroundLikelihoodRatio": {"": {}, **_PIXEL_CNN},
        "InputComplexity": {"": {}, **_PIXEL_CNN},
    }
)


def run_suite(
    source: Source,
    names: Sequence[str],
    *,
    seeds: int,
    max_minutes: float,
    only: Sequence[str] | None = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """After each seed: the normal data set's name, ``kind`` and ``runs`` (`run_in_set`) so far."""
    for name in names:
        runs: list[dict[str, Any]] = []
        for seed in range(seeds):
            in_set = source.load(name, seed)
            _LOG.info("%s, seed %d: %d training rows", name, seed, len(in_set.X_train))
            run = run_in_set(in_set, seed, max_minutes=max_minutes, only=only)
            runs = [*runs, run]
            yield name, {"kind": in_set.kind, "runs": runs}


def run_in_set(
    in_set: InSet, seed: int, *, max_minutes: float, only: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """What `measure` says of every detector and of the floor, by label.

    A detector that refuses the data has the reason as ``absent``, and nothing else.
    """
    models = SuiteModels(in_set.X_train, seed=seed, max_minutes=max_minutes)
    results = {}
    for label, detector in {**detectors_of(seed, only), **floors(in_set.X_train, seed)}.items():
        start = time.perf_counter()
        try:
            results[label] = _fit_and_measure(detector, in_set, models)
        except ValueError as refusal:
            results[label] = {"absent": str(refusal)}
        _LOG.info("  %s: %.0f s", label, time.perf_counter() - start)
    return results


def detectors_of(seed: int, only: Sequence[str] | None = None) -> dict[str, Any]:
    """The public detectors, unfitted, by label: all of them, or only these classes."""
    found = {}
    for name in detectors.__all__ if only is None else only:
        for suffix, parameters in _VARIANTS.get(name, {"": {}}).items():
            found[name + suffix] = clone(getattr(detectors, name)(random_state=seed, **parameters))
    return found


def _fit_and_measure(detector: Any, in_set: InSet, models: SuiteModels) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few rows, or epochs: the numbers show it
        seconds = models.fit(detector)
        start = time.perf_counter()
        detector.ood_score(in_set.X_test)
        rate = len(in_set.X_test) / (time.perf_counter() - start)
        with models.remembering():
            measures = measure(detector, in_set)
    return {"seconds_fit": seconds, "rows_per_second": rate, **measures}


def measure(detector: Any, in_set: InSet) -> dict[str, Any]:
    """A fitted detector against every OOD set.

    Returns
    -------
    dict
        ``fpr``, the part of normal test rows that is flagged; ``rows``, with
        ``auroc``, ``auprc`` and the part ``flagged`` for each OOD set; ``groups``, with the first
        two for groups of five; ``plain``, whether each single image is flagged.
    """
    inside = detector.ood_score(in_set.X_test)
    outside = {name: detector.ood_score(X) for name, X in in_set.out.items()}
    rows = {
        name: {**_areas(inside, scores), "flagged": _flagged(detector, scores)}
        for name, scores in outside.items()
    }
    plain = {name: _flagged(detector, detector.ood_score(X)) for name, X in in_set.plain.items()}
    return {
        "fpr": _flagged(detector, inside),
        "rows": rows,
        "groups": _measure_groups(detector, in_set),
        "plain": plain,
    }


def _measure_groups(detector: Any, in_set: InSet) -> dict[str, dict[str, float]]:
    """AUROC and AUPRC of groups, for the OOD sets with enough rows for one."""
    sets = {"": in_set.X_test, **in_set.out}
    whole = {name: X[: len(X) // GROUP_SIZE * GROUP_SIZE] for name, X in sets.items()}
    scores = {name: detector.group_ood_score(X, GROUP_SIZE) for name, X in whole.items() if len(X)}
    inside = scores.pop("", None)
    return {} if inside is None else {name: _areas(inside, out) for name, out in scores.items()}


def _areas(inside: NDArray[Any], outside: NDArray[Any]) -> dict[str, float]:
    return {
        "auroc": metrics.auroc(inside, outside),
        "auprc": metrics.auprc(inside, outside),
    }


def _flagged(detector: Any, scores: NDArray[Any]) -> float:
    """Part of the rows that ``predict`` calls -1: it would compute the scores again."""
    return float(np.mean(-scores - detector.offset_ < 0))
