"""Every cache method on a real decoder, at equal bytes: `mnemos bench kv-real`, or `mnemos bench kv --model smollm2`.

Contexts of 512 tokens, made of novels and of what is asked about: facts between the sentences of a book, labels by
example, and the text itself, whose continuation is predicted. The question is unknown while the context is compressed;
`facts-known` stands for contexts that end in their question, and `turns` for the third to fifth question after that
one. In the tasks named `-decode` the context is read a few tokens at a time under a fixed budget.

The model runs in the dtype that is given, and bytes are shares of a full cache in that dtype. The prefill of each
context is recorded once (under `--cache`), so that a method costs about a second a context. Each cell has the mean over
contexts, and the result the score of every context, by which methods are compared pair by pair.

Books are split by name: what is fitted is fitted on `--half development`; the results here are of the other half. From
Python, `mnemos.bench.kv.evaluate.evaluate` measures any method, registered or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mnemos.bench.kv.real_options import Options
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark

LESS = ("loss", "loss-decode")  # less is better
SHOWN = ("facts", "facts-known", "turns", "examples", "loss", "facts-decode", "loss-decode")


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
    mean = float(sum(cell["mean"] for cell in cells.values()) / len(cells))
    return mean if task in LESS else -mean


@benchmark(
    "kv-real",
    help="Every cache method at equal bytes on a real decoder: facts in novels, tables, code, turns, loss.",
    options=Options,
    tables={f"kv-real-{task}": scores(task) for task in SHOWN},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure the presets (or those named) on the tasks at the shares.

    Raises NotFound for an unknown preset, and InvalidInput for an unknown task or a model that cannot be read.
    """
    from mnemos.bench.kv.real_rows import measure

    return measure(options, progress)
