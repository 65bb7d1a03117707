"""Memories of slots against what their papers compare them with: `mnemos bench slot-readers`.

- `stories`: answers over facts in one, two and three hops; `paired`: items that are apart in chains of pairs; `farthest`: vectors
  that have to be compared with each other.
- `perception`, `passes`: stories two facts at a time, and whole in two passes, by what is carried on (PMI); `synthetic`: waves,
  by how the controllers of a memory get their gradients.
- `segments`, `topics`, `replays`: slots over segments, memories that are asked for, and what training by replay saves;
  `ballet`: dances after distractors; `groups`: symbols copied across groups of tokens; `woven`: new facts over a frozen
  model; `compressed`: chunks that are restored from a few vectors.
- `prototypes`, `moments`, `serial`: banks of a bounded size on streams; `binding`: new words after one hearing;
  `places`: rooms of a walk, by what a full memory drops.

A figure is a mean over seeds, with the standard deviation behind it. Steps and rates were fixed beforehand, not tuned;
`perception`, `passes` and `synthetic` take the best of a few rates on a seed that is not reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnemos.bench.parts import figure_of, run_parts, table
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark

PARTS = {  # part -> module:function of this package
    "stories": "slot_stories:story",
    "paired": "slot_stories:paired",
    "farthest": "slot_stories:farthest",
    "perception": "slot_perception:perception",
    "passes": "slot_perception:passes",
    "synthetic": "slot_synthetic:synthetic",
    "segments": "slot_segments:segments",
    "topics": "slot_segments:topics",
    "groups": "slot_groups:groups",
    "woven": "slot_woven:woven",
    "compressed": "slot_chunks:compressed",
    "replays": "slot_segments:replays",
    "ballet": "slot_segments:ballet",
    "prototypes": "slot_banks:prototypes",
    "moments": "slot_banks:moments",
    "binding": "slot_banks:binding",
    "serial": "slot_banks:serial",
    "places": "slot_places:places",
}
HEADS = {
    "stories": "memory network",
    "paired": "model",
    "farthest": "network",
    "perception": "model",
    "passes": "model, two passes",
    "synthetic": "controllers learn from",
    "segments": "model",
    "topics": "model",
    "groups": "model",
    "woven": "model",
    "compressed": "compressor",
    "replays": "text",
    "ballet": "model",
    "prototypes": "what stays",
    "moments": "bank, fusion",
    "binding": "model",
    "serial": "bank",
    "places": "what is dropped",
}
FIGURES = {  # method -> part, row, rows that it is compared with, column, and what the column says
    "memory-network": ("stories", "3 hops", ("1 hop",), "2 supporting %", "answers {} of questions with two supporting facts"),
    "memo": ("paired", "MEMO", ("memory network, 1 hop", "LSTM"), "2 apart %", "chooses {} of items two steps apart"),
    "relational-memory-core": ("farthest", "relational memory", ("LSTM", "GRU"), "right %", "names {} of farthest vectors"),
    "perception-memory-inference": (
        "passes", "PMI", ("PMI, no long-term memory", "transformer"), "wrong, 2 supporting %",
        "is wrong for {} of questions with two supporting facts",
    ),
    "synthetic-gradients": (
        "synthetic", "each segment, predicted gradients", ("each segment, cut", "whole episode"), "batches to the goal",
        "reaches the goal after {} batches",
    ),
    "memformer": ("segments", "8 slots", ("no slots",), "2 segments between %", "recalls {} of values across two segments"),
    "lm2": ("segments", "LM2, 8 slots", ("8 slots", "one memory token", "no slots"), "2 segments between %",
            "recalls {} of values across two segments"),
    "hmt": ("topics", "retrieved memories", ("newest memory", "8 slots", "no memory"), "right %",
            "predicts {} of words of a topic that comes back"),
    "far-reaching": ("groups", "groups with latents", ("groups without latents", "full attention"), "right %",
                     "copies {} of symbols across groups"),
    "woven-memory": ("woven", "woven where asked", ("frozen", "woven at random", "adapter", "prefix"), "new %",
                     "answers {} of new facts over a frozen model"),
    "reversible-memory": ("compressed", "reversible, 4 vectors", ("one way, 4 vectors",), "restored %",
                          "restores {} of words from 4 vectors"),
    "memory-replay": ("replays", "16 segments", (), "replay, KB", "saves {} KB for 16 segments"),
    "hierarchical-chunks": ("ballet", "chunks", ("full attention", "LSTM"), "24 distractors %", "repeats {} of moves"),
    "usage-prototypes": ("prototypes", "used, averaged", ("newest, not averaged",), "error", "reads with an error of {}"),
    "merged-neighbours": ("moments", "merged, gated", ("oldest dropped, gated",), "right %", "remembers {} of buttons"),
    "gated-fusion": ("moments", "merged, gated", ("merged, added",), "right %", "remembers {} of buttons"),
    "dual-coding": ("binding", "dual coding", ("fused key", "LSTM"), "20 things %", "understands {} of words among 20 things"),
    "place-memory": ("places", "most visited first", ("oldest first", "most visited first, read by time alone"),
                     "last in a room %", "answers {} of what was last in a room"),
    "memory-allocator": ("places", "learned", ("oldest first", "newest first", "most visited first", "least visited first"),
                         "mean %", "answers {} over four tasks"),
    "memoria": ("serial", "Memoria", (), "last 6 held %", "holds {} of the last six items of a list of 60"),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Which parts, and how often."""

    parts: tuple[str, ...] = tuple(PARTS)  # what to measure
    seeds: int = 3  # worlds, models and streams


@benchmark(
    "slot-readers",
    help="Readers in hops, slots over segments, and banks of a bounded size, beside their baselines.",
    options=Options,
    tables={f"slot-readers-{part}": table(part, head) for part, head in HEADS.items()},
    figure=lambda result, entry: figure_of(FIGURES, "neural", result, entry),
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each part; see the module."""
    return run_parts(options, PARTS, __package__, progress)
