"""Gradient norms against the likelihood, after several numbers of epochs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skood import GradientNorm, Likelihood, Trainer, Typicality, datasets, metrics
from skood.benchmark._run import clock, epochs_within, out_sets

__all__ = ["gradient_norm_table", "run_gradient_norms"]

GROUP_SIZE = 5


def run_gradient_norms(
    name: str,
    model: Any,
    *,
    data_home: str | None,
    snapshot_epochs: tuple[int, ...],
    minutes: float | None,
    n_train: int | None,
    n_test: int | None,
) -> dict[str, Any]:
    """One seed: AUROC of rows and of groups of five, for every score and kept epoch.

    The last sixth of the training rows calibrates.
    """
    X = datasets.load(name, "train", data_home)[0][:n_train]
    n_calibration = len(X) // 6
    X_train, X_calibration = X[:-n_calibration], X[-n_calibration:]
    X_test = datasets.load(name, "test", data_home)[0][:n_test]
    out = dict(out_sets(name, X_test, data_home, n_test))
    model.set_params(trainer=Trainer(snapshot_epochs=snapshot_epochs))
    if minutes:
        model.set_params(max_epochs=epochs_within(minutes, model, X_train))
    start = clock()
    model.fit(X_train)
    result: dict[str, Any] = {
        "seconds_fit": clock() - start,
        "epochs": model.n_iter_,
        "n_parameters": sum(p.numel() for p in model.network_.parameters()),
    }
    models = {f"epoch {epoch}": model.at_epoch(epoch) for epoch in model.snapshots_}
    models["trained"] = model
    for label, fitted in models.items():
        result[label] = _evaluate(fitted, X_calibration, X_test, out)
    return result


def _detectors(model: Any) -> Iterator[tuple[str, Any]]:
    yield "NLL", Likelihood(n_importance_samples=1)
    yield "typicality", Typicality(n_importance_samples=1)
    targets = ("log_likelihood", "latent_sum")[: 1 if model.network_.n_layers else 2]
    for target in targets:
        for combine in ("one-sided", "gaussian", "mahalanobis"):
            label = combine if target == "log_likelihood" else f"{combine}, latents"
            options = {"combine": combine, "target": target, "group_size": GROUP_SIZE}
            yield label, GradientNorm(**options)


def _evaluate(
    model: Any, X_calibration: NDArray[Any], X_test: NDArray[Any], out: dict[str, NDArray[Any]]
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "bits_per_dim": {"test": float(np.mean(model.bits_per_dim(X_test)))},
        "scores": {other: {} for other in out},
    }
    for other, X in out.items():
        result["bits_per_dim"][other] = float(np.mean(model.bits_per_dim(X)))
    for label, detector in _detectors(model):
        detector = clone(detector).set_params(model=FrozenEstimator(model), random_state=0)
        start = clock()
        detector.fit(X_calibration)
        rate = len(X_calibration) / (clock() - start)
        normal = {b: _scores(detector, X_test, b) for b in (1, GROUP_SIZE)}
        for other, X in out.items():
            auroc = {b: metrics.auroc(normal[b], _scores(detector, X, b)) for b in normal}
            result["scores"][other][label] = {
                "b=1": auroc[1],
                f"b={GROUP_SIZE}": auroc[GROUP_SIZE],
                "measured_fpr": float(np.mean(-normal[1] < detector.offset_)),
                "rows_per_second_in_fit": rate,
            }
    return result


def _scores(detector: Any, X: NDArray[Any], group_size: int) -> NDArray[np.float64]:
    return detector.group_ood_score(X[: len(X) // group_size * group_size], group_size)


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
                f"{'':<24}{'AUROC b=1':>14}{f'b={GROUP_SIZE}':>14}{'rate at fpr=0.05':>18}",
            ]
            for score, measured in scores.items():
                columns = [measured[key] for key in ("b=1", f"b={GROUP_SIZE}", "measured_fpr")]
                texts = [f"{mean:.3f} ±{std:.3f}" for mean, std in columns]
                lines.append(f"  {score:<22}{texts[0]:>14}{texts[1]:>14}{texts[2]:>18}")
    return "\n".join(lines)
