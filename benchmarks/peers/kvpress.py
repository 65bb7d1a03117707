"""kvpress beside Mnemos: the same model, methods and budgets, in one run.

kvpress 0.5.5 needs transformers below 5.3, so this has its own environment (torch as constraints.txt has it):

    python -m venv env && env/bin/pip install torch==2.13.0 kvpress==0.5.5 && env/bin/pip install --no-deps .
    env/bin/python -m benchmarks peers-kvpress

Accuracy: key-value questions that were not known when the context was compressed, and (where a method looks at the last
queries) those that were; both with the settings given here. Bytes: keys and values held, of a full cache's. Decode:
tokens a second behind 8,192 tokens of a model with random weights, a quarter held; the ways take turns of a few tokens,
and the median turn counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark


@dataclass(frozen=True)
class Options:
    """There is nothing to choose: both sides are as the docstring says."""


def table(result: Result) -> Rows:
    """Return accuracy, bytes and speed beside kvpress."""
    shares = list(next(iter(result["methods"].values()))["shares"])
    head = [f"{100 * float(s):g} %: kvpress / Mnemos" for s in shares]
    lines: Rows = [
        ["method", "questions", *head, "held at 25 %: kvpress / Mnemos", "tokens a second: kvpress / Mnemos"]
    ]
    for name, row in result["methods"].items():
        cells = [
            f"{row['shares'][s]['kvpress']['accuracy']:.2f} / {row['shares'][s]['mnemos']['accuracy']:.2f}"
            for s in shares
        ]
        held = row["shares"]["0.25"]
        speed = row.get("tokens_per_second")
        rates = "–" if speed is None else f"{speed['kvpress']:.0f} / {speed['mnemos']:.0f}"
        lines.append(
            [name, row["questions"], *cells, f"{held['kvpress']['held']:.2f} / {held['mnemos']['held']:.2f}", rates]
        )
    return lines


@benchmark(
    "peers-kvpress",
    help="kvpress beside Mnemos: the same model, methods and budgets.",
    options=Options,
    tables={"peers-kvpress": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each method of both at the same shares."""
    from benchmarks.peers.kvpress_pairs import measure

    return measure(progress)
