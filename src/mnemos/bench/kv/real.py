"""Every cache method on a real decoder, at equal bytes: `mnemos bench kv-real`, or `mnemos bench kv --model smollm2`.

Contexts of 512 tokens, made of novels and of what is asked about: facts between the sentences of a book (of many kinds,
or `keys` of one), a table in it, settings in a program, labels by example, and the text itself, whose continuation is
predicted. The question is unknown while the context is compressed; `facts-known` stands for contexts that end in their
question, and `turns` for the third to fifth question after that one. In the tasks named `-decode` the context is read a
few tokens at a time under a fixed budget.

The model runs in the dtype that is given, and bytes are shares of a full cache in that dtype. The prefill of each
context is recorded once (under `--cache`), so that a method costs about a second a context. Each cell has the mean over
contexts, and the result the score of every context, by which methods are compared pair by pair.

Books are split by name: what is fitted is fitted on `--half development`; the results here are of the other half. From
Python, `mnemos.bench.kv.evaluate.evaluate` measures any method, registered or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean, stdev
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.kv import matrix_plot
from mnemos.bench.kv.real_options import Options
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry

SHARE = "0.25"  # at which methods are compared with baselines
BASELINES = ("sliding-window", "random-eviction", "streaming-llm")
LESS = ("loss", "loss-decode")  # less is better
SHOWN = ("facts", "facts-known", "turns", "keys", "table", "code", "examples", "loss", "facts-decode", "loss-decode")


def scores(task: str) -> Callable[[Result], Rows]:
    """Return the table of one task: the score (and the share of the bytes held) by method and share."""

    def rows(result: Result) -> Rows:
        found = {name: row[task] for name, row in result["methods"].items() if row.get(task)}
        if not found:
            return [[task]]
        shares = [str(share) for share in result["shares"]]
        full = f"{result['full'][task]['mean']:.2f}"
        lines: Rows = [[f"{task}, full cache {full}: score (held)", *(f"{100 * float(s):g} %" for s in shares)]]
        for name in sorted(found, key=lambda name: rank(task, found[name])):
            cells = [found[name].get(share) for share in shares]
            lines.append(
                [name, *("–" if c is None else f"{c['mean']:.2f} ± {c['error']:.2f} ({c['held']:.2f})" for c in cells)]
            )
        return lines

    return rows


def rank(task: str, cells: Mapping[str, Any]) -> float:
    """Return what sorts the best methods of a task first."""
    shown = cells.get(SHARE) or next(iter(cells.values()))
    mean = float(shown["mean"])
    return mean if task in LESS else -mean


def ahead(result: Result) -> Rows:
    """Return whether each method is ahead of keeping the recent entries, of random ones and of StreamingLLM."""
    lines: Rows = [
        ["a quarter held", "task of its row", "full cache", "its score", "best baseline", "ahead by", "verdict"]
    ]
    for name, row in result["methods"].items():
        task = row.get("task")
        if name in BASELINES or task is None or SHARE not in row.get(task, {}):
            continue
        rows = {b: result["methods"].get(b, {}).get(task, {}).get(SHARE) for b in BASELINES}
        others = {b: cell for b, cell in rows.items() if cell}
        if not others:
            continue
        best = max(others, key=lambda b: float(others[b]["mean"]))
        mine = row[task][SHARE]
        each = [a - b for a, b in zip(mine["each"], others[best]["each"], strict=True)]
        margin, error = fmean(each), stdev(each) / len(each) ** 0.5 if len(each) > 1 else 0.0
        verdict = "yes" if margin > error else "no" if margin < -error else "level"
        full, baseline = result["full"][task]["mean"], f"{best} {others[best]['mean']:.2f}"
        lines.append(
            [name, task, f"{full:.2f}", f"{mine['mean']:.2f}", baseline, f"{margin:+.2f} ± {error:.2f}", verdict]
        )
    return [lines[0], *sorted(lines[1:], key=lambda line: (str(line[1]), -float(line[3])))]


def beside_the_small(result: Result) -> Rows:
    """Return what each method answers with a quarter held, on the small model of `kv` and on this one."""
    small, full = result.get("small", {}), result["full"]
    pairs = (("key-value", "facts"), ("key-value-known", "facts-known"))
    head = [f"{a} (small) / {b} (full {full[b]['mean']:.2f})" for a, b in pairs if b in full]
    lines: Rows = [["a quarter held: answered (held)", *head]]
    for name, row in result["methods"].items():
        cells = [
            " / ".join(
                "–" if cell is None else f"{cell[what]:.2f} ({cell['held']:.2f})"
                for cell, what in ((small.get(name, {}).get(a), "accuracy"), (row.get(b, {}).get(SHARE), "mean"))
            )
            for a, b in pairs if b in full
        ]  # fmt: skip
        if any(not cell.endswith("–") for cell in cells):
            lines.append([name, *cells])
    return lines


def best(result: Result, count: int = 3) -> Rows:
    """Return the methods that lose least on each task, among those that hold no more than the share."""
    shares = [str(share) for share in result["shares"]]
    lines: Rows = [["task", "full cache", *(f"at most {100 * float(share):g} % held" for share in shares)]]
    for task in SHOWN:
        if task not in result["full"]:
            continue
        cells = []
        for share in shares:
            held = [
                (name, cell) for name, row in result["methods"].items() for cell in row.get(task, {}).values()
                if isinstance(cell, dict) and cell["held"] <= 1.02 * float(share)
            ]  # fmt: skip
            found: dict[str, Any] = {}
            for name, cell in sorted(held, key=lambda pair: pair[1]["mean"] * (1 if task in LESS else -1)):
                found.setdefault(name, cell)
            top = list(found.items())[:count]
            cells.append(", ".join(f"{name} {cell['mean']:.2f} ({cell['held']:.2f})" for name, cell in top) or "–")
        lines.append([task, f"{result['full'][task]['mean']:.2f}", *cells])
    return lines


def recommended(result: Result, name: str = "transform-coding") -> Rows:
    """Return what the recommended method answers, and its share of what the full cache does, by task and bytes held."""
    shares = [str(share) for share in result["shares"]]
    lines: Rows = [["task", "full cache", *(f"{100 * float(share):g} % of the bytes" for share in shares)]]
    for task in SHOWN:
        row, full = result["methods"].get(name, {}).get(task), result["full"].get(task, {}).get("mean")
        if not row or not full or task in LESS:
            continue
        cells = [row.get(share) for share in shares]
        found = [
            "–" if c is None else f"{c['mean']:.2f} ± {c['error']:.2f} ({c['mean'] / full:.2f} of it)" for c in cells
        ]
        lines.append([task, f"{full:.2f}", *found])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a cache method answers on a real model with a quarter of a full cache."""
    row = result["methods"].get(entry.name, {}) if entry.form == "activation" else {}
    task = row.get("task")
    if task is None or SHARE not in row.get(task, {}):
        return None
    full = result["full"][task]["mean"]
    text = f"answers {percent(row[task][SHARE]['mean'], 0)} of `{task}` on {result['model']} with 25 % of a full cache"
    return Figure(text, {"full cache": percent(full, 0)})


@benchmark(
    "kv-real",
    help="Every cache method at equal bytes on a real decoder: facts in novels, tables, code, turns, loss.",
    options=Options,
    tables={
        "kv-real-best": best,
        "kv-real-ahead": ahead,
        "kv-real-recommended": recommended,
        "kv-real-small": beside_the_small,
        **{f"kv-real-{task}": scores(task) for task in SHOWN},
    },
    plot=matrix_plot.plot,
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure the presets (or those named) on the tasks at the shares.

    Raises NotFound for an unknown preset, and InvalidInput for an unknown task or a model that cannot be read.
    """
    from mnemos.bench.kv.real_rows import measure

    return measure(options, progress)
