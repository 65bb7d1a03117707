"""Associative memories against what their papers compare them with: `mnemos bench associative`.

- `capacity`, `law`, `regimes`: Hopfield networks by energy: patterns restored in one step, the classical law, and what beta does.
- `pooling`: bags read by a Hopfield layer, by the largest and by the mean; `outliers`: attention with an empty slot.
- `cliques`, `consolidation`, `ca3`, `sparsey`: binary memories.
- `resonator`, `keys`, `retrieval`, `regression`: factors of products, keys that differ, samples that are novel.
- `condensed`, `temperature`: where a read condenses, and the rule for its temperature against fixed ones.
- `brain`, `larimar`: triples and pairs behind small encoders.

A figure is a mean over seeds, with the standard deviation behind it. Only `pooling`, `outliers`, `brain` and `larimar` train;
their steps and rates, and some settings of `resonator` and `sparsey`, were chosen on seeds that are among the reported ones.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from mnemos.bench.parts import figure_of, run_parts, table
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark

PARTS = {  # part -> module:function of this package
    "capacity": "associative_patterns:capacity",
    "law": "associative_patterns:law",
    "regimes": "associative_patterns:regimes",
    "pooling": "associative_trained:pooling",
    "outliers": "associative_outliers:outliers",
    "cliques": "associative_patterns:cliques",
    "consolidation": "associative_patterns:consolidation",
    "ca3": "associative_patterns:ca3",
    "sparsey": "associative_patterns:sparsey",
    "resonator": "associative_pairs:resonator",
    "keys": "associative_pairs:keys",
    "retrieval": "associative_pairs:retrieval",
    "regression": "associative_pairs:regression",
    "condensed": "associative_pairs:condensed",
    "temperature": "associative_pairs:temperature",
    "brain": "associative_trained:brain",
    "larimar": "associative_trained:larimar",
}
HEADS = {
    "capacity": "network, patterns",
    "law": "patterns for D units",
    "regimes": "inverse temperature",
    "pooling": "pooling",
    "outliers": "layers",
    "cliques": "stored",
    "consolidation": "memory",
    "ca3": "contents",
    "sparsey": "coding field",
    "resonator": "codebooks",
    "keys": "memory",
    "retrieval": "cue",
    "regression": "basis and learner",
    "condensed": "keys",
    "temperature": "inverse temperature",
    "brain": "entities have",
    "larimar": "model",
}
FIGURES = {  # method -> part, row, rows that it is compared with, column, and what the column says
    "hopfield": (
        "capacity", "softmax, D 64", (), "32,768 %", 
        "restores {} of 32,768 patterns of 64 bits in one step, 10 % of the bits flipped",
    ),
    "hopfield-layer": ("pooling", "Hopfield", ("max", "mean"), "right %", "is right for {} of bags of 48 instances"),
    "outlier-efficient-hopfield": ("outliers", "outlier-efficient-hopfield", ("attention",), "kurtosis", "has a kurtosis of {}"),
    "clustered-cliques": ("cliques", "1,000 items", (), "cliques %", "restores {} of 1,000 items from half of their clusters"),
    "ca3": ("ca3", "50 % in common", (), "CA3, 60 % shown %", "completes {} of contents that share half of their bits"),
    "sparsey": (
        "sparsey", "Q 24, K 8, power 8", ("Q 24, K 8, familiarity ignored",), "rank correlation of inputs and codes",
        "has a rank correlation of {} between inputs and codes",
    ),
    "resonator": ("resonator", "80 rows", (), "attention %", "factors {} of products of three codebooks of 80 rows"),
    "separate-keys": (
        "keys", "whitened keys, cues with noise 0.3", ("raw keys, cues with noise 0.3",), "alike 0.8 %",
        "finds {} of values under alike keys",
    ),
    "novelty-gated-regression": (
        "regression", "novel samples, newton", ("all samples, newton", "as many, random ones, newton"), 
        "loss a sample", "has a loss of {} a sample",
    ),
    "read-temperature": ("temperature", "the rule", ("beta 4", "beta 8", "beta 1000"), "mean", "has a mean error of {}"),
    "tensor-brain": (
        "brain", "one embedding an index", ("an embedding for each place",), "triples of an instant %",
        "regenerates {} of triples",
    ),
    "larimar": ("larimar", "Larimar", ("transformer",), "80 pairs %", "recalls {} of 80 pairs after training on 8"),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Which parts, and how often."""

    parts: tuple[str, ...] = tuple(PARTS)  # what to measure
    seeds: int = 3  # memories and models


@benchmark(
    "associative",
    help="Associative memories: capacity, laws, keys, temperatures, and small trained ones, beside their baselines.",
    options=Options,
    tables={f"associative-{part}": table(part, head) for part, head in HEADS.items()},
    plot=lambda result, path: importlib.import_module(f"{__package__}.associative_plot").plot(result, path),
    figure=lambda result, entry: figure_of(FIGURES, "neural", result, entry),
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each part; see the module."""
    return run_parts(options, PARTS, __package__, progress)
