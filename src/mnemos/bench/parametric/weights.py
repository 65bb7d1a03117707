"""One document into weights: what is known afterwards and what else fell, by carrier, budget and recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnemos.bench.parametric.means import MEASURES, cell, spread
from mnemos.bench.parametric.weights_plot import plot
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry


@dataclass(frozen=True)
class Options:
    """Sizes and seeds; the model is the small one that the package ships."""

    facts: tuple[int, ...] = (8, 16)  # of the document
    seeds: int = 3  # documents of each size


def table(result: Result) -> Rows:
    """Return what is known of one document, and what else fell, by method."""
    found: Rows = [["facts", "method", *MEASURES, "loss", "KB", "s a fact", "steps"]]
    for facts, methods in result["one"].items():
        for name, row in methods.items():
            cost = f"{row['seconds']['mean'] / int(facts):.2f}" if "seconds" in row else "–"
            size = f"{row['bytes']['mean'] / 1e3:.1f}" if "bytes" in row else "–"
            steps = f"{row['steps']['mean']:.0f}" if "steps" in row else "–"
            cells = [cell(row[measure]) for measure in MEASURES]
            found.append([facts, name, *cells, f"{row['loss']['mean']:.3f}", size, cost, steps])
    return found


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what the table says of a carrier."""
    facts, methods = list(result["one"].items())[-1]
    rows = {"adapter": ("adapter", "plain LoRA"), "cartridge": ("cartridge, 16 tokens", "PEFT CARTRIDGE")}
    if entry.form != "parametric" or entry.name not in rows:
        return None
    own, other = rows[entry.name]

    def said(row: Result) -> str:
        return f"{row['recall']['mean']:.2f} / {row['old']['mean']:.2f} / {row['in context']['mean']:.2f}"

    return Figure(
        f"recalls {facts} facts / keeps old facts / reads its context: {said(methods[own])}",
        {other: said(methods[other])},
    )


@benchmark(
    "weights",
    help="One document into the weights of a small model: what is known, and what else fell, by carrier and recipe.",
    options=Options,
    tables={"weights": table},
    plot=plot,
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Learn documents alone, by every method and with every seed."""
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.parametric import one_document, tiny

    progress.expect(options.seeds * len(options.facts))
    one: dict[str, Any] = {}
    with one_thread():
        model, tokenizer = tiny.load()
        for facts in options.facts:
            runs = []
            for seed in range(options.seeds):
                runs.append(one_document.run(model, tokenizer, facts, seed))
                progress(1)
            one[str(facts)] = spread(runs)
    size = sum(p.numel() for p in model.parameters())
    return {"model": "tiny", "parameters": size, "seeds": options.seeds, "one": one}
