"""What self-reflection is worth: log-likelihoods on dynamically binarised MNIST."""

from __future__ import annotations

import logging
from bisect import bisect_left
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skood import ELBO, HVAE, SeReVAE, datasets
from skood.benchmark._run import clock, epochs_within
from skood.core.row_spec import RowSpec
from skood.core.rows import check_rows

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
    flat, flat_test = (rows.reshape(len(rows), -1) / np.float32(255) for rows in (X, X_test))
    target = _n_parameters(SeReVAE(), X)
    plain = ELBO(free_bits=0.0)  # a floor costs likelihood, and SeReVAE has none
    perceptrons = HVAE((64, 32, 16, 8, 4), likelihood="bernoulli", objective=plain)
    models: dict[str, tuple[Any, NDArray[Any], NDArray[Any]]] = {
        "SeReVAE": (SeReVAE(), X, X_test),
        "independent twin": (_as_large(SeReVAE(self_reflective=False), target, X), X, X_test),
        "HVAE, perceptrons": (_as_large(perceptrons, target, flat), flat, flat_test),
        "HVAE": (_as_large(HVAE(objective=plain), target, X), X, X_test),
    }
    log = logging.getLogger("skood.benchmark")
    results: dict[str, Any] = {name: [] for name in models}
    for seed in range(seeds):
        for name, (model, rows, test) in models.items():
            model.set_params(random_state=seed)
            model.set_params(max_epochs=epochs_within(minutes, model, rows))
            start = clock()
            model.fit(rows)
            seconds = clock() - start
            scores = model.score_samples(test, n_importance_samples=n_importance_samples)
            result = {
                "width": model.width,
                "n_parameters": _n_parameters(model, rows),
                "epochs": model.n_iter_,
                "seconds_fit": seconds,
                "bound": model.score(test),
                "log_likelihood": float(np.mean(scores)),
                "kl": model.history_["kl"][-1],
            }
            results[name].append(result)
            log.info("seed %d, %s: %s", seed, name, result)
    return {"models": results}


def _as_large(model: Any, target: int, X: NDArray[Any]) -> Any:
    """The model with the smallest width at which it has ``target`` parameters."""
    widths = range(8, 1025)
    size = bisect_left(widths, target, key=lambda w: _n_parameters(model.set_params(width=w), X))
    return model.set_params(width=widths[size])


def _n_parameters(model: Any, X: NDArray[Any]) -> int:
    spec = RowSpec.of(check_rows(model, X[:500], reset=True))
    return sum(p.numel() for p in model._build_network(spec).parameters())
