"""Search an index on disk in a process of its own, and report what was found, read and held."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench import machine
from mnemos.bench.index.truth import K, least
from mnemos.bench.text import metrics
from mnemos.index.disk.spann import DiskIndex

MOST = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # lists a query, at most
REACH = (0.3, 0.4, 0.5, 0.7)  # how much farther than the nearest a list may be
ALL = 9.0  # a reach that no list is beyond: all queries read as many lists


def searched(index: DiskIndex, queries: Any, truth: Any, **knobs: Any) -> dict[str, Any]:
    """Return recall, megabytes a query and times with other knobs."""
    before, index.knobs = index.knobs, replace(index.knobs, **knobs)
    read, seconds, found, most = index.lists.bytes_read, [], 0, 0
    for query, right in zip(queries, truth, strict=True):
        start, had = time.perf_counter(), index.lists.bytes_read
        keys = index.search(query, K).keys
        seconds.append(time.perf_counter() - start)
        most = max(most, index.lists.bytes_read - had)
        found += int(np.isin(keys, right).sum())
    index.knobs = before
    return {
        "recall": round(found / truth.size, 4),
        "mb": round((index.lists.bytes_read - read) / len(queries) / 1e6, 4),
        "most_mb": round(most / 1e6, 4),
        "search": metrics.latency_ms(seconds),
    }


def cost(index: DiskIndex, queries: Any, truth: Any, wanted: float) -> dict[str, float | None]:
    """Return the megabytes a query that a recall takes: with pruning at its best reach, and with a fixed number of lists."""
    found = {}
    for reach in (*REACH, ALL):
        rows: list[tuple[float, float]] = []
        for most in MOST:
            row = searched(index, queries, truth, reach=reach, most=most)
            if rows and row["mb"] <= rows[-1][1]:
                break  # the reach is what holds it back now
            rows.append((row["recall"], row["mb"]))
            if row["recall"] >= wanted:
                break
        found[reach] = least(rows, wanted)
    pruned = [mb for reach, mb in found.items() if mb is not None and reach != ALL]
    return {"pruned": min(pruned, default=None), "fixed": found[ALL]}


def main(folder: str, asked: str, wanted: float) -> dict[str, Any]:
    """Measure the index in a folder with the queries and their neighbours of a file; `wanted` 0 leaves out `cost`."""
    with np.load(asked) as kept:
        queries, truth = kept["queries"], kept["truth"]
    imported = machine.rss_mb()
    start = time.perf_counter()
    index = DiskIndex.open(Path(folder))
    opened = time.perf_counter() - start
    first = searched(index, queries, truth)  # every list is compared with its checksum
    row = searched(index, queries, truth) | {"first_search": first["search"], "open_ms": round(opened * 1e3, 1)}
    row |= {"rss_mb": {"imported": round(imported, 1), "searched": round(machine.rss_mb(), 1)}}
    lengths = index.lists.lengths
    row |= {
        "index_mb": round(index.nbytes / 1e6, 1),
        "lists": len(lengths),
        "rows_a_list": {"mean": round(float(lengths.mean()), 1), "sd": round(float(lengths.std()), 1)},
        "copies": round(float(lengths.sum()) / max(len(index), 1), 3),
        "file_mb": round(sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6, 1),
    }
    return row | ({"mb_at_wanted": cost(index, queries, truth, wanted)} if wanted else {})


if __name__ == "__main__":
    json.dump(main(sys.argv[1], sys.argv[2], float(sys.argv[3])), sys.stdout)
