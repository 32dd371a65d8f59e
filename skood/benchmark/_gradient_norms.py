"""Gradient norms against the likelihood, after several numbers of epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from skood import GradientNorm, Likelihood, Typicality, datasets, metrics
from skood.benchmark._covariance import explain_mahalanobis
from skood.benchmark._made import made_sets
from skood.benchmark._run import clock, epochs_within, out_sets
from skood.core.protocols import InvertibleNetwork
from skood.scores.gradient_norms import COMBINATIONS

__all__ = ["gradient_norm_table", "run_gradient_norms"]

GROUP_SIZE = 5
_MADE_UP = ("uniform noise", "inverted", "turned 90")
# Besides the default.
_TARGETS: dict[str, dict[str, Any]] = {
    ", log p": {"target": "log_likelihood"},
    ", latents": {"target": "latent_sum"},
}
# On the trained model only.
_VARIANTS: dict[str, dict[str, Any]] = {
    ", modules": {"layers": "module"},
    ", diagonal": {"fisher": "diagonal"},
}


def run_gradient_norms(
    name: str,
    model: Any,
    *,
    data_home: str | None,
    minutes: float | None,
    n_train: int | None,
    n_test: int | None,
    made_up: bool,
) -> dict[str, Any]:
    """One seed: AUROC of rows and of groups of five, for every score and kept epoch.

    The last sixth of the training rows calibrates.
    """
    X = datasets.load(name, "train", data_home)[0][:n_train]
    n_calibration = len(X) // 6
    X_train, X_calibration = X[:-n_calibration], X[-n_calibration:]
    X_test = datasets.load(name, "test", data_home)[0][:n_test]
    out = dict(out_sets(name, X_test, data_home, n_test))
    if made_up:
        made = made_sets(X_test)
        out |= {kind: made[kind] for kind in _MADE_UP}
    if minutes:
        model.set_params(max_epochs=epochs_within(minutes, model, X_train))
    start = clock()
    model.fit(X_train)
    result: dict[str, Any] = {
        "seconds_fit": clock() - start,
        "epochs": model.n_iter_,
        "n_parameters": sum(p.numel() for p in model.network_.parameters()),
    }
    sets = X_calibration, X_test, out
    for epoch in model.snapshots_:
        result[f"epoch {epoch}"] = _evaluate(model.at_epoch(epoch), *sets)
    result["trained"] = _evaluate(model, *sets, variants=_VARIANTS)
    return result


def _evaluate(
    model: Any,
    X_calibration: NDArray[Any],
    X_test: NDArray[Any],
    out: dict[str, NDArray[Any]],
    variants: Mapping[str, dict[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "bits_per_dim": {"test": float(np.mean(model.bits_per_dim(X_test)))},
        "scores": {other: {} for other in out},
        "mahalanobis": {other: {} for other in out},
    }
    for other, X in out.items():
        result["bits_per_dim"][other] = float(np.mean(model.bits_per_dim(X)))
    for suffix, detector in _detectors(model, variants):
        detector.fit(X_calibration)
        if isinstance(detector, GradientNorm) and not suffix:
            result["of log p"] = float(detector.target_ == "log_likelihood")
        normal = _scores(detector, X_test)
        rate = float(np.mean(detector.predict(X_test) == -1))
        for other, X in out.items():
            abnormal = _scores(detector, X)
            for name, scores in normal.items():
                auroc = {f"b={b}": metrics.auroc(scores[b], abnormal[name][b]) for b in scores}
                result["scores"][other][f"{name}{suffix}"] = auroc
            if len(normal) == 1:
                result["scores"][other][f"{name}{suffix}"]["measured_fpr"] = rate
            else:
                why = _explain(detector, X_calibration, X_test, X)
                result["mahalanobis"][other][detector.target_] = why
    return result


def _detectors(
    model: Any, variants: Mapping[str, dict[str, Any]]
) -> Iterator[tuple[str, Likelihood | Typicality | GradientNorm]]:
    """What to append to the names of the scores, and the detector."""
    shared: dict[str, Any] = {"model": FrozenEstimator(model), "random_state": 0}
    yield "", Likelihood(n_importance_samples=1, **shared)
    yield "", Typicality(n_importance_samples=1, **shared)
    for suffix, parameters in {"": {}, **_TARGETS, **variants}.items():
        detector = GradientNorm(group_size=GROUP_SIZE, **parameters, **shared)
        if detector.target != "latent_sum" or isinstance(model.network_, InvertibleNetwork):
            yield suffix, detector


def _explain(
    detector: Any, X_calibration: NDArray[Any], X_test: NDArray[Any], X_out: NDArray[Any]
) -> dict[str, float]:
    sets = X_calibration, X_test, X_out
    normal = detector.log_norms_[1]
    reference, inliers, out = (normal.standardise(detector.squared_norms(X)) for X in sets)
    nll = [-detector.model_.score_samples(X) for X in sets]
    repeatability = detector.norms_.repeatability(detector.model_, X_test[:500])
    why = explain_mahalanobis(reference, inliers, out, nll)
    return {"repeatability": repeatability, **why}


def _scores(detector: Any, X: NDArray[Any]) -> dict[str, dict[int, NDArray[np.float64]]]:
    """By name and group size: the detector's own, or every combination of the same norms."""
    scores: dict[str, dict[int, NDArray[np.float64]]] = {}
    for b in (1, GROUP_SIZE):
        groups = X[: len(X) // b * b]
        if getattr(detector, "target", "auto") == "auto":
            found = {type(detector).__name__: detector.group_ood_score(groups, b)}
        else:
            squared, normal = detector.squared_norms(groups, b), detector.log_norms_[b]
            found = {name: combine(squared, normal) for name, combine in COMBINATIONS.items()}
        for name, values in found.items():
            scores.setdefault(name, {})[b] = values
    return scores


def gradient_norm_table(name: str, averaged: dict[str, Any]) -> str:
    """Mean and standard deviation over seeds as text."""
    lines = [
        f"{name} in: fit {averaged['seconds_fit'][0]:.0f} s, {averaged['epochs'][0]:.0f} epochs, "
        f"{averaged['n_parameters'][0]:,.0f} parameters"
    ]
    for label, part in averaged.items():
        if not isinstance(part, dict):
            continue
        bits = part["bits_per_dim"]
        for other, scores in part["scores"].items():
            lines += [
                "",
                f"{label}, {other} out: bits per dimension {bits['test'][0]:.3f} (in), "
                f"{bits[other][0]:.3f} (out)",
                f"{'':<30}{'AUROC b=1':>14}{f'b={GROUP_SIZE}':>14}{'rate at fpr=0.05':>18}",
            ]
            for score, measured in scores.items():
                texts = [f"{mean:.3f} ±{std:.3f}" for mean, std in measured.values()]
                columns = [
                    f"{text:>{width}}" for text, width in zip(texts, (14, 14, 18), strict=False)
                ]
                lines.append(f"  {score:<28}{''.join(columns)}")
            lines.append(f"  GradientNorm is of log p in {part['of log p'][0]:.0%} of the seeds")
            for target, why in part["mahalanobis"][other].items():
                lines.append(f"  norms of the gradient of the {target}:")
                for question, (mean, std) in why.items():
                    lines.append(f"    {question:<28}{mean:>8.3f} ±{std:.3f}")
    return "\n".join(lines)
