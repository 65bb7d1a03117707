"""Methods that are trained or calibrated, and memories of streams: `mnemos bench kv-learned`.

- `streams`: vectors in scenes of uneven length; which scenes are found in a memory of a ninth of the items, by a noisy
  copy of what the scene shows: MovieChat (arXiv 2307.16449) against the last items, every n-th, and a random sample.
- `rewoven`: key-value pairs read two segments ago, by a frozen small model with states of several layers woven back
  (Reweave, after arXiv 2502.02046), of the last layer only, and without.
- `explicit`: facts in prose in 10 references that a real model read once (Memory^3, arXiv 2407.01178): the five nearest
  as memories, quantised or not, against their texts pasted.
- `instructions`: 24 instructions that WindowKV's classifier (arXiv 2503.17922) has not learned from, by the token
  embeddings of the real model.
- `roles`: budgets of layers by measured spread of their attention (ScaleKV, arXiv 2505.19602), evenly, as a pyramid, and
  with the roles shuffled: loss on the text that follows, real model, an eighth of the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, Table, benchmark
from mnemos.registry import Entry

FIGURES = {  # method -> its part, its row, the rows it is compared with, and the column
    "moviechat": ("streams", "moviechat", ("last items", "every n-th", "random sample"), "found"),
    "reweave": ("rewoven", "states of all layers", ("states of the last layer", "model alone"), "answered"),
    "memory3": ("explicit", "8 of each head, quantised", ("texts pasted", "nothing"), "answered"),
    "scalekv": ("roles", "by measured spread", ("evenly", "pyramid", "roles shuffled"), "loss"),
}


@dataclass(frozen=True)
class Options:
    """Which parts, on which texts."""

    book: Path  # a book as a text file, for the real model
    model: str = "smollm2"  # folder of a causal model as transformers saves it, or smollm2
    parts: tuple[str, ...] = ("streams", "rewoven", "explicit", "instructions", "roles")  # what to measure
    seed: int = 0  # seed of the trainings and the texts
    add_to: Path | None = None  # an earlier result of the same model and seed, whose other parts are kept


def table(part: str, head: str) -> Table:
    """Return the table of a part."""

    def rows(result: Result) -> Rows:
        found = result["parts"].get(part, {})
        columns = list(next(iter(found.values()), ()))
        lines: Rows = [[head, *(c.replace("_", " ") for c in columns)]]
        return lines + [[name, *(cell(column, row[column]) for column in columns)] for name, row in found.items()]

    return rows


def cell(column: str, value: float) -> str:
    """Return a share in percent, and anything else as a number."""
    shares = column in ("answered", "right", "found", "found_of_short_scenes", "kept")
    return percent(value) if shares else f"{value:g}"


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a method reaches beside what it is compared with."""
    if entry.form != "activation" or entry.name not in FIGURES:
        return None
    part, own, others, column = FIGURES[entry.name]
    if part not in result["parts"]:
        return None
    rows = result["parts"][part]
    verb = {"found": "finds", "answered": "answers", "loss": "has a loss of"}[column]
    return Figure(f"{verb} {cell(column, rows[own][column])}", {o: cell(column, rows[o][column]) for o in others})


@benchmark(
    "kv-learned",
    help="Methods that are trained or calibrated: Reweave, Memory^3, ScaleKV; and MovieChat's memory of streams.",
    options=Options,
    tables={
        "kv-learned-streams": table("streams", "scenes of a stream"),
        "kv-learned-rewoven": table("rewoven", "pairs two segments ago"),
        "kv-learned-explicit": table("explicit", "five memories"),
        "kv-learned-instructions": table("instructions", "24 new instructions"),
        "kv-learned-roles": table("roles", "an eighth of a prompt"),
    },
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each part."""
    from mnemos.bench.kv import learned_parts
    from mnemos.bench.kv.threads import one_thread

    ways: dict[str, Callable[[], Any]] = {
        "streams": lambda: learned_parts.streams(options.seed),
        "rewoven": lambda: learned_parts.rewoven(options.seed),
        "explicit": lambda: learned_parts.explicit(options.model, options.book, options.seed),
        "instructions": lambda: learned_parts.instructions(options.model),
        "roles": lambda: learned_parts.roles(options.model, options.book, options.seed),
    }
    progress.expect(len(options.parts))
    found: dict[str, Any] = {}
    if options.add_to is not None and options.add_to.exists():
        found = json.loads(options.add_to.read_text(encoding="utf-8"))["parts"]
    with one_thread():
        for part in options.parts:
            found[part] = ways[part]()
            progress(1)
    return {"seed": options.seed, "model": Path(options.model).name, "parts": found}
