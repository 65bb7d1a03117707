"""What running takes, with weights on disk, drafts, exits and chunks, and what is predicted: `mnemos bench footprint-running`.

A part is a claim, a module of `mnemos.bench.footprint.run`; `--parts` chooses some. Bytes are measured: resident memory at its
peak, in a process of its own, or what was read. Data is a folder with shakespeare/input.txt; models are trained once and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.parts import figure_of, run_parts, table
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark

PARTS = {  # part -> module, or module:function, of mnemos.bench.footprint.run; and the head of its table
    "weights-on-disk": ("weights_on_disk", "half of the feed-forward bytes in memory"),
    "drafts": ("drafts", "draft"),
    "exits": ("exits", "tokens may leave"),
    "chunks": ("chunks", "two layers, 3,072 tokens"),
    "bytes": ("predictions", "kB"),
    "budgets": ("budgets", "budget, of what is predicted without"),
    "latents": ("latents", "cache"),
    "seconds": ("predictions:seconds", "ms"),
    "tiers": ("predictions:tiers", "tokens a second"),
}
_NEURONS = ("layers, least recently used", "layers, the first pinned", "neurons, half of the room hot")
FIGURES: dict[str, tuple[str, str, tuple[str, ...], str, str]] = {  # method -> part, row, others, column, what it says
    "paged-weights": ("weights-on-disk", "layers, least recently used", (), "kB a token", "reads {} kB a token"),
    "neurons-on-disk": ("weights-on-disk", "neurons, window of 5", _NEURONS, "kB a token", "reads {} kB a token"),
    "token-tree": (
        "drafts", "tree of 16, sharpened", ("greedy", "chain of 16", "tree of 16"), "layer loads a token",
        "loads {} layers a token, of a model of four"),
    "early-exit": (
        "exits", "exits, read again", ("all layers", "exits, not repaired"), "right %", "tells {} of the next letters"),
    "chunked": ("chunks", "budget 10 %", ("whole", "fixed slices of 64"), "peak MB", "takes {} MB at its peak"),
    "training-bytes": ("bytes", "training: weights, gradients, Adam", (), "off %", "is {} off what a training holds"),
    "cache-bytes": ("bytes", "cache: MLA", (), "off %", "is {} off what a cache of latents takes"),
    "fit": ("budgets", "50 %", ("100 %",), "measured MB", "trains in {} MB where half of what it takes is allowed"),
    "roofline": ("seconds", "all tokens", (), "explained %", "explains {} of the spread of seconds a token"),
    "tiers": ("tiers", "90 MB, 4 sequences", (), "off %", "is {} off the tokens a second of 4 sequences in 90 MB"),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Which parts, on what data, how often."""

    data: Path  # a folder with shakespeare/input.txt
    parts: tuple[str, ...] = tuple(PARTS)  # what to measure
    seeds: int = 3  # models and passages


@benchmark(
    "footprint-running",
    help="What running takes: weights on disk, drafts of a small model, early exits, chunks, and predictions.",
    options=Options,
    tables={f"running-{part}": table(part, head) for part, (_, head) in PARTS.items()},
    figure=lambda result, entry: figure_of(FIGURES, "footprint", result, entry),
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the figures of the chosen parts."""
    modules = {part: module for part, (module, _) in PARTS.items()}
    return run_parts(options, modules, f"{__package__}.run", progress)
