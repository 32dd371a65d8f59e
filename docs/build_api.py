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


def page() -> str:
    """The text of docs/api.md."""
    lines = ["# API", "", "`help(name)` shows shapes, units, errors, and paper and equation."]
    listed = set()
    for name, title in MODULES.items():
        module = importlib.import_module(name)
        lines += ["", f"## {title}", "", f"`{name}`", "", "| name | |", "| --- | --- |"]
        for public in module.__all__:
            thing = getattr(module, public)
            if id(thing) in listed:  # exported at the top as well
                continue
            listed.add(id(thing))
            summary = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
            if not callable(thing):
                summary = "A collection of functions."
            lines.append(f"| `{public}` | {summary.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("api.md").write_text(page())
