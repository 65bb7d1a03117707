"""Documents into weights one after another, and one taken out again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.parametric.means import MEASURES, cell, spread
from mnemos.bench.parametric.weights_plot import plot_sequence
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark


@dataclass(frozen=True)
class Options:
    """Sizes and seeds; the model is the small one that the package ships."""

    documents: tuple[int, ...] = (1, 5)  # learned one after another, of four facts each; at most 50
    seeds: int = 3  # of the models and the documents
    strategies: tuple[str, ...] = ()  # of how documents are learned, by name; none: all
    add_to: Path | None = None  # a result: what it has of other strategies and numbers of documents is kept


def table(result: Result) -> Rows:
    """Return what is known of documents that were learned one after another, and what one leaves that is taken out."""
    found: Rows = [
        ["documents", "strategy", "seeds", *MEASURES, "first", "loss", "removed", "others unchanged", "bit-exact", "KB"]
    ]
    for n, strategies in result["sequence"].items():
        for name, row in strategies.items():
            cells = [cell(row[measure]) for measure in (*MEASURES, "first")]
            out = [cell(row[m]) if m in row else "–" for m in ("removed", "unchanged", "bit-exact")]
            seeds = row.get("seeds", result["seeds"])
            found.append(
                [n, name, seeds, *cells, f"{row['loss']['mean']:.3f}", *out, f"{row['bytes']['mean'] / 1e3:.0f}"]
            )
    return found


def problem(result: Result) -> str | None:
    """Return what a memory that is taken out must not leave."""
    rows = [row for strategies in result["sequence"].values() for row in strategies.values() if "bit-exact" in row]
    return None if all(row["bit-exact"]["mean"] == 1 for row in rows) else "the model's weights have changed"


@benchmark(
    "weights-sequence",
    help="Documents into weights one after another: what is known, what else fell, and what is left of one taken out.",
    options=Options,
    tables={"weights-sequence": table},
    plot=plot_sequence,
    problem=problem,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Learn documents one after another by every strategy, with every seed."""
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.parametric import sequence, tiny

    progress.expect(options.seeds)
    runs = []
    with one_thread():
        model, tokenizer = tiny.load()
        for seed in range(options.seeds):
            runs.append(sequence.run(model, tokenizer, options.documents, seed, options.strategies))
            progress(1)
    rows: dict[str, Any] = {str(n): spread([found[n] for found in runs]) for n in options.documents}
    rows = {n: {name: {"seeds": options.seeds} | row for name, row in found.items()} for n, found in rows.items()}
    if options.add_to is not None:
        before = json.loads(options.add_to.read_text(encoding="utf-8"))
        kept = {
            n: {name: {"seeds": before["seeds"]} | row for name, row in found.items()}
            for n, found in before["sequence"].items()
        }
        every = sorted({*kept, *rows}, key=int)
        rows = {n: {**kept.get(n, {}), **rows.get(n, {})} for n in every}
    return {"model": "tiny", "seeds": options.seeds, "chance": 1 / len(tiny.PLACES), "sequence": rows}
