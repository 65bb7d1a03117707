"""Time and memory by the size of a space: `mnemos bench scale`.

One space of synthetic conversation (`synthetic`) grows through the sizes asked for. At each size a fresh process opens
it and measures the first search (which loads model and index), searches, single durable adds, and searches right after
an add, and searches as of half way of the filling. With `vectors="real"` the bundled model embeds every cube; with "random"
and "clustered" (`scale_vectors`) the cubes get vectors without it, which fills a million in ten minutes. The model embeds
queries and single adds in any case. With `exact` the same questions are asked in one more process that scores every cube,
also where a space is large enough to be searched by candidates.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from mnemos.bench import machine
from mnemos.bench.cells import p50_p95
from mnemos.bench.plots import BLUE, GREEN, VERMILION, new_figure, tidy
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text import metrics
from mnemos.bench.text.scale_vectors import ClusteredVectors, RandomVectors
from mnemos.bench.text.synthetic import Corpus
from mnemos.embed.base import Embedder, embed_questions
from mnemos.errors import MnemosError
from mnemos.space import Space
from mnemos.system import Mnemos
from mnemos.text.recall import large

SIZES = (1_000, 6_000, 10_000, 100_000)
BATCH = 2_000  # messages a transaction when filling
SPACE = "scale"
K = 10
FIRST = "the first question of all"
NEVER = 2**62  # versions from which a space is searched by candidates: none has so many
Vectors = Literal["real", "random", "clustered"]
MADE: dict[str, Callable[[Embedder, int], Embedder]] = {
    "random": RandomVectors,
    "clustered": ClusteredVectors,
}  # what fills a space without the model


@dataclass(frozen=True)
class Options:
    """The sizes, and what is timed."""

    sizes: tuple[int, ...] = SIZES  # numbers of cubes
    vectors: Vectors = "real"  # real: the bundled model embeds everything; the others: faster to fill
    exact: bool = False  # ask the same questions where every cube is scored, too
    adds: int = 100  # single adds to time
    queries: int = 200  # searches to time
    seed: int = 0  # seed of the texts
    root: Path | None = None  # a folder in which the spaces are kept, so that a second run fills none


def table(result: Result) -> Rows:
    """Return the table of time and memory by the number of cubes."""
    head = ["cubes", "add p50 / p95, ms", "search p50 / p95, ms", "of it the query's embedding", "search after an add"]
    head += ["search of the past", "open, ms", "first search, ms", "RSS, MB", "index in RAM, MB", "files, MB"]
    lines: Rows = [head]
    for row in result["sizes"]:
        times = [p50_p95(row[name]) for name in ("add", "search", "query_embedding", "search_after_add")]
        times.append(p50_p95(row["past"]) if "past" in row else "")
        sizes = [f"{row['rss_mb']['at_end']:.0f}", f"{row['index_mb']:.0f}", f"{row['file_mb']:.0f}"]
        opening = [f"{row['open_ms']:.1f}", f"{row['first_search_ms']:.0f}"]
        lines.append([f"{row['cubes']:,}", *times, *opening, *sizes])
    return lines


def exact_table(result: Result) -> Rows:
    """Return what searching by candidates finds and costs beside scoring every cube, where the run has both."""
    head = [
        "cubes",
        "search",
        "recall@10 of exact",
        "same first",
        "search p50 / p95, ms",
        "first search, ms",
        "RSS, MB",
    ]
    lines: Rows = [head]
    for row in result["sizes"]:
        if row.get("kind") != "candidates" or "exact" not in row:
            continue
        found = [f"{row['recall_of_exact']:.3f}", f"{row['same_first']:.3f}"]
        for name, one, shares in (("every cube", row["exact"], ["", ""]), ("candidates", row, found)):
            loaded = f"{one['rss_mb']['at_end']:.0f}"
            first = f"{one['first_search_ms']:.0f}"
            lines.append([f"{row['cubes']:,}", name, *shares, p50_p95(one["search"]), first, loaded])
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
    tables={"scale": table, "scale-exact": exact_table},
    plot=plot,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the measurements at each size, in rising order."""
    progress.expect(sum(options.sizes))
    rows = []
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as temporary:
        for size in sorted(options.sizes):
            root = (options.root or Path(temporary)) / str(size)
            probed, filled = fill(root, size, options, progress)
            rows.append(probe_both(probed, options.exact) | filled)
    return {"vectors": options.vectors, "k": K, "sizes": rows}


def opened(root: Path | str, vectors: Vectors, seed: int) -> Mnemos:
    """Open a root whose new texts get vectors of a kind."""
    memory = Mnemos(root, timezone="UTC")
    if vectors != "real" and memory.embedder is not None:
        memory.embedder = MADE[vectors](memory.embedder, seed)
    return memory


