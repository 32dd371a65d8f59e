"""What self-reflection is worth: log-likelihoods on dynamically binarised MNIST."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from typing import Any

import numpy as np

from skood import HVAE, SeReVAE, datasets
from skood.benchmark._run import epochs_within

__all__ = ["compare_self_reflection"]


def compare_self_reflection(
    data_home: str | None,
    *,
    minutes: float,
    n_importance_samples: int,
    n_train: int | None,
    n_test: int | None,
    seeds: int,
) -> dict[str, Any]:
    """`SeReVAE`, its independent twin and `HVAE`, each trained equally long.

    The widths of the others are such that they have no fewer parameters than the first.

    Returns
    -------
    dict
        For each model a list with an entry for each seed: the bound and the log-likelihood of the
        test images with ``n_importance_samples``, nats; parameters, epochs, seconds.
    """
    X = datasets.load("mnist", "train", data_home)[0][:n_train]
    X_test = datasets.load("mnist", "test", data_home)[0][:n_test]
    target = _n_parameters(SeReVAE(), X)
    models = {
        "SeReVAE": SeReVAE(),
        "independent twin": _as_large(SeReVAE(self_reflective=False), target, X),
        "HVAE": _as_large(HVAE(), target, X),
    }
    log = logging.getLogger("skood.benchmark")
    results: dict[str, Any] = {name: [] for name in models}
    for seed in range(seeds):
        for name, model in models.items():
            model.set_params(random_state=seed)
            model.set_params(max_epochs=epochs_within(minutes, model, X))
            start = time.perf_counter()
            model.fit(X)
            scores = model.score_samples(X_test, n_importance_samples=n_importance_samples)
            result = {
                "width": model.width,
                "n_parameters": _n_parameters(model, X),
                "epochs": model.n_iter_,
                "seconds_fit": sum(model.history_["seconds"]),
                "seconds": time.perf_counter() - start,
                "bound": model.score(X_test),
                "log_likelihood": float(np.mean(scores)),
                "kl": model.history_["kl"][-1],
            }
            results[name].append(result)
            log.info("seed %d, %s: %s", seed, name, result)
    return {"models": results}


def _as_large(model: Any, target: int, X: np.ndarray) -> Any:
    """The model with the smallest width at which it has ``target`` parameters."""
    widths = range(8, 1025)
    size = bisect_left(widths, target, key=lambda w: _n_parameters(model.set_params(width=w), X))
    return model.set_params(width=widths[size])


def _n_parameters(model: Any, X: np.ndarray) -> int:
    return sum(p.numel() for p in model._build_network(X[:500], "bytes").parameters())
