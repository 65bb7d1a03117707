"""Approximate search: `mnemos bench ann`. An index on disk at ten million vectors, and what each of its parts saves.

Ten million texts with vectors are not at hand: the vectors are grown from real ones (`grown`), the bundled embedder's of
25,700 turns of LoCoMo, BEAM and QMSum, in their first principal directions. Queries are real questions of those sets. What
counts is recall@10 against exact search, and the bytes of lists that a query reads.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.cells import p50_p95
from mnemos.bench.index.grown import Grown, grow, reduced
from mnemos.bench.index.real import Data, real
from mnemos.bench.index.truth import nearest
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.errors import MnemosError
from mnemos.index.base import Floats
from mnemos.index.disk.spann import DiskIndex, Knobs
from mnemos.registry import Entry

WANTED = 0.9  # the recall at which bytes are compared
ABLATIONS: Mapping[str, Knobs] = {
    "all parts": Knobs(),
    "sizes not balanced": Knobs(balance=False),
    "no closure: a row in one list": Knobs(replicas=1),
}


@dataclass(frozen=True)
class Options(Data):
    """The sizes, and what the vectors are like."""

    total: int = 10_000_000  # vectors of the index on disk
    ablations: int = 500_000  # vectors of the indexes that lack a part
    dimension: int = 128  # numbers a vector: principal directions of the embeddings
    spread: float = 1.0  # how far a grown vector is from a real one, in distances of real neighbours
    queries: int = 200  # questions
    seed: int = 0  # of the vectors and the choice of questions


def table(result: Result) -> Rows:
    """Return the figures of the index on disk by the number of vectors."""
    head = [
        "vectors",
        "recall@10",
        "read a query, mean / most, MB",
        "search p50 / p95, ms",
        "RAM, MB",
        "of it the index",
    ]
    lines: Rows = [[*head, "lists", "rows a list", "copies", "files, MB", "build, processor s"]]
    for row in result["sizes"]:
        size = row["rows_a_list"]
        found = [f"{row['vectors']:,}", f"{row['recall']:.3f}", f"{row['mb']:.2f} / {row['most_mb']:.2f}"]
        held = [p50_p95(row["search"]), f"{row['rss_mb']['searched']:.0f}", f"{row['index_mb']:.0f}"]
        sizes = [f"{row['lists']:,}", f"{size['mean']:.0f} ± {size['sd']:.0f}", f"{row['copies']:.2f}"]
        lines.append([*found, *held, *sizes, f"{row['file_mb']:,.0f}", f"{row['build_seconds']:.0f}"])
    return lines


def ablation_table(result: Result) -> Rows:
    """Return the megabytes a query that the recall of .90 takes, without each part."""
    rows = result["ablations"]
    whole = rows["all parts"]["mb_at_wanted"]
    found = {name: row["mb_at_wanted"]["pruned"] for name, row in rows.items()}
    found["no pruning: the same number of lists for all"] = whole["fixed"]
    lines: Rows = [["index", f"MB a query at recall {WANTED}", "more than with all parts"]]
    for name, mb in found.items():
        more = "not reached" if mb is None else f"{mb / whole['pruned'] - 1:+.0%}"
        lines.append([name, "–" if mb is None else f"{mb:.3f}", "" if name == "all parts" else more])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what the largest index finds, reads and holds, and what pruning saves."""
    if (entry.form, entry.name) != ("index", "spann"):
        return None
    row = result["sizes"][-1]
    text = (
        f"finds {row['recall']:.3f} of the ten nearest of {row['vectors']:,} vectors, reads {row['mb']:.2f} MB a query and"
        f" holds {row['rss_mb']['searched']:.0f} MB"
    )
    saved = result["ablations"]["all parts"]["mb_at_wanted"]
    return Figure(text, {"pruning, MB at recall .9": f"{saved['pruned']:.3f}", "without": f"{saved['fixed']:.3f}"})


@benchmark(
    "ann",
    help="Approximate search: an index on disk at ten million vectors, and what each of its parts saves.",
    options=Options,
    tables={"ann": table, "ann-ablations": ablation_table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the figures at each size, and of each part left out."""
    found = real(options, progress)
    texts, questions = reduced(found.texts, found.questions, options.dimension)
    rng = np.random.default_rng(options.seed)
    queries = questions[rng.choice(len(questions), min(options.queries, len(questions)), replace=False)]
    source = grow(texts, options.total, options.spread, options.seed)
    some = source.first(options.ablations)
    progress.expect(7 * options.ablations + 3 * options.total)
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as folder:
        place = Path(folder)
        truth = nearest(some.chunks(), queries, progress)
        ablations = {name: measure(some, knobs, queries, truth, place, progress) for name, knobs in ABLATIONS.items()}
        truth = nearest(source.chunks(), queries, progress)
        sizes = [ablations["all parts"], measure(source, Knobs(), queries, truth, place, progress, 0)]
    return {
        "seed": options.seed, "spread": options.spread, "dimension": options.dimension, "queries": len(queries),
        "real": len(texts), "sizes": sizes, "ablations": ablations,
    }  # fmt: skip


def measure(
    source: Grown, knobs: Knobs, queries: Floats, truth: Any, place: Path, progress: Progress, wanted: float = WANTED
) -> dict[str, Any]:
    """Build an index of a source, search it in a process of its own, and remove it."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        start = time.process_time()
        chunks = _counted(source, progress)
        DiskIndex.build(Path(folder) / "index", queries.shape[1], chunks, source.total, knobs)
        seconds = time.process_time() - start
        np.savez(Path(folder) / "asked.npz", queries=queries, truth=truth)
        row = probe(Path(folder) / "index", Path(folder) / "asked.npz", wanted)
    return {"vectors": source.total, "build_seconds": round(seconds, 1)} | row


def _counted(source: Grown, progress: Progress) -> Any:
    def chunks() -> Any:
        for keys, vectors in source.chunks():
            yield keys, vectors
            progress(len(keys))

    return chunks


def probe(folder: Path, asked: Path, wanted: float) -> dict[str, Any]:
    """Return what a fresh process measures of an index. Raises MnemosError with its error."""
    command = [sys.executable, "-m", "mnemos.bench.index.probe", str(folder), str(asked), str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MnemosError(f"the measuring process failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
