"""Time and memory by the size of a space: `mnemos bench scale`.

One space of synthetic conversation (`synthetic`) grows through the sizes asked for. At each size a fresh process opens
it and measures the first search (which loads model and index), searches, single durable adds, and searches right after
an add. With `vectors="real"` the bundled model embeds every cube; with "random" the cubes get random unit vectors of
the same dimension, which fills 100,000 of them in a minute. Exact search costs the same on both, and the model embeds
queries and single adds in either case.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnemos.bench import machine
from mnemos.bench.cells import p50_p95
from mnemos.bench.plots import BLUE, GREEN, VERMILION, new_figure, tidy
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text import metrics
from mnemos.bench.text.synthetic import Corpus
from mnemos.embed import Embedder
from mnemos.embed.base import embed_questions
from mnemos.errors import MnemosError
from mnemos.system import Mnemos

SIZES = (1_000, 6_000, 10_000, 100_000)
BATCH = 2_000  # messages a transaction when filling
SPACE = "scale"


@dataclass(frozen=True)
class Options:
    """The sizes, and what is timed."""

    sizes: tuple[int, ...] = SIZES  # numbers of cubes
    vectors: Literal["real", "random"] = "real"  # real: the bundled model embeds everything; random: faster to fill
    adds: int = 100  # single adds to time
    queries: int = 200  # searches to time
    seed: int = 0  # seed of the texts


class RandomVectors:
    """An embedder under another one's name that draws unit vectors at random, (N, D) float32, whatever the texts."""

    def __init__(self, model: Embedder, seed: int = 0) -> None:
        self.name, self.revision, self.dimension = model.name, model.revision, model.dimension
        self.rng = np.random.default_rng(seed)

    def embed(self, texts: Sequence[str], *, progress: Any = None) -> NDArray[np.float32]:
        """Return one random unit vector a text."""
        vectors = self.rng.standard_normal((len(texts), self.dimension), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        if progress is not None:
            progress(len(texts))
        return vectors


def table(result: Result) -> Rows:
    """Return the table of time and memory by the number of cubes."""
    head = ["cubes", "add p50 / p95, ms", "search p50 / p95, ms", "of it the query's embedding", "search after an add"]
    lines: Rows = [[*head, "open, ms", "first search, ms", "RSS, MB", "index, MB", "file, MB"]]
    for row in result["sizes"]:
        times = [p50_p95(row[name]) for name in ("add", "search", "query_embedding", "search_after_add")]
        sizes = [f"{row['rss_mb']['at_end']:.0f}", f"{row['index_mb']:.0f}", f"{row['file_mb']:.0f}"]
        opening = [f"{row['open_ms']:.1f}", f"{row['first_search_ms']:.0f}"]
        lines.append([f"{row['cubes']:,}", *times, *opening, *sizes])
    return lines


def plot(result: Result, path: Path) -> Path:
    """Draw the median and the 95th percentile of an add and a search by the number of cubes."""
    figure = new_figure(6.5, 3.8)
    axis = figure.subplots()
    sizes = [row["cubes"] for row in result["sizes"]]
    for name, label, colour in (
        ("add", "add", GREEN), ("search", "search", BLUE), ("search_after_add", "search after an add", VERMILION),
    ):  # fmt: skip
        axis.plot(
            sizes, [row[name]["p50_ms"] for row in result["sizes"]], color=colour, marker="o", markersize=4, label=label
        )
        axis.plot(sizes, [row[name]["p95_ms"] for row in result["sizes"]], color=colour, linestyle=":", linewidth=1)
    axis.set(xlabel="cubes in the space", ylabel="ms, median (dots: 95th percentile)", xscale="log", yscale="log")
    axis.legend(fontsize=9, frameon=False)
    tidy(axis)
    figure.savefig(str(path), dpi=150)
    return path


@benchmark(
    "scale",
    help="Time and memory by the number of cubes in one space.",
    options=Options,
    tables={"scale": table},
    plot=plot,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the measurements at each size, in rising order."""
    seed, rows, at = options.seed, [], 0
    messages = Corpus(seed).messages(max(options.sizes))
    progress.expect(max(options.sizes))
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root:
        for size in sorted(options.sizes):
            start = time.perf_counter()
            with Mnemos(root, timezone="UTC") as memory:
                if options.vectors == "random" and memory.embedder is not None:
                    memory.embedder = RandomVectors(memory.embedder, seed)
                space = memory.space(SPACE)
                while batch := list(islice(messages, min(BATCH, size - at))):
                    at += len(space.add_many(batch))
                    progress(len(batch))
            filled = time.perf_counter() - start
            row = probe(Path(root), size, options.adds, options.queries, seed)
            rows.append(row | {"fill_seconds": round(filled, 1)})
    return {"vectors": options.vectors, "k": 10, "sizes": rows}


def probe(root: Path, size: int, adds: int, queries: int, seed: int) -> dict[str, Any]:
    """Return what a fresh process measures of the space under `root`. Raises MnemosError with its error."""
    arguments = [str(root), str(size), str(adds), str(queries), str(seed)]
    done = subprocess.run(
        [sys.executable, "-m", "mnemos.bench.text.scale", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MnemosError(f"the measuring process failed at {size} cubes:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main(root: str, size: int, adds: int, queries: int, seed: int) -> dict[str, Any]:
    """Measure the space under `root`, which holds at least `size` cubes; runs in its own process."""
    questions = Corpus(seed).queries(2 * queries + adds)
    asked, embedded, after = questions[:queries], questions[queries : 2 * queries], questions[2 * queries :]
    before = machine.rss_mb()
    start = time.perf_counter()
    memory = Mnemos(root, timezone="UTC")
    space = memory.space(SPACE)
    opened = time.perf_counter() - start
    space.search("the first question of all", 10)
    first = time.perf_counter() - start - opened
    loaded = machine.rss_mb()
    cubes = space.count()
    search = [timed(lambda q=q: space.search(q, 10)) for q in asked]
    embedder = space.text.embedder
    embed = [timed(lambda q=q: embed_questions(embedder, [q])) for q in embedded if embedder is not None]
    single, next_search = [], []
    for message, query in zip(Corpus(seed + 1).messages(adds), after, strict=True):
        del message["id"]
        single.append(timed(lambda m=message: space.add(**m)))
        next_search.append(timed(lambda q=query: space.search(q, 10)))
    return {
        "cubes": cubes,
        "open_ms": round(opened * 1e3, 2),
        "first_search_ms": round(first * 1e3, 1),
        "search": metrics.latency_ms(search),
        "query_embedding": metrics.latency_ms(embed) if embed else None,
        "add": metrics.latency_ms(single),
        "search_after_add": metrics.latency_ms(next_search),
        "rss_mb": {"imported": round(before, 1), "loaded": round(loaded, 1), "at_end": round(machine.rss_mb(), 1)},
        "index_mb": round(space.stats()["index_bytes"] / 1e6, 1),
        "file_mb": round(sum(f.stat().st_size for f in Path(root).rglob("*") if f.is_file()) / 1e6, 1),
    }


def timed(call: Any) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    root_, *numbers = sys.argv[1:]
    json.dump(main(root_, *map(int, numbers)), sys.stdout)
