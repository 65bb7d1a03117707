"""Unlearning on small models, beside models that never learned: `mnemos bench unlearning`.

A tiny decoder knows the facts of a made-up world; all facts of some people are to be forgotten. Each method is measured
beside a model of the same seed that was trained without these facts: how often the facts are still answered, how far the
answers are from that model's (KL), whether losses still give away what was learned (membership), and what else fell. A
carrier that held the facts and is removed stands in the same table.

Two methods forget no list. The curvature edit is to drop recitation and keep text in general, beside a truncated SVD of as
many numbers. Relation neurons are found on some people and switched off for others, beside random ones.

SSD's threshold and the rate of gradient ascent were chosen on the world of seed 100, which no result is of; NPO's rate
was not chosen.
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

ROWS = {  # what a method is called in the table
    "ssd": "ssd (per-sample Fisher)",
    "ssd-batch": "ssd (batch-mean gradients)",
    "random-dampening": "random-dampening",
    "gradient-ascent": "gradient-ascent",
    "gradient-difference": "gradient-ascent (retain=1: gradient difference)",
    "npo": "npo",
    "simnpo": "npo (simple=True: SimNPO)",
    "curvature-edit": "curvature-edit (not told what to forget)",
    "carrier": "carrier removed",
    "before": "nothing was done",
    "never": "never learned",
}


@dataclass(frozen=True)
class Options:
    """How large the world is, and how often it is measured."""

    people: int = 24  # in the world, with four facts each
    forgotten: int = 2  # people whose facts are forgotten
    steps: int = 350  # of the training of a model
    seeds: tuple[int, ...] = (0, 1, 2)  # worlds, each with models of its own
    cache: Path | None = None  # folder of trained models; without it they are trained again


def unlearning(result: Result) -> Rows:
    """Return the distance to never-learned and what else fell, by method."""
    head = [
        "method", "forgotten facts still answered", "KL to never learned, on them", "membership AUC", "kept facts answered",
        "KL to before, on them", "loss of general text", "seconds", "bytes to undo",
    ]  # fmt: skip
    lines: Rows = [head]
    for key, row in result["methods"].items():
        lines.append(
            [
                ROWS[key],
                spread(row["forgotten"], 0, True),
                spread(row["distance"]),
                spread(row["membership"]),
                spread(row["kept"], 1, True),
                spread(row["moved"], 3),
                spread(row["general"], 3),
                f"{fmean(row['seconds']):.1f}" if "seconds" in row else "–",
                f"{fmean(row['nbytes']):,.0f}" if "nbytes" in row else "–",
            ]
        )
    return lines


def recitation(result: Result) -> Rows:
    """Return what the curvature edit and a truncated SVD of as many numbers leave."""
    head = ["kept", "passages recited", "loss of general text", "facts answered"]
    lines: Rows = [head]
    for name, row in result["recitation"].items():
        shares = [spread(row[what], 0, True) for what in ("recited", "facts")]
        lines.append([name, shares[0], spread(row["general"], 3), *shares[1:]])
    return lines


def relations(result: Result) -> Rows:
    """Return the recall of a relation and of others, by how many neurons are switched off."""
    head = ["neurons off", "its facts, of other people", "the same by random neurons", "facts of other relations"]
    lines: Rows = [[*head, "the relation that gained most"]]
    for count, row in result["relations"].items():
        shares = [spread(row[what], 0, True) for what in ("own", "random", "others")]
        lines.append([count, *shares, f"{100 * max(row['gain']):+.0f} points"])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what an unlearner leaves beside its baselines."""
    if entry.form != "parametric" or entry.operation != "forget":
        return None
    if entry.name == "relation-neurons":
        count = list(result["relations"])[-1]
        row = result["relations"][count]
        return Figure(
            f"leaves {percent(fmean(row['own']), 0)} of a relation's facts answered with {count} neurons off",
            {"random neurons": percent(fmean(row["random"]), 0)},
        )
    if entry.name == "curvature-edit":
        name = next(name for name in result["recitation"] if name.startswith("curvature"))
        rows = result["recitation"]
        other = rows[name.replace("curvature", "truncated SVD")]
        return Figure(
            f"leaves {percent(fmean(rows[name]['recited']), 0)} of the passages recited at a loss of "
            f"{fmean(rows[name]['general']):.2f} on general text",
            {"truncated SVD": f"{percent(fmean(other['recited']), 0)} at {fmean(other['general']):.2f}"},
        )
    if entry.name not in result["methods"]:
        return None
    rows = result["methods"]

    def says(name: str) -> str:
        return f"{percent(fmean(rows[name]['forgotten']), 0)} (kept {percent(fmean(rows[name]['kept']), 0)})"

    others = {ROWS[name]: says(name) for name in ("never", *entry.baselines) if name in rows}
    return Figure(f"leaves {says(entry.name)} of the facts answered that were to be forgotten", others)


def problem(result: Result) -> str | None:
    """Return what must not be: a change that was not undone bit for bit."""
    return None if result["undone"] else "a change was not undone bit for bit"


def plot(result: Result, path: Path) -> Path:
    """Draw what is forgotten against what is kept, recitation against general loss, and relation neurons."""
    from mnemos.bench.parametric.unlearning_plot import draw

    return draw(result, ROWS, path)


@benchmark(
    "unlearning",
    help="Unlearning beside models that never learned; recitation and relation neurons.",
    options=Options,
    tables={"unlearning": unlearning, "unlearning-recitation": recitation, "unlearning-relations": relations},
    plot=plot,
    figure=figure,
    problem=problem,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Train the models or find them, and measure every method on every world."""
    from mnemos.bench.parametric.unlearning_runs import measure

    def one(seed: int) -> dict[str, Any]:
        return measure(options.people, options.forgotten, options.steps, seed, options.cache)

    found = each_seed(options.seeds, one, progress)
    about = {"people": options.people, "forgotten": options.forgotten, "steps": options.steps, "seeds": options.seeds}
    undone = all(found.pop("undone"))
    return {**about, "model": "tiny decoder like Llama, 3 layers, width 64", "undone": undone, **found}
