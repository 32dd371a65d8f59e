"""Write docs/api.md: every public name of skood, found by walking the package."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

MODULES = {
    "skood.detectors": "Detectors",
    "skood.models": "Models",
    "skood.objectives": "Objectives",
    "skood.monitoring": "Watching a stream",
    "skood.martingales": "Sequential tests of a stream",
    "skood": "Training, and what can go wrong",
    "skood.scores.bounds": "Bounds, from log importance weights",
    "skood.scores.ratios": "Likelihood ratios, from bounds",
    "skood.scores.likelihood_floor": "Likelihood ratios of rows far out",
    "skood.scores.ensembles": "Scores from the likelihoods of several models",
    "skood.scores.goodness_of_fit": "Goodness of fit of the values of a row",
    "skood.scores.gradient_norms": "Scores from gradient norms",
    "skood.scores.combination": "Scores from the evidence of several detectors",
    "skood.scores.complexity": "Complexity of images",
    "skood.scores.density": "Log density of scores",
    "skood.scores.survival": "Log survival function of scores",
    "skood.calibration": "Thresholds and p-values",
    "skood.metrics": "Metrics",
    "skood.datasets": "Data sets",
    "skood.plotting": "Pictures",
    "skood.testing": "For writing models and detectors",
}


def public_names() -> dict[str, list[str]]:
    """For each module its public names, but for those of a module before it."""
    names: dict[str, list[str]] = {}
    listed = set()
    for module in MODULES:
        home = importlib.import_module(module)
        things = {name: id(getattr(home, name)) for name in home.__all__}
        new = [name for name, thing in things.items() if thing not in listed]
        names[module] = sorted(new, key=str.casefold)
        listed.update(things.values())
    return names


def page_names() -> set[str]:
    """Names of the pages in docs/generated: one for each public name."""
    return {f"{module}.{name}" for module, names in public_names().items() for name in names}


def page() -> str:
    """The text of docs/api.md."""
    lines = ["# API", "", "`help(name)` shows shapes, units, errors, and paper and equation."]
    for module, names in public_names().items():
        lines += ["", f"## {MODULES[module]}", "", f"`{module}`", "", "| name | |", "| --- | --- |"]
        for name in names:
            thing = getattr(importlib.import_module(module), name)
            summary = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
            if not callable(thing):
                summary = "A collection of functions."
            lines.append(f"| `{name}` | {summary.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("api.md").write_text(page())
