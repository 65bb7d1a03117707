"""The pictures of `mnemos bench weights` and `weights-sequence`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnemos.bench.plots import PALETTE, new_figure, tidy
from mnemos.bench.registry import Result


def plot(result: Result, path: Path) -> Path:
    """Draw what is known of one document against what is left of old facts, a panel for each size; return the path.

    Raises MnemosError when matplotlib is not installed.
    """
    figure = new_figure(6 * len(result["one"]), 4.8)
    axes = figure.subplots(1, len(result["one"]), squeeze=False)[0]
    for axis, (facts, methods) in zip(axes, result["one"].items(), strict=True):
        _scatter(axis, methods, f"one document of {facts} facts")
    figure.savefig(str(path), dpi=90)
    return path


def plot_sequence(result: Result, path: Path) -> Path:
    """Draw what is known by the number of documents, of them and of old facts; return the path."""
    figure = new_figure(11, 4.6)
    names = list(dict.fromkeys(name for row in result["sequence"].values() for name in row))
    for axis, measure, title in zip(
        figure.subplots(1, 2), ("recall", "old"), ("facts of all documents", "old facts"), strict=True
    ):
        for i, name in enumerate(names):
            rows = {int(n): row[name] for n, row in result["sequence"].items() if name in row}
            means = [row[measure]["mean"] for row in rows.values()]
            axis.plot(list(rows), means, color=PALETTE[i], marker="o", ms=4, lw=1.5, label=name)
        axis.set_title(f"{title} known", fontsize=10, loc="left")
        axis.set_xlabel("documents learned one after another")
        axis.set_ylim(-0.03, 1.05)
        tidy(axis)
    figure.legend(*axis.get_legend_handles_labels(), fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    figure.savefig(str(path), dpi=90)
    return path


def _scatter(axis: Any, methods: Result, title: str) -> None:
    shown = {name: row for name, row in methods.items() if name != "nothing"}
    marks = "osD^v<>PX*hpd8"
    for i, (name, row) in enumerate(shown.items()):
        at = row["old"]["mean"], row["recall"]["mean"]
        axis.scatter(*at, color=PALETTE[i % len(PALETTE)], marker=marks[i % len(marks)], s=42, label=name, alpha=0.8)
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xlabel("old facts known")
    axis.set_ylabel("facts of the document known")
    axis.set_xlim(-0.03, 1.05)
    axis.set_ylim(-0.03, 1.05)
    axis.legend(fontsize=7, frameon=False, loc="lower left")
    tidy(axis)
