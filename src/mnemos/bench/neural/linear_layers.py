"""Layers with a matrix memory and their kin, one beside the other: `mnemos bench linear-layers`.

- `recall`: keys and values that are shown once and asked for, eight pairs, at a state of about 64 numbers where it does not
  grow; networks of one layer, 32 wide, without convolutions.
- `changed`: six pairs, of which four are shown a second time with another value; the last one is right.
- `mixture`: a mixture of memories beside one memory of the same rule, and beside one as large as all of its together.
- `collapse`: Mamba-2 that hardly forgets, as at the beginning of training, on texts up to 4,096 tokens: the norm of its memory
  beside that at 64 tokens; as it is, with a window, and with a ceiling.
- `speed`: milliseconds of a forward and a backward pass by length, by processor time: blocks of retention beside its
  recurrence and attention; fast and forgetful memory beside a GRU.

Networks are trained on one thread with one rate that was fixed beforehand; a figure is a mean over seeds, with the standard
deviation behind it.
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

PARTS = ("recall", "changed", "mixture", "collapse", "speed")
PASS = "takes {} ms to go forward and backward over 2,048 tokens"
FIGURES = {
    "attention": Says("recall", "attention", ()),
    "linear-attention": Says("recall", "linear-attention", ("attention",)),
    "gated-linear-attention": Says("recall", "gated-linear-attention", ("linear-attention",)),
    "delta-net": Says("recall", "delta-net", ("linear-attention",)),
    "gated-delta-net": Says("recall", "gated-delta-net", ("linear-attention", "gated-linear-attention")),
    "mamba-2": Says("recall", "mamba-2", ("linear-attention",)),
    "lightnet": Says("recall", "lightnet", ("linear-attention", "retention")),
    "based": Says("recall", "based", ("linear-attention", "attention", "mamba-2")),
    "mlstm": Says("recall", "mlstm", ("linear-attention",)),
    "rwkv-7": Says("recall", "rwkv-7", ("linear-attention", "delta-net")),
    "attention-as-an-rnn": Says("recall", "attention-as-an-rnn", ("attention",)),
    "causal-relation": Says("recall", "causal-relation, growing", ("attention", "causal-relation, linear")),
    "synaptic-resonance": Says("recall", "synaptic-resonance", ("attention",)),
    "mixture-of-memories": Says("mixture", "4 memories, 2 a token", ("one of the same rule", "one as large as all")),
    "retention": Says(
        "speed", "retention, by blocks", ("retention, token by token", "attention"), "2,048 tokens", PASS
    ),
    "fast-and-forgetful-memory": Says("speed", "fast and forgetful memory", ("GRU",), "2,048 tokens", PASS),
    "bounded-memory": Says(
        "collapse", "window of 64", ("as it is",), "4,096 tokens", "has {} times the norm of 64 tokens after 4,096"
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
    "linear-layers",
    help="Layers with a matrix memory and their kin: recall, change, mixtures, collapse of the state, speed.",
    options=Options,
    tables={f"linear-{part}": pair_tables.table(part, "layer") for part in PARTS},
    figure=partial(pair_tables.figure_of, FIGURES),
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each part; see the module."""
    return pair_tables.run_parts(options, dict.fromkeys(PARTS, "linear_parts"), progress)
