"""The numbers as text."""

from __future__ import annotations

from typing import Any

from skood.benchmark._papers import INFORMATIVE, PAPERS, Numbers

__all__ = ["overview", "table"]

METRICS = ("auroc", "auprc", "fpr80")


def table(name: str, averaged: dict[str, Any], objective: str = "default") -> str:
    """The averaged results as text, beside those of the paper that has this objective."""
    papers = INFORMATIVE if objective == "InformativeELBO" else PAPERS
    seconds, epochs = averaged["seconds_fit"][0], averaged["epochs"][0]
    lines = [
        f"{name} in: fit {seconds:.0f} s, {epochs:.0f} epochs, "
        f"held-out bound {averaged['bound'][0]:.1f} nats, "
        f"KL per layer {', '.join(f'{kl[0]:.1f}' for kl in averaged['kl'])}",
    ]
    for samples in [key for key in averaged if key.startswith("S=")]:
        part = averaged[samples]
        lines += ["", f"{samples}, scoring {part['images_per_second'][0]:.0f} images/s"]
        for out, scores in part["out"].items():
            lines.append(f"{out + ' out':<22}{'AUROC':>14}{'AUPRC':>14}{'FPR80':>14}   paper")
            for score, measured in scores.items():
                numbers = "".join(f"{_mean_std(measured[metric]):>14}" for metric in METRICS)
                lines.append(f"  {score:<20}{numbers}   {_paper(papers, name, out, score)}")
        lines.append(f"{'train against test':<22}{'AUROC':>14}{'rate at fpr=0.05':>22}")
        for score, auroc in part["train_test_auroc"].items():
            rate = _mean_std(part["measured_fpr"][score])
            lines.append(f"  {score:<20}{_mean_std(auroc):>14}{rate:>22}")
    return "\n".join(lines)


def _mean_std(mean_std: list[float]) -> str:
    mean, std = mean_std
    return f"{mean:.3f} ±{std:.3f}"


def _paper(papers: Numbers, name: str, out: str, score: str) -> str:
    if (name, out, score) not in papers:
        return ""
    source, *numbers = papers[name, out, score]
    return f"{' '.join(f'{number:.3f}' for number in numbers)} ({source})"


def overview(averaged: dict[str, dict[str, Any]]) -> str:
    """AUROC of every score of every model, one line for each model."""
    lines = []
    first = next(iter(averaged.values()))
    for samples in [key for key in first if key.startswith("S=")]:
        for out in first[samples]["out"]:
            parts = {label: result[samples]["out"][out] for label, result in averaged.items()}
            columns = list(dict.fromkeys(score for part in parts.values() for score in part))
            columns = [c for c in columns if not c.startswith("L>")]
            head = "".join(f"{column:>7}" for column in columns)
            lines += [
                "",
                f"{samples}, {out} out: AUROC",
                f"{'':<26}{'bound':>8}{head}   KL per layer",
            ]
            for label, part in parts.items():
                line = f"{label:<26}{averaged[label]['bound'][0]:>8.1f}"
                for column in columns:
                    line += f"{part[column]['auroc'][0]:>7.3f}" if column in part else f"{'':>7}"
                kl = " ".join(f"{layer[0]:.1f}" for layer in averaged[label]["kl"])
                lines.append(f"{line}   {kl}")
    return "\n".join(lines)
