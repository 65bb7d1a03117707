"""Categories that arrive in batches: `mnemos bench lifelong`. Hash functions that learn them without encoding the past again.

Two views of each item, a text-like and a picture-like one, both nonlinear maps of the same hidden vector; a query in one view
asks for items by their codes. What counts is the mean average precision over all categories after the last batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.index.base import Floats
from mnemos.index.codes.lifelong import LifelongHash
from mnemos.registry import Entry

HIDDEN, WIDTHS = 24, (96, 128)  # numbers of the hidden vector and of each view
NAIVE = "naive fine-tuning"
WAYS: dict[str, Callable[[int, int], LifelongHash]] = {
    "lifelong": lambda bits, seed: LifelongHash(WIDTHS, bits, seed=seed),
    "without the anchor": lambda bits, seed: LifelongHash(WIDTHS, bits, seed=seed, anchor=0),
    NAIVE: lambda bits, seed: LifelongHash(WIDTHS, bits, seed=seed, anchor=0, old=0),
}


@dataclass(frozen=True)
class Options:
    """The sizes, and how often it is repeated."""

    categories: int = 10  # labels in all
    batches: int = 5  # in which they arrive
    items: int = 30  # of a category, to learn
    asked: int = 20  # of a category, to ask with
    bits: int = 64  # of a code
    seeds: int = 3  # repetitions


def table(result: Result) -> Rows:
    """Return precision, the time of the last batch and what became of old codes."""
    lines: Rows = [
        ["way", "mAP, text to picture", "mAP, picture to text", "last batch, processor s", "old codes changed"]
    ]
    for name, row in result["ways"].items():
        times = f"{row['seconds']:.2f}"
        lines.append([name, *(f"{v:.3f}" for v in row["map"]), times, f"{row['changed']:.1%}"])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return the precision after the last batch beside naive fine-tuning and full training."""
    if (entry.form, entry.name) != ("index", "lifelong"):
        return None
    maps = {name: f"{np.mean(row['map']):.3f}" for name, row in result["ways"].items()}
    text = f"has a mean average precision of {maps.pop('lifelong')} after the last of {result['batches']} batches of categories"
    return Figure(text, maps)


@benchmark(
    "lifelong",
    help="Hash codes while categories arrive in batches: what is found of all of them after the last batch.",
    options=Options,
    tables={"lifelong": table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the means over the seeds of each way, and of training on everything again."""
    progress.expect(options.seeds * (len(WAYS) + 1))
    rows: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        views, labels, queries, asked = items(options, seed)
        of = labels.argmax(axis=1) * options.batches // options.categories
        for name, make in WAYS.items():
            hashes, seconds = make(options.bits, seed), 0.0
            before = hashes.codes
            for batch in range(options.batches):
                before, here = hashes.codes.copy(), of == batch
                start = time.process_time()
                hashes.learn([v[here] for v in views], labels[here])
                seconds = time.process_time() - start
            order = np.argsort(of, kind="stable")
            changed = float((hashes.codes[: len(before)] != before).any(axis=1).mean())
            rows.setdefault(name, []).append(scored(hashes, queries, asked, labels[order], seconds, changed))
            progress(1)
        full = LifelongHash(WIDTHS, options.bits, steps=150 * options.batches, seed=seed)
        start = time.process_time()
        full.learn(views, labels)
        seconds = time.process_time() - start
        row = scored(full, queries, asked, labels, seconds, 1.0)
        rows.setdefault("trained on everything again", []).append(row)
        progress(1)
    ways = {
        name: {key: np.mean([r[key] for r in found], axis=0).round(4).tolist() for key in found[0]}
        for name, found in rows.items()
    }
    about = {name: getattr(options, name) for name in ("categories", "batches", "items", "asked", "bits", "seeds")}
    return about | {"ways": ways}


def items(options: Options, seed: int) -> tuple[list[Floats], Floats, list[Floats], Floats]:
    """Return the views and labels of items to learn, and of queries."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((options.categories, HIDDEN))
    maps = [rng.standard_normal((HIDDEN, width)) / np.sqrt(HIDDEN) for width in WIDTHS]

    def draw(each: int) -> tuple[list[Floats], Floats]:
        of = np.repeat(np.arange(options.categories), each)
        hidden = centres[of] + 0.7 * rng.standard_normal((len(of), HIDDEN))
        text = np.tanh(hidden @ maps[0]) + 0.3 * rng.standard_normal((len(of), WIDTHS[0]))
        picture = np.maximum(hidden @ maps[1], 0) + 0.3 * rng.standard_normal((len(of), WIDTHS[1]))
        return [text.astype(np.float32), picture.astype(np.float32)], np.eye(options.categories, dtype=np.float32)[of]

    views, labels = draw(options.items)
    queries, asked = draw(options.asked)
    return views, labels, queries, asked


def scored(
    hashes: LifelongHash, queries: list[Floats], asked: Floats, labels: Floats, seconds: float, changed: float
) -> dict[str, Any]:
    """Return the mean average precision of queries of each view."""
    maps = [precision(hashes.hash(view, rows), hashes.codes, asked, labels) for view, rows in enumerate(queries)]
    return {"map": maps, "seconds": seconds, "changed": changed}


def precision(asked: Floats, codes: Floats, wanted: Floats, labels: Floats) -> float:
    """Return the mean over queries of the average precision of all codes in the order of their equal bits."""
    order = np.argsort(-(asked @ codes.T), axis=1, kind="stable")
    right = np.take_along_axis(wanted @ labels.T > 0, order, axis=1)
    ranks = np.arange(1, right.shape[1] + 1)
    return float(((np.cumsum(right, axis=1) / ranks * right).sum(axis=1) / right.sum(axis=1)).mean())