def fill(root: Path, size: int, options: Options, progress: Progress) -> tuple[Probe, dict[str, Any]]:
    """Add what a space lacks of `size` cubes, and make its index; return what to measure, and what this cost."""
    with opened(root, options.vectors, options.seed) as memory:
        space = memory.space(SPACE)
        at = there = min(space.count(), size)
        messages = islice(Corpus(options.seed).messages(size), there, None)
        progress(there)
        start, used = time.perf_counter(), time.process_time()
        while batch := list(islice(messages, BATCH)):
            at += len(space.add_many(batch))
            progress(len(batch))
        cost = {
            "filled": at - there,
            "fill_seconds": time.perf_counter() - start,
            "fill_cpu_seconds": time.process_time() - used,
        }
        if space.stats()["index"]["kind"] == "candidates":
            used = time.process_time()
            space.search(FIRST, K)
            cost["index_cpu_seconds"] = time.process_time() - used
        half_way = space.get(f"m{size // 2}").learned.isoformat()
    probed = Probe(str(root), options.vectors, options.adds, options.queries, options.seed, half_way)
    return probed, {name: round(value, 1) for name, value in cost.items()}


@dataclass(frozen=True)
class Probe:
    """What a fresh process measures."""

    root: str
    vectors: Vectors
    adds: int
    queries: int
    seed: int
    as_of: str  # a moment in the filling
    exact: bool = False  # score every cube, and add none


def probe_both(probed: Probe, exact: bool) -> dict[str, Any]:
    """Return what a process measures, and with `exact` how one that scores every cube compares."""
    reference = probe(replace(probed, exact=True)) if exact else None
    row = probe(probed)
    asked = row.pop("found")
    if reference is not None:
        found = reference.pop("found")
        shared = [len(set(a) & set(b)) / max(len(b), 1) for a, b in zip(asked, found, strict=True)]
        first = [a[:1] == b[:1] for a, b in zip(asked, found, strict=True)]
        row["recall_of_exact"], row["same_first"] = round(fmean(shared), 4), round(fmean(first), 4)
        row["exact"] = reference
    return row


def probe(probed: Probe) -> dict[str, Any]:
    """Return what a fresh process measures of a space. Raises MnemosError with its error."""
    command = [sys.executable, "-m", "mnemos.bench.text.scale", json.dumps(asdict(probed))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MnemosError(f"the measuring process failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main(probed: Probe) -> dict[str, Any]:
    """Measure a space; runs in its own process."""
    if probed.exact:
        large.LARGE = NEVER
    adds, queries = probed.adds, probed.queries
    questions = Corpus(probed.seed).queries(2 * queries + adds)
    asked, embedded, after = questions[:queries], questions[queries : 2 * queries], questions[2 * queries :]
    before = machine.rss_mb()
    start = time.perf_counter()
    memory = opened(probed.root, probed.vectors, probed.seed)
    space = memory.space(SPACE)
    found: dict[str, Any] = {"open_ms": round((time.perf_counter() - start) * 1e3, 2)}
    found["first_search_ms"] = round(timed(lambda: space.search(FIRST, K)) * 1e3, 1)
    found |= {"cubes": space.count(), "kind": space.stats()["index"]["kind"]}
    loaded, hits = machine.rss_mb(), []
    search = [timed(lambda q=q: hits.append([hit.cube.id for hit in space.search(q, K)])) for q in asked]
    found |= {"search": metrics.latency_ms(search), "found": hits}
    if not probed.exact:
        found |= while_it_changes(space, embedded, after, probed)
    rss = {"imported": before, "loaded": loaded, "at_end": machine.rss_mb()}
    folder = space.store.bulk.folder
    return found | {
        "rss_mb": {name: round(value, 1) for name, value in rss.items()},
        "index_mb": round(space.stats()["index_bytes"] / 1e6, 1),
        "file_mb": megabytes(Path(probed.root)),
        "index_files_mb": 0.0 if folder is None else megabytes(folder),
    }


def while_it_changes(space: Space, questions: list[str], after: list[str], probed: Probe) -> dict[str, Any]:
    """Return the times of a question's embedding, of searches in the past, and of adds and searches in turn."""
    embedder, as_of = space.text.embedder, probed.as_of
    embed = [timed(lambda q=q: embed_questions(embedder, [q])) for q in questions if embedder is not None]
    first_past = timed(lambda: space.search(questions[0], K, as_of=as_of))
    past = [timed(lambda q=q: space.search(q, K, as_of=as_of)) for q in questions]
    single, next_search, next_past = [], [], []
    for message, query in zip(Corpus(probed.seed + 1).messages(len(after)), after, strict=True):
        del message["id"]
        single.append(timed(lambda m=message: space.add(**m)))
        next_search.append(timed(lambda q=query: space.search(q, K)))
        next_past.append(timed(lambda q=query: space.search(q, K, as_of=as_of)))
    return {
        "query_embedding": metrics.latency_ms(embed) if embed else None,
        "first_past_ms": round(first_past * 1e3, 1),
        "past": metrics.latency_ms(past),
        "add": metrics.latency_ms(single),
        "search_after_add": metrics.latency_ms(next_search),
        "past_after_add": metrics.latency_ms(next_past),
    }


def megabytes(folder: Path) -> float:
    """Return the size of the files in a folder."""
    return round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6, 1)


def timed(call: Any) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    json.dump(main(Probe(**json.loads(sys.argv[1]))), sys.stdout)
