"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import skood
from skood.benchmark._cost import cost_command
from skood.benchmark._gpu import gpu_command
from skood.benchmark._gradient_norms import gradient_norm_table, run_gradient_norms
from skood.benchmark._gradient_speed import measure_gradient_speed
from skood.benchmark._memory import memory_command
from skood.benchmark._regret_speed import measure_regret_speed
from skood.benchmark._report import overview, table
from skood.benchmark._run import average, machine, run
from skood.benchmark._self_reflection import compare_self_reflection
from skood.benchmark._speed import measure_latency, measure_speed
from skood.benchmark._suite_command import suite_command
from skood.benchmark._validity import validity_command

DATASETS = ("fashion_mnist", "mnist", "kmnist", "cifar10", "svhn")
MODELS = {
    name: model
    for name, model in vars(skood.models).items()
    if name in skood.models.__all__ and "max_epochs" in inspect.signature(model).parameters
}
COMMANDS = {
    "suite": suite_command,
    "validity": validity_command,
    "gpu": gpu_command,
    "cost": cost_command,
    "memory": memory_command,
}
OBJECTIVES = {name: getattr(skood.objectives, name) for name in skood.objectives.__all__}


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line, without that of the suite."""
    parser = argparse.ArgumentParser(
        prog="python -m skood.benchmark",
        description=__doc__,
        epilog="'suite --help': all detectors on all data sets; 'validity --help': p-values; "
        "'gpu --help': times and scores on a GPU; 'cost --help': the CPU time of a million rows; "
        "'memory --help': memory and files that do not fit into it.",
    )
    parser.add_argument(
        "dataset",
        choices=[*DATASETS, "self_reflection", "speed"],
        help="normal data; or 'self_reflection': SeReVAE, its twin and HVAE on MNIST; or 'speed'",
    )
    _add_models(parser)
    _add_gradient_norms(parser)
    add = parser.add_argument
    add("--data-home", help="folder with NAME.npz files; see skood.datasets")
    add("--seeds", type=int, default=1, metavar="N", help="seeds 0 to N-1")
    add("--n-importance-samples", type=int, default=16, metavar="S")
    add("--minutes", type=float, help="train each model for about so long")
    add("--max-epochs", type=int, help="default: the model's own")
    add("--n-train", type=int, help="only so many training rows")
    add("--n-test", type=int, help="only so many rows of each test set")
    add("--output", type=Path, help="write the numbers to this JSON file")
    return parser.parse_args(words)


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", choices=MODELS, nargs="+", default=["HVAE"])
    parser.add_argument(
        "--objective",
        choices=["default", *OBJECTIVES],
        nargs="+",
        default=["default"],
        help="each model with each; 'default' is the model's own, an ELBO",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="parameters of the models, such as network=resnet or trainer__optimizer=adamw",
    )


def _add_gradient_norms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gradient-norms", action="store_true", help="GradientNorm instead of the bounds"
    )
    parser.add_argument(
        "--snapshot-epochs",
        type=int,
        nargs="+",
        default=(),
        metavar="N",
        help="with --gradient-norms: evaluate the model after so many epochs as well",
    )
    parser.add_argument(
        "--made-up",
        action="store_true",
        help="with --gradient-norms: noise, inverted and turned images as well",
    )


def main() -> None:
    """Parse the arguments, run, print tables."""
    logging.basicConfig(format="%(message)s")
    log = logging.getLogger("skood.benchmark")
    log.setLevel(logging.INFO)
    words = sys.argv[1:]
    for name in COMMANDS.keys() & set(words):
        words.remove(name)
        COMMANDS[name](words)
        return
    arguments = parse(words)
    if arguments.dataset == "speed":
        results = {"ratios": measure_speed(), "latency": measure_latency()}
        results["gradient_norms"] = measure_gradient_speed()
        results["likelihood_regret"] = measure_regret_speed()
        log.info(json.dumps(results, indent=1))
    elif arguments.dataset == "self_reflection":
        results = compare_self_reflection(
            arguments.data_home,
            minutes=arguments.minutes or 10,
            n_importance_samples=arguments.n_importance_samples,
            n_train=arguments.n_train,
            n_test=arguments.n_test,
            seeds=arguments.seeds,
        )
    else:
        results = {"runs": _run_all(arguments, log)}
    settings = {key: str(value) for key, value in vars(arguments).items() if value is not None}
    settings = {key: settings[key] for key in settings if key not in ("data_home", "output")}
    if arguments.output:
        results = {"machine": machine(), "settings": settings, **results}
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")


def _run_all(arguments: argparse.Namespace, log: logging.Logger) -> dict[str, list[dict[str, Any]]]:
    """The seeds of each model with each objective."""
    runs = {}
    for name in arguments.model:
        for objective in arguments.objective:
            label = name if objective == "default" else f"{name} {objective}"
            runs[label] = [_run_one(arguments, name, objective, s) for s in range(arguments.seeds)]
            log.info("%s, mean and standard deviation of %d seeds", label, arguments.seeds)
            averaged = average(runs[label])
            if arguments.gradient_norms:
                log.info("%s\n", gradient_norm_table(arguments.dataset, averaged))
            else:
                log.info("%s\n", table(arguments.dataset, averaged, objective))
    if len(runs) > 1 and not arguments.gradient_norms:
        log.info("%s", overview({label: average(seeds) for label, seeds in runs.items()}))
    return runs


def _run_one(arguments: argparse.Namespace, name: str, objective: str, seed: int) -> dict[str, Any]:
    trainer = skood.Trainer(snapshot_epochs=tuple(arguments.snapshot_epochs))
    model = MODELS[name](random_state=seed, trainer=trainer)
    if objective != "default":
        model.set_params(objective=OBJECTIVES[objective]())
    if arguments.max_epochs:
        model.set_params(max_epochs=arguments.max_epochs)
    for setting in arguments.set:
        parameter, value = setting.split("=", 1)
        model.set_params(**{parameter: _literal(value)})
    names = ("data_home", "minutes", "n_train", "n_test")
    shared = {name: getattr(arguments, name) for name in names}
    if arguments.gradient_norms:
        return run_gradient_norms(arguments.dataset, model, made_up=arguments.made_up, **shared)
    n_samples = arguments.n_importance_samples
    return run(arguments.dataset, model, n_importance_samples=n_samples, **shared)


def _literal(value: str) -> object:
    try:
        return ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return value  # a word


if __name__ == "__main__":
    main()
