"""Learning without forgetting: what each strategy keeps, and what it costs: `mnemos bench continual --data FOLDER`.

A part is a claim or a family of claims, a module of `mnemos.bench.parametric.learning`; `--parts` chooses some. Data is a
folder with mnist/mnist.npz and, for some parts, text_cl/ and others; see each part. A figure is a mean over seeds, with the
standard deviation behind it. Rates and weights are those of the papers, or chosen on a seed that is not reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.parts import figure_of, run_parts, table
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark

PARTS = {  # part -> module, or module:function, of mnemos.bench.parametric.learning; and the head of its table
    "reproduce": ("reproduce", "protocol"),
    "heads": ("heads", "images: head"),
    "rehearsal": ("rehearsal", "method"),
    "prone": ("rehearsal:prone", "method"),
    "views": ("rehearsal:views", "views and passes"),
    "ages": ("schedules:ages", "method"),
    "collateral": ("schedules:collateral", "samples rehearsed"),
    "environments": ("schedules:environments", "method"),
    "gap": ("gap", "angles: method"),
    "recurring": ("recurring", "method"),
    "router": ("router", "what learns"),
    "anchors": ("anchors", "weights are held"),
    "projections": ("projections", "steps"),
    "turned": ("projections:turned", "steps"),
    "frozen": ("frozen", "map over frozen features"),
    "distilled": ("distilled", "what is held"),
    "centres": ("distilled:domains", "what is held"),
    "relations": ("distilled:relations", "what is held"),
    "classifiers": ("classifiers", "last layer"),
    "activations": ("classifiers:activations", "last hidden layer"),
    "names": ("classifiers:names", "last layer"),
    "points": ("classifiers:points", "stream: what is held"),
    "shapes": ("shapes", "hidden layers"),
    "crafted": ("shapes:crafted", "shape"),
    "held-attention": ("held_attention", "what is held"),
    "held-weights": ("held_weights", "what is held"),
    "unequal": ("held_weights:unequal", "buffer"),
    "borders": ("held_weights:borders", "stream"),
    "overlaps": ("projections:overlaps", "pairs of tasks"),
    "codes": ("codes", "what is rehearsed"),
    "bags": ("codes:bags", "what is rehearsed"),
    "activations-replayed": ("activations", "rehearsed"),
    "domains": ("domains", "method"),
    "rates": ("domains:schedules", "rate"),
    "mixture": ("mixture", "method"),
    "intervals": ("interval_lives", "what is learned"),
    "instructions": ("instructions", "what is learned"),
    "kernels": ("kernels", "what answers"),
    "named-kernels": ("kernels:named", "what answers"),
    "growth": ("growth", "bytes: method"),
    "families": ("families", "family: method"),
    "own-weights": ("own_weights", "weights of each task"),
    "pools": ("pools", "what is trained"),
    "channels": ("channels", "what a task has for itself"),
    "spans": ("spans", "method"),
    "sparse": ("sparse_lives", "training"),
    "events": ("events", "what is trained"),
    "compatible": ("compatible", "stream: method"),
    "specialists": ("specialists", "what is trained"),
    "composition": ("composition", "order"),
    "routes": ("routes", "where facts are"),
    "language": ("language", "what learns"),
}
_ALL, _WITHIN = "knows {} of all digits after five tasks", "tells {} of digits within their task"
_FIVE = "keeps {} of five tasks of digits"
_TEN, _TEXTS = "knows {} of ten digits after five tasks", "loses {} nats a byte over three texts"
Figure = tuple[str, str, tuple[str, ...], str, str]


def _figures(part: str, column: str, says: str, rows: dict[str, tuple[str, ...]]) -> dict[str, Figure]:
    """Return what the methods of a part are known by: a row of theirs, then those that it is compared with."""
    return {method: (part, own, tuple(others), column, says) for method, (own, *others) in rows.items()}


FIGURES: dict[str, Figure] = {  # method -> part, row, rows that it is compared with, column, and what the column says
    "channel-reprogramming": (
        "channels", "channels remapped", ("plain", "a head a task"), "accuracy %", "keeps {} of five angles of digits"),
    "corrections": (
        "spans", "corrections", ("plain", "replay, 30"), "error, span named", "is {} rad off where the span is named"),
    "sparse-training": (
        "sparse", "sparse 25 %", ("dense", "sparse 25 %, magnitude alone"), "accuracy %", "knows {} of ten digits"),
    "plain": ("reproduce", "S-MNIST: plain", (), "accuracy %", _ALL),
    "replay": ("reproduce", "S-MNIST: replay, 500", ("S-MNIST: plain",), "accuracy %", _ALL),
    "dark-experience-replay": ("reproduce", "S-MNIST: DER++, 500", ("S-MNIST: replay, 500",), "accuracy %", _ALL),
    "averaged-gem": ("reproduce", "S-MNIST: A-GEM, 200", ("S-MNIST: plain",), "accuracy %", _ALL),
    "anchor": ("reproduce", "Split-MNIST, task: EWC", ("Split-MNIST, task: plain",), "accuracy %", _WITHIN),
    "distillation": ("reproduce", "Split-MNIST, task: distillation (LwF)", ("Split-MNIST, task: plain",), "accuracy %", _WITHIN),
    "orthogonal-projection": (
        "projections", "orthogonal to inputs, by decomposition (GPM)",
        ("plain", "EWC", "the same, by Oja's rule (HLOP)"), "accuracy %", _FIVE),
    "gradient-projection": (
        "turned", "PCA-OGD, 60 directions a task", ("plain, 50 hidden units", "OGD, 60 directions a task"), "accuracy %", _FIVE),
    "orthogonal-subspace-fine-tuning": (
        "turned", "singular directions held, by importance (OSFT)",
        ("plain, four layers of 100", "singular directions held, equally"), "accuracy %", _FIVE),
    "ideal-linear-learner": (
        "frozen", "ideal learner, 30 directions a task", ("plain", "OGD, 30 directions a task"), "accuracy %", _ALL),
    "feature-distillation": (
        "distilled", "replay, 50, and features up to a map", ("replay, 50", "replay, 50, and features"), "accuracy %", _ALL),
    "center-loss": ("centres", "centres", ("plain", "EWC"), "accuracy %", _FIVE),
    "prototype-sample-relations": (
        "relations", "contrast, prototypes and relations (PRD)",
        ("plain", "logits held (LwF)", "contrast and prototypes"), "accuracy %", _WITHIN),
    "energy-head": (
        "classifiers", "energies, labels of the batch (EBM)",
        ("softmax over all classes", "softmax over classes of the batch"), "accuracy %", _ALL),
    "elephant": (
        "activations", "elephant", ("ReLU", "tanh"), "error of the sine",
        "leaves a squared error of {} on a sine met point by point"),
    "fixed-targets": (
        "names", "targets names, fixed (LingoCL); replay, 100",
        ("targets learned; replay, 100", "targets random, fixed; replay, 100"), "accuracy %",
        "knows {} of 50 intents after five tasks"),
    "local-similarity-head": (
        "points", "five classes, then one at a time: and ten points a class (PODNet)",
        ("five classes, then one at a time: and logits held", "five classes, then one at a time: replay, 50"), "accuracy %",
        "knows {} of all digits after six tasks"),
    "key-weights": (
        "held-weights", "the 2 % that moved most held (RegLoRA)", ("plain", "all weights held alike (L2)"), "accuracy %", _FIVE),
    "gradient-diverse-replay": (
        "unequal", "replay, 50 of unlike gradients (GSS)", ("replay, 50 at random",), "accuracy %", _ALL),
    "shape-search": (
        "crafted", "searched, at most 50% of its weights", ("usual, two layers of 100",), "accuracy %", _ALL),
    **_figures("rehearsal", "accuracy %", _TEN, {
        "greedy-balanced": ("greedy balanced (GDumb)", "replay"),
        "refresh": ("replay, refresh", "replay", "replay, noise as large as refresh"),
        "reptile": ("replay, Reptile", "replay"),
        "relational-replay": ("replay, learned weights", "replay"),
        "fast-slow-replay": ("replay, fast and slow", "replay"),
    }),
    **_figures("prone", "accuracy %", _TEN, {"forget-prone": ("FPF", "replay", "plain")}),
    **_figures("views", "accuracy %", _TEN, {"view-batch-replay": ("4 views, 4 passes", "1 view, 16 passes")}),
    **_figures("intervals", "surely %", "proves {} of the answers to earlier tasks right anywhere in their boxes of weights", {
        "hyper-interval": ("hypernetwork of boxes", "hypernetwork"),
    }),
    **_figures("kernels", "accuracy %", _TEN, {
        "generative-kernel": ("kernel, 50 generated a class", "replay, 10 a class", "kernel, 10 stored a class"),
    }),
    **_figures("growth", "accuracy %", _TEN, {
        "model-expansion": ("1300 kB: upper layers of each task (MEMO)", "1300 kB: replay", "1300 kB: all layers of each task"),
    }),
    **_figures("mixture", "in kinds %", _TEN, {"evolved-mixture": ("mixture, 50 a component", "replay of 350")}),
    **_figures("gap", "dip %", "falls by {} while the next task begins", {
        "slow-copy": ("0° 80° 160°: joint, slow copy", "0° 80° 160°: joint"),
    }),
    **_figures("ages", "accuracy %", "knows {} of ten permutations", {
        "power-law-replay": ("replay, power 1", "replay of all samples alike", "EWC"),
    }),
    **_figures("collateral", "first after %", "keeps {} of the first six digits", {
        "collateral-replay": ("4 a step, what gets lost", "4 a step, all alike"),
    }),
    **_figures("environments", "worst angle %", "knows {} at the worst angle", {
        "quantile-replay": ("quantile 0.8, 100 held", "replay, 100 held", "A-GEM, 100 held"),
    }),
    **_figures("codes", "accuracy %", "knows {} of all digits", {
        "latent-replay": ("codes of 20 bytes, no mixup, 2,200 images", "replay of 200 images"),
    }),
    **_figures("activations-replayed", "accuracy %", _TEN, {
        "sparse-activation-replay": (
            "the last classes: activations, units frozen (SHARP)", "the last classes: 440 images, as if a pixel were a byte",
            "the last classes: 2,400 codes of 20 bytes", "all classes: 110 images"),
    }),
    **_figures("bags", "accuracy %", "knows {} of eight classes of bags", {
        "breakup-replay": ("pieces, as many as in 16 bags", "replay of 16 bags"),
    }),
    **_figures("domains", "mean loss", _TEXTS, {
        "general-replay": ("general samples, margin", "general samples, labels"),
    }),
    **_figures("own-weights", "accuracy %", "knows {} of five permutations, the task named", {
        "rank-updates": ("rank updates", "rank updates, no choice of earlier terms", "separate networks"),
        "weight-masks": ("masks by scores, 30 %", "EWC", "separate networks"),
        "hypernetwork": ("hypernetwork, chunks", "plain", "EWC"),
        "weight-search": ("pieces of a frozen pool", "separate networks", "EWC"),
        "sparse-tasks": ("sparse tasks, grown at random", "sparse tasks, static", "separate networks"),
    }),
    **_figures("pools", "accuracy %", "knows {} of ten digits over a frozen backbone", {
        "prompt-pool": ("prompts by nearest keys (L2P)", "all weights in sequence", "one prompt"),
        "adapter-pool": ("adapters, selector (dynamic ConPET)", "one adapter", "all weights in sequence"),
        "self-expansion": ("adapters that come back: self-expansion", "adapters that come back: one adapter"),
    }),
    **_figures("compatible", "crossed %", "finds {} of new questions among vectors of older encoders", {
        "compatible-update": ("new images: replay and compatible update", "new images: replay"),
    }),
    **_figures("rates", "mean loss", _TEXTS, {"learning-rate": ("infinite, annealed", "cosine, warmed up again")}),
    **_figures("heads", "accuracy %", "knows {} of ten digits, class after class", {
        "random-features-head": ("1,000 a class: random features, ridge", "1,000 a class: pixels, ridge"),
        "neighbours-head": ("1,000 a class: nearest item", "1,000 a class: key-value bottleneck"),
        "prototypes-head": ("1,000 a class: prototypes, shared covariance", "1,000 a class: network, EWC"),
    }),
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Which parts, on what data, how often."""

    data: Path  # a folder with mnist/mnist.npz, text_cl/ and the like
    parts: tuple[str, ...] = tuple(PARTS)  # what to measure
    seeds: int = 3  # models and streams
    slow_seeds: int = 1  # of protocols that take minutes a run


@benchmark(
    "continual",
    help="Learning without forgetting: what each strategy keeps of what was learned before, and what it costs.",
    options=Options,
    tables={f"continual-{part}": table(part, head) for part, (_, head) in PARTS.items()},
    figure=lambda result, entry: figure_of(FIGURES, "parametric", result, entry),
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the figures of the chosen parts."""
    modules = {part: module for part, (module, _) in PARTS.items()}
    return run_parts(options, modules, f"{__package__}.learning", progress)
