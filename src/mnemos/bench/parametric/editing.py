"""Facts edited in a model's weights: `mnemos bench editing`.

Tiny decoders like Llama and like GPT-2 know the facts of a made-up world by heart; some facts are changed to other values,
all at once, and the model is asked after all of them, by greedy answers: the edited facts (reliability), the same in two
other wordings (paraphrase), and all other facts, which are to be answered as before (locality, against the answers that the
original gave). Names are whole tokens here. ROME and MEMIT write at the last token of the prompt: at the subject, where
their papers write, decoders of three layers cannot be moved, since they look facts up at the end. `mnemos bench
editing-real` does the same to a real decoder.

Settings were chosen on the world of seed 100, which no result is of.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.parametric.by_seed import each_seed, spread
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry

WHAT = ("reliability", "paraphrase", "locality")


@dataclass(frozen=True)
class Options:
    """What is edited."""

    counts: tuple[int, ...] = (1, 4, 16)  # facts edited at once
    seeds: tuple[int, ...] = (0, 1, 2)  # worlds, each with models of its own
    steps: int = 300  # of the training of a model
    cache: Path | None = None  # folder of trained models; without it they are trained again


def tiny(result: Result) -> Rows:
    """Return how editors fare on tiny models, by the number of edits."""
    lines: Rows = [["model", "edits", "editor", *WHAT, "seconds an edit", "bytes to undo, of those changed"]]
    for family, counts in result["tiny"].items():
        for count, rows in counts.items():
            for name, row in rows.items():
                shares = [spread(row[what], 0, True) for what in WHAT]
                lines.append([family, count, name, *shares, *costs(row)])
    return lines


def costs(row: Result) -> list[str]:
    """Return the cells of seconds and bytes."""
    return [f"{fmean(row['seconds']):.1f}", percent(fmean(row["held"]), 0)]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return how an editor fares beside its baselines, with the most edits on the model like Llama."""
    if entry.form != "parametric" or entry.operation != "update":
        return None
    count, rows = list(result["tiny"]["llama"].items())[-1]
    if entry.name not in rows:
        return None

    def says(name: str) -> str:
        return " / ".join(percent(fmean(rows[name][what]), 0) for what in WHAT)

    others = {name: says(name) for name in entry.baselines}
    return Figure(f"{says(entry.name)} reliability / paraphrase / locality after {count} edits", others)


def problem(result: Result) -> str | None:
    """Return what must not be: a change that was not undone bit for bit."""
    return None if result["undone"] else "a change was not undone bit for bit"


def plot(result: Result, path: Path) -> Path:
    """Draw reliability, paraphrase and locality by the number of edits."""
    from mnemos.bench.plots import PALETTE, new_figure, tidy

    families = result["tiny"]
    figure = new_figure(12, 3.4 * len(families))
    axes = figure.subplots(len(families), len(WHAT), squeeze=False)
    for line, (family, counts) in zip(axes, families.items(), strict=True):
        for axis, what in zip(line, WHAT, strict=True):
            for colour, name in zip(PALETTE, next(iter(counts.values())), strict=False):
                values = [fmean(rows[name][what]) for rows in counts.values()]
                axis.plot([int(count) for count in counts], values, "o-", color=colour, ms=4, label=name)
            axis.set_title(f"{what}, like {family}", fontsize=10, loc="left")
            axis.set_xlabel("edits at once")
            axis.set_ylim(-0.03, 1.03)
            tidy(axis)
    axes[0][0].legend(fontsize=7, frameon=False)
    figure.savefig(str(path), dpi=90)
    return path


@benchmark(
    "editing",
    help="Facts edited in weights: reliability, paraphrase and locality after all edits, by greedy answers.",
    options=Options,
    tables={"editing": tiny},
    plot=plot,
    figure=figure,
    problem=problem,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Edit the models by every method."""
    from mnemos.bench.parametric import editing_runs

    def one(seed: int) -> dict[str, Any]:
        return editing_runs.measure(options.counts, options.steps, seed, options.cache)

    found = each_seed(options.seeds, one, progress)
    undone = all(found.pop("undone"))
    model = "tiny decoders of 3 layers, width 64"
    return {"counts": options.counts, "seeds": options.seeds, "small_model": model, "undone": undone, **found}
