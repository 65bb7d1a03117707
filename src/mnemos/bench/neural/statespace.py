"""What state space layers remember, claim by claim: `mnemos bench statespace`.

- `reconstruction`: a signal read from the state of HiPPO's measures, beside windows of a wrong length and moving averages;
  and the same signal at another rate of sampling.
- `delay`: what came a lag ago, read from systems of equal size: HiPPO's, random ones, and steps that are far off.
- `polynomial`: a memory that decays as t^-1.1, learned by decays that are held in different ways (StableSSM).
- `recall`: associative recall by Mamba as it begins by default, mimetic, and polarised; the earliest pairs, longer texts, and
  LongMamba's filter over the same weights.
- `stores`: recall of pairs that lie beyond the window, by what B'MOJO's store keeps, and by MemMamba's notes.
- `copying`: plain and selective copying by a layer that does not choose and one that does.
- `parity`: words whose state has to flip.
- `digits`: handwritten digits pixel by pixel, in order and permuted, and at half the rate (state memory replay).
- `series`: the next values of several variates that depend on each other, or do not.
- `costs`: bytes of state and time of a token by length, for each form of the family.

Rates and steps were fixed on seed 11, which is not reported. A figure is a mean over seeds, with the standard deviation
behind it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, Table, benchmark
from mnemos.registry import Entry

PARTS = {  # part -> its module in this package, whose function has the part's name
    "reconstruction": "statespace_signals",
    "delay": "statespace_signals",
    "polynomial": "statespace_signals",
    "recall": "statespace_tokens",
    "stores": "statespace_tokens",
    "copying": "statespace_tokens",
    "parity": "statespace_tokens",
    "digits": "statespace_series",
    "series": "statespace_series",
    "costs": "statespace_costs",
}
FIGURES = {  # method -> part, row, rows that it is compared with, column, and what the column says
    "hippo-legs": (
        "reconstruction", "legs, online", ("legt, window of the signal / 4", "moving averages"), "error",
        "reconstructs 10,000 steps from 256 numbers with an error of {}",
    ),
    "lssl": (
        "delay", "lssl, legt", ("lssl, random", "lssl, legt, timescale 100 times off"), "error",
        "reads what came 100 tokens ago with an error of {}",
    ),
    "s4d": (
        "delay", "s4d, lin", ("s4d, random", "s4d, lin, timescale 100 times off"), "error",
        "reads what came 100 tokens ago with an error of {}",
    ),
    "stable-ssm": (
        "polynomial", "best, 64 states", ("direct, 64 states", "exp, 64 states"), "error with shaken weights",
        "fits t^-1.1 with an error of {} after its weights are shaken",
    ),
    "mamba": ("recall", "mamba", ("s4d",), "right", "recalls {} of the values"),
    "mimetic-initialisation": ("recall", "mamba, mimetic", ("mamba",), "right", "recalls {} of the values after the same steps"),
    "long-mamba": (
        "recall", "mamba, mimetic, filtered", ("mamba, mimetic", "mamba, mimetic, all filtered"), "8 times",
        "recalls {} of the values from texts 8 times as long as in training",
    ),
    "b-mojo": (
        "stores", "b-mojo", ("b-mojo, newest", "b-mojo, random", "window and fading state", "mamba"), "right",
        "recalls {} of the values beyond its window",
    ),
    "mem-mamba": ("stores", "mem-mamba", ("mamba",), "right", "recalls {} of the values beyond a window of 8"),
    "state-memory-replay": (
        "digits", "replay, at half the rate", ("s4d, at half the rate",), "in order", "is right for {} of digits",
    ),
    "chimera": ("series", "chimera", ("1-D, the same", "gru"), "dependent", "predicts dependent variates with an error of {}"),
}  # fmt: skip
SHARES = (  # columns that are shares
    "right", "earliest", "4 times", "8 times", "in order", "permuted", "plain", "selective",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Which parts, how often, on what data."""

    parts: tuple[str, ...] = tuple(PARTS)  # what to measure
    seeds: int = 3  # models of each cell
    mnist: Path | None = None  # mnist.npz with x_train, y_train, x_test, y_test, for digits
    cache: Path | None = None  # folder where finished cells are kept, for a run that goes on where it ended
    add_to: Path | None = None  # an earlier result with the same seeds, whose other parts are kept


def cell(column: str, row: Mapping[str, Any]) -> str:
    """Return a figure with its spread."""
    value, spread = row.get(column), row.get(f"{column}_sd")
    if value is None or isinstance(value, str):
        return value or "–"
    if column in SHARES:
        return f"{100 * value:.1f}{'' if spread is None else f' ± {100 * spread:.1f}'} %"
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return digits if spread is None else f"{digits} ± {spread:.1g}"


def table(part: str, head: str) -> Table:
    """Return the table of a part."""

    def rows(result: Result) -> Rows:
        found = result["parts"].get(part, {})
        columns = [c for c in dict.fromkeys(c for row in found.values() for c in row) if not c.endswith("_sd")]
        lines: Rows = [[head, *columns]]
        return lines + [[name, *(cell(column, row) for column in columns)] for name, row in found.items()]

    return rows


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a layer reaches beside what it is compared with."""
    if entry.form != "neural" or entry.name not in FIGURES:
        return None
    part, own, others, column, says = FIGURES[entry.name]
    rows = result["parts"].get(part, {})
    if column not in rows.get(own, {}):
        return None
    return Figure(says.format(cell(column, rows[own])), {o: cell(column, rows[o]) for o in others if o in rows})


@benchmark(
    "statespace",
    help="State space layers: what they reconstruct, delay, recall, copy and predict, and what they cost.",
    options=Options,
    tables={f"statespace-{part}": table(part, "layer") for part in PARTS},
    figure=figure,
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each part; see the module."""
    from mnemos.bench.kv.threads import one_thread

    progress.expect(len(options.parts))
    found: dict[str, Any] = {}
    if options.add_to is not None and options.add_to.exists():
        found = json.loads(options.add_to.read_text(encoding="utf-8"))["parts"]
    with one_thread():
        for part in options.parts:
            module = importlib.import_module(f"{__package__}.{PARTS[part]}")
            found[part] = getattr(module, part)(options)
            progress(1)
    return {"seeds": options.seeds, "parts": {part: found[part] for part in PARTS if part in found}}
