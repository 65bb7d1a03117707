"""Every cache method at equal bytes: `mnemos bench kv`.

Each preset of `mnemos.activation.presets` holds a share of a full cache's bytes while a trained small model (or any
that you name) answers questions about the context:

- unknown: the questions come after the context was compressed; `-known` stands for contexts that end in their question;
- in turn: several questions over one compressed context, the first of them known (SCBench, arXiv 2412.10319);
- decode: methods that evict while generating are also run reading the context a token at a time, under a fixed number;
- outliers: keys rounded per channel and per token, with key channels that stand out as those of large models do.

Reported are the accuracy, the bytes held right after the context (all of a method's tensors, as a share of a full
cache's keys and values), the most held at any time, the time to read the context and the answers a second. A cell is
empty where a method cannot be that small. Contexts come from another seed than those that any constant was chosen on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.kv import matrix_plot
from mnemos.bench.kv.real import best
from mnemos.bench.kv.real_options import Options as RealOptions
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, Table, benchmark
from mnemos.registry import Entry

SHARE = "0.25"  # of a full cache: the share at which methods are compared
SHOWN = ("key-value", "key-value-known", "records", "records-known", "topics", "passkey", "repeated")


@dataclass(frozen=True)
class Options:
    """Which methods, on which model."""

    kind: str = "recall"  # small model: recall, heads or mha
    methods: tuple[str, ...] = ()  # cache methods to measure instead of all
    model: str | None = None  # a real model instead, as `kv-real` measures it: smollm2, or a folder of transformers
    books: Path | None = None  # folder of novels (*.txt) for a real model; without it Python's own reference
    contexts: int = 50  # contexts of a task
    shares: tuple[float, ...] = (1.0, 0.5, 0.25, 0.125, 0.0625)  # shares of a full cache's bytes
    seed: int = 0  # seed of the training of the small model


def accuracy(task: str) -> Callable[[Result], Rows]:
    """Return the table of one task: accuracy (and the share of the bytes held) by method and share."""

    def rows(result: Result) -> Rows:
        found = {name: row["tasks"][task] for name, row in result["methods"].items() if row["tasks"][task]}
        shares = _longest(found)
        best = sorted(found, key=lambda name: -_mean(found[name]))
        lines: Rows = [[f"{task}: answered (held)", *(f"{100 * float(share):g} %" for share in shares)]]
        for name in best:
            cells = [found[name].get(share) for share in shares]
            lines.append([name, *("–" if c is None else f"{c['accuracy']:.2f} ({c['held']:.2f})" for c in cells)])
        return lines

    return rows


def in_turn(result: Result, share: str = "0.25") -> Rows:
    """Return the answers to the first to fifth question over one context of which a quarter is held."""
    found = {name: row["tasks"]["in-turn"].get(share) for name, row in result["methods"].items()}
    kept = {name: turns for name, turns in found.items() if turns}
    lines: Rows = [["a quarter held; answered", "1st, known", "2nd", "3rd", "4th", "5th", "least of the 2nd to 5th"]]
    for name in sorted(kept, key=lambda n: -min(kept[n][1:])):
        lines.append([name, *(f"{score:.2f}" for score in kept[name]), f"{min(kept[name][1:]):.2f}"])
    return lines


def token_by_token(result: Result) -> Rows:
    """Return the answers of methods that read the context a token at a time under a fixed number of entries."""
    found = {name: row["tasks"]["decode"] for name, row in result["methods"].items() if row["tasks"]["decode"]}
    shares = _longest(found)
    lines: Rows = [["read a token at a time; answered", *(f"{100 * float(share):g} %" for share in shares)]]
    for name in sorted(found, key=lambda n: -_mean(found[n])):
        cells = [found[name].get(share) for share in shares]
        lines.append([name, *("–" if c is None else f"{c['accuracy']:.2f}" for c in cells)])
    return lines


def beaten(result: Result) -> Rows:
    """Return whether each method beats its baselines on its own task, a quarter held."""
    lines: Rows = [["method", "task", "baselines", "ahead of the best of them by", "beaten"]]
    for name, row in result["beaten"].items():
        others = ", ".join(result["methods"][name]["baselines"])
        verdict = "yes" if row["beaten"] else "level" if row["margin"] == 0 else "no"
        lines.append([name, row["task"], others, f"{row['margin']:+.2f}", verdict])
    return lines


def outlier_keys(result: Result) -> Rows:
    """Return the answers with rounded keys, by how much key channels stand out."""
    scales = list(result["outliers"])
    lines: Rows = [["keys per channel / per token", *(f"one pair of channels times {scale}" for scale in scales)]]
    for bits in next(iter(result["outliers"].values())):
        pairs = [result["outliers"][scale][bits] for scale in scales]
        lines.append([f"{bits} bits", *(f"{a:.2f} / {b:.2f}" for a, b in pairs)])
    return lines


def small(table: Table) -> Table:
    """Return a table that has no rows in the result of a real model."""
    return lambda result: [] if "full" in result else table(result)


def of_a_real_model(result: Result) -> Rows:
    """Return which methods lose least on each task of a real model; see `real`."""
    return best(result) if "full" in result else []


def _longest(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the shares of the method that was measured at most of them."""
    return max((list(cells) for cells in found.values()), key=len)


def _mean(cells: Mapping[str, Any]) -> float:
    scores = [cell["accuracy"] for cell in cells.values()]
    return float(sum(scores) / len(scores))


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a cache method answers on its own task with a quarter of a full cache, or the next larger share."""
    rows = result["methods"]
    if entry.form != "activation" or entry.name not in rows or "full" in result:
        return None
    task = rows[entry.name]["task"]
    cells = rows[entry.name]["tasks"].get(task, {})
    share = next((s for s in (SHARE, "0.5", "1.0") if s in cells), None)
    if share is None:
        return None
    others = {b: rows[b]["tasks"][task].get(share) for b in rows[entry.name]["baselines"] if b in rows}
    held = percent(float(share), 0)
    text = f"answers {percent(cells[share]['accuracy'], 0)} of `{task}` with {held} of a full cache"
    return Figure(text, {name: percent(cell["accuracy"], 0) for name, cell in others.items() if cell})


@benchmark(
    "kv",
    help="Every cache method at equal bytes, on a small model that is trained once.",
    options=Options,
    tables={
        **{f"kv-{task}": small(accuracy(task)) for task in SHOWN},
        "kv-in-turn": small(in_turn),
        "kv-token-by-token": small(token_by_token),
        "kv-beaten": small(beaten),
        "kv-outliers": small(outlier_keys),
        "kv-model": of_a_real_model,
    },
    plot=matrix_plot.plot,
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure the presets (or those named) on all tasks, on a small model, or as `kv-real` does on a real one.

    Raises NotFound for an unknown preset, and InvalidInput for a model that cannot be read.
    """
    if options.model is not None:
        from mnemos.bench.kv.real_rows import measure

        real = RealOptions(options.model, options.books, methods=options.methods)
        return measure(real if options.shares == Options.shares else replace(real, shares=options.shares), progress)
    from mnemos.bench.kv.at_shares import LENGTH, TEST_SEED, compare, outliers
    from mnemos.bench.kv.tiny_models import train_tiny_model

    model = train_tiny_model(options.kind, options.seed).model
    found = compare(model, options.methods, options.shares, options.contexts, progress)
    found["outliers"] = outliers(model, options.contexts)
    return {
        "seed": options.seed, "test_seed": TEST_SEED, "contexts": options.contexts, "kind": options.kind,
        "length": LENGTH, **found,
    }  # fmt: skip
