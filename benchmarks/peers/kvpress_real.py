"""kvpress beside Mnemos on a real model: `python -m benchmarks peers-kvpress-real`.

SmolLM2 or another decoder, each method with its own defaults on either side, over the same contexts and questions (the
task `facts` of `mnemos bench kv-real`, question unknown), with the same share of the tokens. Reported are the answers,
the bytes of all tensors held, and the seconds to read and compress a context, each way in its turn.

kvpress 0.5.5 needs transformers below 5.3, so this runs in a virtual environment of its own:

    pip install kvpress==0.5.5 && pip install --no-deps . && pip install typer rich platformdirs
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark


@dataclass(frozen=True)
class Options:
    """Which model and texts."""

    model: str = "smollm2"  # folder of a causal model as transformers saves it, or smollm2
    books: Path | None = None  # folder of novels (*.txt) for the contexts; without it Python's own reference
    shares: tuple[float, ...] = (0.25, 0.125)  # shares of the tokens
    limit: int = 4  # contexts


def table(result: Result) -> Rows:
    """Return accuracy, bytes and time beside kvpress."""
    shares = list(result["shares"])
    head = [f"{100 * s:g} %, answered: kvpress / Mnemos" for s in shares]
    lines: Rows = [["method", *head, "held at the last: kvpress / Mnemos", "seconds a context: kvpress / Mnemos"]]
    for name, row in result["methods"].items():
        cells = [row[str(share)] for share in shares]

        def pair(cell: dict[str, Any], what: str) -> str:
            return f"{cell['kvpress'][what]:.2f} / {cell['mnemos'][what]:.2f}"

        answered = [pair(cell, "answered") for cell in cells]
        lines.append([name, *answered, pair(cells[-1], "held"), pair(cells[-1], "seconds")])
    return lines


@benchmark(
    "peers-kvpress-real",
    help="kvpress beside Mnemos on a real model: the same contexts, questions and budgets.",
    options=Options,
    tables={"peers-kvpress-real": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each method of both at the same shares."""
    from benchmarks.peers.kvpress_real_pairs import measure

    return measure(options.model, options.books, options.shares, options.limit, progress)
