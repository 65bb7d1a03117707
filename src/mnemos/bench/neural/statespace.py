"""What state space layers remember, claim by claim: `mnemos bench statespace`.

- `reconstruction`: a signal read from the state of HiPPO's measures, beside windows of a wrong length and moving averages;
  and the same signal at another rate of sampling.
- `delay`: what came a lag ago, read from systems of equal size: HiPPO's, random ones, and steps that are far off.
- `polynomial`: a memory that decays as t^-1.1, learned by decays that are held in different ways (StableSSM).
- `recall`: associative recall by Mamba as it begins by default, mimetic, and polarised; the earliest pairs, longer texts, and
  LongMamba's filter over the same weights.
- `stores`: recall of pairs that lie beyond the window, by what B'MOJO's store keeps, and by MemMamba's notes.
- `copying`: symbols that are said again after a few steps of training, by how Mamba begins.
- `selective`: the same among blanks, by a layer that does not choose and one that does.
- `parity`: words whose state has to flip.
- `digits`: handwritten digits pixel by pixel, in order and permuted, and at half the rate (state memory replay).
- `optdigits`: the same of a small set, whose images nobody averaged.
- `series`: the next values of several variates that depend on each other, or do not.
- `costs`: bytes of state and time of a token by length, for each form of the family.

Rates and steps were fixed on seed 11, which is not reported. A figure is a mean over seeds, with the standard deviation
behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mnemos.bench import part_tables
from mnemos.bench.parts import run_parts
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark

PARTS = {  # part -> its module in this package, whose function has the part's name
    "reconstruction": "statespace_signals",
    "delay": "statespace_signals",
    "polynomial": "statespace_signals",
    "recall": "statespace_tokens",
    "stores": "statespace_tokens",
    "copying": "statespace_tokens",
    "selective": "statespace_tokens",
    "parity": "statespace_tokens",
    "digits": "statespace_series",
    "optdigits": "statespace_series",
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
    "mamba": ("copying", "mamba", ("s4d", "mamba, mimetic"), "right", "copies {} of 12 symbols after 250 steps"),
    "mimetic-initialisation": ("copying", "mamba, mimetic", ("mamba",), "right", "copies {} of 12 symbols after 250 steps"),
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
    "right", "earliest", "twice", "4 times", "8 times", "in order", "permuted",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Which parts, how often, on what data."""

    parts: tuple[str, ...] = tuple(PARTS)  # what to measure
    seeds: int = 3  # models of each cell
    mnist: Path | None = None  # mnist.npz with x_train, y_train, x_test, y_test, for digits
    optdigits: Path | None = None  # scikit-learn's digits.csv.gz, 64 pixels and a label a row, for optdigits
    cache: Path | None = None  # folder where finished cells are kept, for a run that goes on where it ended


cell = partial(part_tables.cell, shares=SHARES, error=1)
table = partial(part_tables.table, write=cell)
figure = partial(part_tables.figure_of, FIGURES, "neural", cell)


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
    return run_parts(options, {part: f"{module}:{part}" for part, module in PARTS.items()}, __package__, progress)
