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
    "slots": ("states:slots", "states of 8,000 words and eight layers, six read ahead"),
    "sharded": ("sharded", "two processes"),
    "addresses": ("addresses", "a step of training"),
    "smollm2": ("smollm2", "an adapter beside SmolLM2"),
    "learn": ("learn", "space.learn on SmolLM2"),
}
_PEAK = "trains an adapter beside SmolLM2 with {} MB at its peak"
_KEPT, _LOSS = "keeps {} of what autograd keeps", "reaches a loss of {} nats a letter"
_SPOILT = "two layers spoilt: "
FIGURES: dict[str, tuple[str, str, tuple[str, ...], str, str]] = {  # method -> part, row, others, column, what it says
    "chunked-loss": ("smollm2", "loss in chunks", ("in memory",), "peak MB", _PEAK),
    "disk": ("smollm2", "loss in chunks, activations on disk", ("in memory", "loss in chunks"), "peak MB", _PEAK),
    "recomputed": ("smollm2", "loss in chunks, layers computed again", ("in memory", "loss in chunks"), "peak MB", _PEAK),
    "token-wise": ("token-wise", "50 %", ("0 %", "100 %"), "peak, of plain %", "trains with {} of the memory beyond weights"),
    "quantised": ("estimates", "8 bits a number", ("plain",), "kept, of plain %", _KEPT),
    "approximate": ("estimates", "derivatives of 4 bits", ("plain",), "kept, of plain %", _KEPT),
    "shared-norm": (
        "estimates", "derivatives of 2 bits, shared norms", ("plain", "derivatives of 4 bits"), "kept, of plain %",
        _KEPT + ", together with derivatives of 2 bits"),
    "sampled": (
        "estimates", "30 % of rows, sure and drawn", ("plain", "30 % of rows, alike"), "test loss",
        _LOSS + " with 30 % of the rows"),
    "projected": ("fewer-dimensions", "projected to a quarter", ("plain", "low rank 12"), "test loss", _LOSS),
    "sparse-low-rank": ("fewer-dimensions", "low rank 8, 5 % single numbers", ("plain", "low rank 12"), "test loss", _LOSS),
    "states-on-disk": ("states", "on disk", ("in memory",), "states in memory MB", "holds {} MB of Adam's states in memory"),
    "sharded": (
        "sharded", "states shared out", ("data-parallel (DDP)",), "states, first process kB",
        "holds {} kB of states in each of two processes"),
    "layer-sampling": (
        "layers", _SPOILT + "two of six by their scores", (_SPOILT + "two of six at random", _SPOILT + "all layers"), "test loss",
        _LOSS),
    "addresses": (
        "addresses", "computed again", (), "planned, above it %",
        "needs a block {} larger than what is held at once where layers are computed again"),
    "density": (
        "density", "ReLU: density loss, weight 1", ("ReLU: plain",), "density %", "leaves {} of feed-forward numbers not zero"),
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
    tables={f"training-{part}": table(part, head) for part, (_, head) in PARTS.items()},
    figure=lambda result, entry: figure_of(FIGURES, "footprint", result, entry),
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the figures of the chosen parts."""
    modules = {part: module for part, (module, _) in PARTS.items()}
    return run_parts(options, modules, f"{__package__}.train", progress)
