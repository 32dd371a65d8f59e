"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import skood.models
from skood.benchmark._run import average, machine, run, table
from skood.benchmark._speed import measure_speed

DATASETS = ("fashion_mnist", "mnist", "kmnist", "cifar10", "svhn")


def main() -> None:
    """Parse the arguments, run, print a table."""
    models = {name: getattr(skood.models, name) for name in skood.models.__all__}
    parser = argparse.ArgumentParser(prog="python -m skood.benchmark", description=__doc__)
    parser.add_argument("dataset", choices=[*DATASETS, "speed"], help="normal data; or 'speed'")
    parser.add_argument("--data-home", help="folder with NAME.npz files; see skood.datasets")
    parser.add_argument("--model", choices=models, default="HVAE")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 0 to N-1")
    parser.add_argument("--n-importance-samples", type=int, default=16, metavar="S")
    parser.add_argument("--max-epochs", type=int, help="default: the model's own")
    parser.add_argument("--n-train", type=int, help="only so many training rows")
    parser.add_argument("--n-test", type=int, help="only so many rows of each test set")
    parser.add_argument("--output", type=Path, help="write the numbers to this JSON file")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    log = logging.getLogger("skood.benchmark")

    if arguments.dataset == "speed":
        results = {"machine": machine(), "ratios": measure_speed()}
        log.info(json.dumps(results, indent=1))
    else:
        runs = []
        for seed in range(arguments.seeds):
            model = models[arguments.model](random_state=seed)
            if arguments.max_epochs:
                model.set_params(max_epochs=arguments.max_epochs)
            runs.append(
                run(
                    arguments.dataset,
                    model,
                    data_home=arguments.data_home,
                    n_importance_samples=arguments.n_importance_samples,
                    n_train=arguments.n_train,
                    n_test=arguments.n_test,
                )
            )
            log.info("%s, seed %d of %d", arguments.model, seed, arguments.seeds)
            log.info("%s\n", table(arguments.dataset, average(runs[-1:])))
        if arguments.seeds > 1:
            log.info("mean and standard deviation over %d seeds", arguments.seeds)
            log.info("%s", table(arguments.dataset, average(runs)))
        settings = {key: str(value) for key, value in vars(arguments).items() if key != "data_home"}
        settings.pop("output")
        results = {"machine": machine(), "settings": settings, "seeds": runs}
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
