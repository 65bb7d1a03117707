"""Layers that learn while they read, against what their papers compare them with: `mnemos bench testtime`.

- `window`: keys and values further back than attention sees: Titans in its three wirings and Atlas beside the same window,
  beside a layer of linear attention of about equal state, and beside both together.
- `equal`, `changing`: Titans beside a window, and alone, where every layer but the window holds as many numbers of state;
  pairs as they are, and pairs of which most are shown again with another value. Rates are chosen for each layer.
- `ablations`: Titans without momentum, and without forgetting, where pairs change.
- `recall`: the instances of Miras, TTT and Lattice beside linear layers, at an equal matrix of state.
- `outliers`: memories without a network around them: pairs one after the other, some of whose values are far too large;
  the error on the others by the squared and by the Huber loss.
- `capacity`: the same with as many pairs as are recalled: plain keys and products of channels at equal state.
- `inner`: the same with keys that resemble each other and values with noise: windows of the Omega rule, and gradient steps
  against orthogonal ones (Muon) at equal steps, each with its best step size, chosen on other draws.

Networks (`window` to `recall`) are one layer, 32 wide, trained on one thread, where nothing else is said with one rate that was
fixed beforehand; a figure is a mean over seeds, with the standard deviation behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mnemos.bench.neural import pair_tables
from mnemos.bench.neural.pair_tables import Says
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark

PARTS = ("window", "equal", "changing", "ablations", "recall", "outliers", "capacity", "inner")
TRAINED, DIRECT = "testtime_trained", "testtime_direct"
MODULES = {
    "window": TRAINED,
    "equal": TRAINED,
    "changing": TRAINED,
    "ablations": TRAINED,
    "recall": TRAINED,
    "outliers": DIRECT,
    "capacity": DIRECT,
    "inner": DIRECT,
}
LINEAR = ("linear-attention", "delta-net")
FIGURES = {
    "titans-hybrid": Says(
        "window",
        "Atlas, MAG",
        ("Titans, MAG", "Titans, MAC", "Titans, MAL", "window", "linear-attention", "window and linear-attention"),
    ),
    "titans": Says("recall", "titans", LINEAR),
    "miras": Says("recall", "miras", LINEAR),
    "moneta": Says("recall", "moneta", ("delta-net", "titans")),
    "memora": Says("recall", "memora", ("delta-net", "titans")),
    "ttt": Says("recall", "ttt", LINEAR),
    "lattice": Says("recall", "lattice", ("linear-attention", "gated-linear-attention", "delta-net")),
    "yaad": Says(
        "outliers",
        "Huber loss",
        ("squared loss",),
        "error, with outliers",
        "misses {} of ordinary values beside outliers",
    ),
    "atlas": Says(
        "capacity", "8 channels, products of two", ("8 channels",), "pairs", "recalls {} pairs of keys with 8 channels"
    ),
}


@dataclass(frozen=True)
class Options:
    """Which parts, and how long networks are trained."""

    parts: tuple[str, ...] = PARTS  # what to measure
    steps: int = 200  # of training
    rate: float = 0.01  # AdamW's
    seeds: int = 3  # networks of each kind
    cache: Path | None = None  # folder where finished cells are kept, for a run that goes on where it ended


@benchmark(
    "testtime",
    help="Layers that learn while they read: recall beyond a window, ablations, outliers, capacity, inner optimisers.",
    options=Options,
    tables={f"testtime-{part}": pair_tables.table(part, "memory") for part in PARTS},
    figure=partial(pair_tables.figure_of, FIGURES),
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each part; see the module."""
    return pair_tables.run_parts(options, MODULES, progress)
