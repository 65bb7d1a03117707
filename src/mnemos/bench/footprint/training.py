"""What training takes with and without the methods of `mnemos.footprint`: `mnemos bench footprint-training --data FOLDER`.

A part is a claim, a module of `mnemos.bench.footprint.train`; `--parts` chooses some. Bytes are measured: resident memory at its
peak, in a process of its own for each row, or what savers keep. Data is a folder with shakespeare/input.txt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.parts import figure_of, run_parts, table
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark

PARTS = {  # part -> module, or module:function, of mnemos.bench.footprint.train; and the head of its table
    "disk": ("disk", "what is done with activations"),
    "throttled": ("disk:throttled", "the disk"),
    "token-wise": ("disk:token_wise", "tokens kept on disk, the others computed again"),
    "estimates": ("estimates", "what is kept"),
    "fewer-dimensions": ("estimates:weights", "what is trained"),
    "adapters": ("adapters", "what is trained, and kept"),
    "layers": ("adapters:layers", "adapters that are trained"),
    "density": ("adapters:density", "activation: training"),
    "states": ("states", "states of Adam"),
    "tiers": ("states:tiers", "on a disk of 120 MB/s"),
    "sharded": ("sharded", "two processes"),
    "smollm2": ("smollm2", "an adapter beside SmolLM2"),
    "learn": ("learn", "space.learn on SmolLM2"),
}
FIGURES: dict[str, tuple[str, str, tuple[str, ...], str, str]] = {  # method -> part, row, others, column, what it says
    "disk": (
        "disk", "on disk", ("in memory", "computed again"), "peak, of plain %",
        "trains with {} of the memory beyond weights"),
    "recomputed": (
        "disk", "computed again", ("in memory", "on disk"), "peak, of plain %", "trains with {} of the memory beyond weights"),
    "token-wise": (
        "token-wise", "50 %", ("0 %", "100 %"), "peak, of plain %", "trains with {} of the memory beyond weights"),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Which parts, on what data, how often."""

    data: Path  # a folder with shakespeare/input.txt
    parts: tuple[str, ...] = tuple(PARTS)  # what to measure
    seeds: int = 3  # models and orders of text
    cache: Path | None = None  # folder where rows that take minutes are kept, so that a long run can go on


@benchmark(
    "footprint-training",
    help="What training takes: bytes at their peak, seconds and loss, with and without the methods of mnemos.footprint.",
    options=Options,
    tables={f"footprint-{part}": table(part, head) for part, (_, head) in PARTS.items()},
    figure=lambda result, entry: figure_of(FIGURES, "footprint", result, entry),
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the figures of the chosen parts."""
    modules = {part: module for part, (module, _) in PARTS.items()}
    return run_parts(options, modules, f"{__package__}.train", progress)
