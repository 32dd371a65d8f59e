"""Tables and summary of the suite as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, TypeAlias

import numpy as np
from scipy.stats import rankdata

from skood.benchmark._run import average

__all__ = ["in_set_tables", "suite_summary", "summarise"]

_WIDTH, _LABEL_WIDTH, _MOST_COLUMNS = 10, 24, 9
_MEASURES = {
    "AUROC, rows": ("rows", "auroc"),
    "AUROC, groups": ("groups", "auroc"),
    "AUPRC, rows": ("rows", "auprc"),
    "AUPRC, groups": ("groups", "auprc"),
    "flagged": ("rows", "flagged"),
}
# A row for each detector.
_Table: TypeAlias = "Mapping[str, Mapping[str, float]]"


def in_set_tables(name: str, result: Mapping[str, Any]) -> str:
    """Everything about one normal data set: means over the seeds."""
    averaged, absent = _averaged(result["runs"])
    overview = {label: _overview(values) for label, values in averaged.items()}
    lines = _table_lines(f"{name} in, means over the OOD sets", overview)
    for title, (part, measure) in _MEASURES.items():
        table = {label: _column(values, part, measure) for label, values in averaged.items()}
        if measure == "flagged":
            table = {label: table[label] | _plain(averaged[label]) for label in table}
        if any(len(columns) > 1 for columns in table.values()):
            lines += ["", *_table_lines(f"{name} in: {title}", table)]
    lines += ["", *(f"{label} absent: {why}" for label, why in absent.items())]
    return "\n".join(line.rstrip() for line in lines).rstrip()


def suite_summary(results: Mapping[str, Any]) -> str:
    """For each detector its mean, its worst pair and its mean rank over all pairs."""
    lines = []
    for kind in ("images", "tables"):
        for part in ("rows", "groups"):
            entries = summarise(results, kind, part)
            if entries:
                lines += ["", f"All {kind}, AUROC of {part}", _SUMMARY_HEAD]
                lines += [_summary_line(label, entry) for label, entry in entries.items()]
    return "\n".join(lines).lstrip("\n")


def summarise(results: Mapping[str, Any], kind: str, part: str) -> dict[str, dict[str, Any]]:
    """By detector ``mean``, ``worst``, ``worst_pair``, ``rank`` and ``n_pairs`` of its AUROC.

    Parameters
    ----------
    results : mapping
        What `run_suite` yields, by name.
    kind : {"images", "tables"}
    part : {"rows", "groups"}

    Returns
    -------
    dict
        The best mean rank first. Rank 1 is the best of a pair; detectors that are absent from it
        do not count there.
    """
    pairs = dict(_pairs(results, kind, part))
    ranks = {pair: _ranks(values) for pair, values in pairs.items()}
    entries: dict[str, dict[str, Any]] = {}
    for label in dict.fromkeys(label for values in pairs.values() for label in values):
        own = {pair: values[label] for pair, values in pairs.items() if label in values}
        worst = min(own, key=lambda pair: own[pair])
        entries[label] = {
            "mean": float(np.mean([*own.values()])),
            "worst": own[worst],
            "worst_pair": worst,
            "rank": float(np.mean([ranks[pair][label] for pair in own])),
            "n_pairs": len(own),
        }
    return dict(sorted(entries.items(), key=lambda item: item[1]["rank"]))


_SUMMARY_HEAD = f"{'':<{_LABEL_WIDTH}}{'mean':>8}{'rank':>8}{'pairs':>7}{'worst':>8}   worst pair"


def _summary_line(label: str, entry: Mapping[str, Any]) -> str:
    numbers = f"{entry['mean']:>8.3f}{entry['rank']:>8.1f}{entry['n_pairs']:>7}"
    return f"{label:<{_LABEL_WIDTH}}{numbers}{entry['worst']:>8.3f}   {entry['worst_pair']}"


def _pairs(
    results: Mapping[str, Any], kind: str, part: str
) -> Iterator[tuple[str, dict[str, float]]]:
    """Each "in: out" with the AUROC of every detector."""
    for name, result in results.items():
        if result["kind"] == kind:
            averaged, _ = _averaged(result["runs"])
            tables = {label: _column(values, part, "auroc") for label, values in averaged.items()}
            for out in dict.fromkeys(out for columns in tables.values() for out in columns):
                yield f"{name}: {out}", {label: tables[label][out] for label in tables}


def _ranks(values: Mapping[str, float]) -> dict[str, float]:
    return dict(zip(values, rankdata([-value for value in values.values()]), strict=True))


def _averaged(runs: list[Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Mean and deviation over the seeds by detector; why the others are absent, in any seed."""
    reasons = {label: v["absent"] for run in runs for label, v in run.items() if "absent" in v}
    present = [label for label in runs[0] if label not in reasons]
    return {label: average([run[label] for run in runs]) for label in present}, reasons


def _overview(values: Mapping[str, Any]) -> dict[str, float]:
    means = {
        title: float(np.mean([*_column(values, part, measure).values()]))
        for title, (part, measure) in _MEASURES.items()
        if values[part]
    }
    names = {"FPR": "fpr", "fit, s": "seconds_fit", "rows/s": "rows_per_second"}
    return means | {title: values[name][0] for title, name in names.items()}


def _column(values: Mapping[str, Any], part: str, measure: str) -> dict[str, float]:
    return {out: numbers[measure][0] for out, numbers in values[part].items()}


def _plain(values: Mapping[str, Any]) -> dict[str, float]:
    return {image: flagged[0] for image, flagged in values["plain"].items()}


def _table_lines(title: str, table: _Table) -> list[str]:
    """Lines for the rows, in blocks of so many columns that they fit on a page."""
    names = list(dict.fromkeys(name for columns in table.values() for name in columns))
    lines = [title]
    for start in range(0, len(names), _MOST_COLUMNS):
        block = names[start : start + _MOST_COLUMNS]
        lines += ["", *_head(block)]
        for label, columns in table.items():
            cells = "".join(_cell(columns.get(name)) for name in block)
            lines.append(f"{label:<{_LABEL_WIDTH}}{cells}")
    return lines


def _head(names: list[str]) -> Iterator[str]:
    """Names above their columns, a word below the other."""
    wrapped = [textwrap.wrap(name.replace("_", " "), _WIDTH - 1) for name in names]
    for words in zip_longest(*wrapped, fillvalue=""):
        yield " " * _LABEL_WIDTH + "".join(f"{word:>{_WIDTH}}" for word in words)


def _cell(value: float | None) -> str:
    if value is None:
        return " " * _WIDTH
    return f"{value:>{_WIDTH}.{3 if value < 10 else 0}f}"
