"""Recurrent layers and reservoirs against what their papers compare them with: `mnemos bench recurrent`.

Each part is a claim, measured on the smallest models and lengths that show it; figures are means over seeds, with the
standard deviation behind them. All data is generated. `--parts` measures some of them and
leaves what is stored of the others. Everything runs on one thread; nothing is chosen by what is reported: reservoirs choose
their options by a part of the data of its own, steps and rates of trained models were fixed on other seeds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from mnemos.bench import part_tables
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark

Part = Literal[
    "capacity", "scales", "homeostasis", "adding", "tracking", "waves", "delays", "curriculum", "kernels", "integration",
    "trees", "graphs", "batches", "forecasts", "control", "worlds",
]  # fmt: skip
DRAWS: dict[str, int] = {
    "homeostasis": 4
}  # how often a seed is drawn again, where one draw is cheap and spreads are the claim
SHARES = ("AP", "right", "wrong", "parity", "modular", "words", "longer", "deeper", "before", "ahead", "r2")
FIGURES: dict[str, tuple[str, str, tuple[str, ...], str, str]] = {  # method -> part, row, others, column, what it says
    "echo-state-network": ("capacity", "echo state network", ("linear ring alone",), "capacity", "has a memory capacity of {}"),
    "deep-residual-esn": (
        "capacity", "deep residual, cyclic", ("echo state network", "deep echo state network"), "capacity",
        "has a memory capacity of {} with 100 units",
    ),
    "residual-reservoir-memory": (
        "capacity", "residual reservoir memory", ("echo state network", "linear ring alone"), "capacity",
        "has a memory capacity of {} with 100 units",
    ),
    "homeostatic-reservoir": (
        "homeostasis", "adapted", ("drawn at random", "searched"), "capacity", "has a memory capacity of {} over random starts",
    ),
    "tanh-rnn": ("adding", "tanh-rnn", ("lstm",), "MSE", "has an error of {} in the adding problem"),
    "lstm": ("adding", "lstm", ("tanh-rnn",), "MSE", "has an error of {} in the adding problem"),
    "gru": ("tracking", "gru", ("linear-attention",), "parity", "tells parity right for {} at 256 tokens, trained up to 40"),
    "lem": ("adding", "lem", ("lstm", "tanh-rnn"), "MSE", "has an error of {} in the adding problem"),
    "slstm": (
        "tracking", "slstm", ("lstm", "linear-attention"), "parity", "tells parity right for {} at 256 tokens, trained up to 40",
    ),
    "bilinear-rnn": (
        "tracking", "bilinear, full", ("bilinear, rotations",), "words of S3",
        "tracks words of S3 right for {} at four times the length",
    ),
    "wave-rnn": (
        "waves", "wave-rnn", ("identity rnn",), "right after 20", "copies {} of the symbols after 20 blanks",
    ),
    "elm-neuron": ("delays", "elm-neuron", ("lstm", "gru"), "right", "adds two symbols right for {} after 150 tokens"),
    "leaky-rnn": (
        "curriculum", "leaky-rnn, heads for all N", ("leaky-rnn, one head",), "N reached",
        "learns the parity of the last {} bits with heads for all N",
    ),
    "tree-lstm": (
        "trees", "tree-lstm", ("chain lstm", "recursive network"), "right at depth 8",
        "is right for {} of expressions twice as deep as those of training",
    ),
    "xlstm-time": ("forecasts", "xlstm-time, slstm", ("linear",), "MSE", "forecasts with an error of {}"),
    "neighbourhood-caches": (
        "graphs", "caches, 16 slots", ("one vector, 64 numbers",), "AP", "predicts links with an average precision of {}",
    ),
    "drift-corrected-states": (
        "batches", "corrected and coherent, batches of 240", ("plain, batches of 240", "plain, batches of 60"), "AP",
        "predicts links with an average precision of {} from batches of 240 events",
    ),
    "temporally-rescaled-error": (
        "kernels", "slow kernel, growing weights", ("slow kernel, equal weights",), "error at long lags",
        "leaves an error of {} at long lags of a slow kernel",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Which claims, and how often each is measured."""

    parts: tuple[Part, ...] = get_args(Part)  # claims to measure
    seeds: tuple[int, ...] = (0, 1, 2)  # of data and weights
    cache: Path | None = None  # folder where the figures of each row and seed are kept, so that a long run can go on


cell = partial(part_tables.cell, shares=SHARES)
table = partial(part_tables.table, write=cell)
figure = partial(part_tables.figure_of, FIGURES, "neural", cell)


@benchmark(
    "recurrent",
    help="Recurrent layers and reservoirs: memory capacity, state tracking, long delays, and what training does to them.",
    options=Options,
    tables={f"recurrent-{part}": table(part, part) for part in get_args(Part)},
    plot=lambda result, path: import_module("mnemos.bench.neural.recurrence.plot").plot(result, path),
    figure=figure,
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure the chosen claims, row by row and seed by seed."""
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.parametric.spread import kept, over_seeds

    claims = {part: import_module(f"mnemos.bench.neural.recurrence.{part}") for part in options.parts}
    progress.expect(sum(len(claims[part].ROWS) for part in options.parts))
    parts: dict[str, Any] = {}
    with one_thread():
        for part, claim in claims.items():
            rows, spent = {}, 0.0
            for row in claim.ROWS:
                found = []
                for seed in _draws(part, options.seeds):
                    one = kept(options.cache, f"{part} {row} {seed}", partial(_measured, claim, row, seed))
                    found.append(one["figures"])
                    spent += one["cpu_seconds"]
                rows[row] = over_seeds(found)
                progress(1)
            parts[part] = {"seeds": len(_draws(part, options.seeds)), "cpu_seconds": round(spent, 1), "rows": rows}
    return {"parts": parts}


def _draws(part: str, seeds: tuple[int, ...]) -> list[int]:
    return [draw * 1000 + seed for draw in range(DRAWS.get(part, 1)) for seed in seeds]


def _measured(claim: Any, row: str, seed: int) -> dict[str, Any]:
    started = time.process_time()
    figures = claim.one(row, seed)
    return {"figures": figures, "cpu_seconds": time.process_time() - started}
