"""All indexes on the same vectors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mnemos.bench.index.grown import Grown
from mnemos.bench.index.truth import K, nearest, recall
from mnemos.bench.progress import Progress
from mnemos.bench.text import metrics
from mnemos.index.base import Floats, VectorIndex
from mnemos.index.disk.spann import DiskIndex
from mnemos.index.hnsw import HnswIndex
from mnemos.index.mapped import MappedIndex

INDEXES: dict[str, Any] = {"exact": MappedIndex, "hnsw": HnswIndex, "spann": DiskIndex}


def compare(source: Grown, queries: Floats, place: Path, progress: Progress) -> dict[str, Any]:
    """Return recall, times and sizes of each index, made in one `add`, saved and opened again."""
    keys, vectors = source.everything()
    truth = nearest([(keys, vectors)], queries, progress)
    found = {}
    for name, kind in INDEXES.items():
        index: VectorIndex = kind(queries.shape[1])
        start = time.process_time()
        index.add(keys, vectors)
        seconds = time.process_time() - start
        index.save(place / name)
        index = kind.open(place / name)
        share = recall(index, queries, truth)  # and every page was read once
        times = []
        for query in queries:
            start = time.perf_counter()
            index.search(query, K)
            times.append(time.perf_counter() - start)
        size = sum(path.stat().st_size for path in (place / name).iterdir())
        found[name] = {
            "recall": round(share, 4),
            "search": metrics.latency_ms(times),
            "index_mb": round(index.nbytes / 1e6, 2),
            "file_mb": round(size / 1e6, 2),
            "seconds": round(seconds, 2),
        }
        progress(len(keys))
    return {"vectors": len(keys), "indexes": found}
