"""Updates of an index on disk: what splits and removals leave, beside an index made anew of the same vectors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.index.grown import Grown
from mnemos.bench.index.probe import cost, searched
from mnemos.bench.index.truth import nearest
from mnemos.bench.progress import SILENT, Progress
from mnemos.index.base import Floats, Keys
from mnemos.index.disk.spann import DiskIndex

BATCH = 1_000  # vectors an `add` and a save
SHARE = 5  # one vector in so many is in the index before the updates; as many are removed afterwards


def update(source: Grown, queries: Floats, place: Path, wanted: float, progress: Progress) -> dict[str, Any]:
    """Return the figures of an index that grew fivefold in small batches, of one after removals, and of ones made anew."""
    keys, vectors = source.everything()
    first = len(keys) // SHARE
    found = {}
    start = time.process_time()
    grown = _made(keys[:first], vectors[:first], place / "grown")
    saves = []
    for at in range(first, len(keys), BATCH):
        grown.add(keys[at : at + BATCH], vectors[at : at + BATCH])
        began = time.perf_counter()
        grown.save(place / "grown")
        saves.append((time.perf_counter() - began) * 1e3)
        progress(BATCH)
    seconds = time.process_time() - start
    found["grown fivefold, 1,000 a save"] = _figures(grown, keys, vectors, queries, wanted) | {
        "seconds": round(seconds, 2),
        "save_ms": f"{np.median(saves):.0f}",
    }
    start = time.process_time()
    anew = _made(keys, vectors, place / "anew")
    seconds = time.process_time() - start
    found["made anew of the same"] = _figures(anew, keys, vectors, queries, wanted) | {"seconds": round(seconds, 2)}
    gone = np.random.default_rng(0).permutation(len(keys)) < first
    start = time.process_time()
    grown.remove(keys[gone])
    grown.save(place / "grown")
    seconds = time.process_time() - start
    left = _figures(grown, keys[~gone], vectors[~gone], queries, wanted)
    found["and a fifth removed"] = left | {"seconds": round(seconds, 2)}
    return found


def _made(keys: Keys, vectors: Floats, folder: Path) -> DiskIndex:
    index = DiskIndex(vectors.shape[1])
    index.add(keys, vectors)
    index.save(folder)
    return index


def _figures(index: DiskIndex, keys: Keys, vectors: Floats, queries: Floats, wanted: float) -> dict[str, Any]:
    truth = nearest([(keys, vectors)], queries, SILENT)
    row = searched(index, queries, truth)
    return {"vectors": len(index), **row, "mb_at_wanted": cost(index, queries, truth, wanted)}
