"""All indexes side by side, and an index on disk through updates: `mnemos bench indexes`.

The vectors are those of the benchmark `ann`, fewer of them.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.cells import p50_p95
from mnemos.bench.index.grown import grow, reduced
from mnemos.bench.index.real import Data, real
from mnemos.bench.index.side_by_side import compare
from mnemos.bench.index.updates import update
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry

WANTED = 0.9  # the recall at which bytes are compared


@dataclass(frozen=True)
class Options(Data):
    """The size, and what the vectors are like."""

    total: int = 100_000  # vectors
    dimension: int = 128  # numbers a vector: principal directions of the embeddings
    spread: float = 1.0  # how far a grown vector is from a real one, in distances of real neighbours
    queries: int = 200  # questions
    seed: int = 0  # of the vectors and the choice of questions


def compared_table(result: Result) -> Rows:
    """Return the indexes side by side."""
    lines: Rows = [["index", "recall@10", "search p50 / p95, ms", "RAM, MB", "files, MB", "made in, processor s"]]
    for name, row in result["indexes"].items():
        sizes = [f"{row['index_mb']:.1f}", f"{row['file_mb']:.1f}", f"{row['seconds']:.1f}"]
        lines.append([name, f"{row['recall']:.3f}", p50_p95(row["search"]), *sizes])
    return lines


def update_table(result: Result) -> Rows:
    """Return what an index is like after updates, beside one that was made anew."""
    lines: Rows = [
        ["index on disk", "vectors", "recall@10", "read a query, MB", "MB at recall .9", "processor s", "a save, ms"]
    ]
    for name, row in result["updates"].items():
        found = row["mb_at_wanted"]["pruned"]
        figures = [f"{row['recall']:.3f}", f"{row['mb']:.3f}", "–" if found is None else f"{found:.3f}"]
        lines.append([name, f"{row['vectors']:,}", *figures, f"{row['seconds']:.1f}", row.get("save_ms", "")])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what an index finds, and in what time, beside exact search."""
    if entry.form != "index" or entry.name not in result["indexes"]:
        return None
    row, exact = result["indexes"][entry.name], result["indexes"]["exact"]
    text = f"finds {row['recall']:.3f} of the ten nearest of {result['vectors']:,} vectors in {row['search']['p50_ms']:.2f} ms"
    return Figure(text, {"exact": f"1.000 in {exact['search']['p50_ms']:.2f} ms"} if row is not exact else {})


@benchmark(
    "indexes",
    help="Exact search, HNSW and the index on disk side by side, and the index on disk through updates.",
    options=Options,
    tables={"indexes": compared_table, "index-updates": update_table},
    figure=figure,
    extra="ann",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the figures of all indexes, and of an index on disk after updates."""
    found = real(options, progress)
    texts, questions = reduced(found.texts, found.questions, options.dimension)
    rng = np.random.default_rng(options.seed)
    queries = questions[rng.choice(len(questions), min(options.queries, len(questions)), replace=False)]
    source = grow(texts, options.total, options.spread, options.seed)
    progress.expect(5 * options.total)
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as folder:
        compared = compare(source, queries, Path(folder), progress)
        updates = update(source, queries, Path(folder), WANTED, progress)
    about = {"seed": options.seed, "spread": options.spread, "dimension": options.dimension, "queries": len(queries)}
    return about | {"real": len(texts)} | compared | {"updates": updates}
