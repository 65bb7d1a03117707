"""Bytes and processor time of a cube, at every layer: rows, words, vectors and indexes in files and in Postgres, views in RAM.

    python -m benchmarks cube-bytes

One space of synthetic conversation (about as long as real turns) with vectors at random, which take what real ones take, is
written to a file and copied to a Postgres that is started for the run. Bytes are those of whole pages, after vacuum. Times are
processor time of one core, which other work on the machine lengthens less than it does the time on the clock.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from mnemos import Mnemos, Space
from mnemos.bench import machine
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.scale_vectors import RandomVectors
from mnemos.bench.text.synthetic import Corpus
from mnemos.embed import load
from mnemos.location import DatabaseUrl
from mnemos.store import copying
from mnemos.store.open import open_root
from mnemos.store.postgres.temporary import TemporaryServer

SPACE, BATCH = "bytes", 2_000
LAYERS = {"cubes": "rows", "words": "words", "vectors": "vectors", "dates": "dates"}  # others: "facts, links, log"
OTHER = "facts, links, log"
_TABLES = (  # (table, bytes of rows, bytes of indexes)
    "SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class "
    "WHERE relnamespace = 'mnemos'::regnamespace AND relkind = 'r'"
)


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    cubes: int = 6_000  # cubes of the space
    embedded: int = 200  # texts that are embedded to time it
    searches: int = 100  # searches to time
    seed: int = 0  # seed of the texts


def table(result: Result) -> Rows:
    """Return bytes a cube by layer."""
    rows: Rows = [["bytes a cube", "SQLite", "its indexes", "Postgres", "its indexes"]]
    columns = [(side, part) for side in (result["sqlite"], result["postgres"]) for part in ("rows", "indexes")]
    for layer in result["sqlite"]:
        rows.append([layer, *(f"{side[layer][part]:,.0f}" for side, part in columns)])
    return [*rows, ["all", *(f"{sum(each[part] for each in side.values()):,.0f}" for side, part in columns)]]


def times_table(result: Result) -> Rows:
    """Return processor time and RAM."""
    rows: Rows = [["what", "cost"], ["text of a cube, bytes", f"{result['text_bytes']:.0f}"]]
    rows += [["view in RAM, bytes a cube", f"{result['view_bytes']:,.0f}"]]
    names = {
        "embed": "embedding a text",
        "store": "terms, dates and rows of a cube",
        "open": "first search of the space, a cube",
    }
    rows += [[f"{name}, ms of a core", f"{result['ms'][key]:.3f}"] for key, name in names.items()]
    return [*rows, [f"a search among {result['cubes']:,} cubes, ms of a core", f"{result['ms']['search']:.1f}"]]


@benchmark(
    "cube-bytes",
    help="Bytes and processor time of a cube at every layer, in SQLite and Postgres.",
    options=Options,
    tables={"cube-bytes": table, "cube-times": times_table},
    extra="postgres",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return bytes a cube by layer, and milliseconds of a core."""
    progress.expect(options.cubes)
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as folder:
        root, corpus = Path(folder), Corpus(options.seed)
        messages, text_bytes, stored = corpus.messages(options.cubes), 0, 0.0
        with Mnemos(root, timezone="UTC") as memory:
            model = memory.embedder
            assert model is not None  # the bundled one
            memory.embedder = RandomVectors(model, options.seed)
            space = memory.space(SPACE)
            while batch := list(islice(messages, BATCH)):
                text_bytes += sum(len(m["content"].encode()) for m in batch)
                stored += seconds(lambda batch=batch: space.add_many(batch))  # type: ignore[misc]
                progress(len(batch))
            path = Path(space.store.stats()["path"])
        ms = {"store": 1e3 * stored / options.cubes, **timed(root, corpus, options)}
        with Mnemos(root, embedder="none") as memory, TemporaryServer() as server:
            big = postgres(memory.space(SPACE), server, options.cubes)
        with Mnemos(root, timezone="UTC") as memory:
            memory.space(SPACE).search("a question", 10)
            view = memory.space(SPACE).stats()["index_bytes"]
        return {
            "cubes": options.cubes, "text_bytes": text_bytes / options.cubes, "view_bytes": view / options.cubes, "ms": ms,
            "sqlite": sqlite(path, options.cubes), "postgres": big, "rss_mb": round(machine.rss_mb(), 1),
        }  # fmt: skip


def timed(root: Path, corpus: Corpus, options: Options) -> dict[str, float]:
    """Return milliseconds of a core for an embedding, a search, and the first search of a space, a cube."""
    texts = [m["content"] for m in Corpus(options.seed + 1).messages(options.embedded)]
    model = load("bundled")
    assert model is not None
    model.embed(texts[:2])
    embed = seconds(lambda: model.embed(texts)) / len(texts)
    questions = corpus.queries(options.searches + 1)
    with Mnemos(root, embedder=model, timezone="UTC") as memory:
        space = memory.space(SPACE)
        first = seconds(lambda: space.search(questions[0], 10))
        search = seconds(lambda: [space.search(q, 10) for q in questions[1:]]) / options.searches
    return {"embed": 1e3 * embed, "search": 1e3 * search, "open": 1e3 * (first - search) / options.cubes}


def seconds(call: Callable[[], object]) -> float:
    """Return the seconds of a core that a call takes in this process."""
    start = time.process_time()
    call()
    return time.process_time() - start


def sqlite(path: Path, cubes: int) -> dict[str, dict[str, float]]:
    """Return bytes a cube by layer of a file."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM")
        owner = dict(db.execute("SELECT name, tbl_name FROM sqlite_master WHERE type IN ('table', 'index')"))
        kinds = dict(db.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'index')"))
        pages = db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall()
    return by_layer([(owner.get(n, n), size, kinds.get(n) == "index") for n, size in pages], cubes)


def postgres(space: Space, server: TemporaryServer, cubes: int) -> dict[str, dict[str, float]]:
    """Return bytes a cube by layer of a copy in Postgres."""
    with closing(open_root(DatabaseUrl(server.url()), "bench", space.clock)) as root:
        with closing(root.receive(SPACE)) as target, space.store.transaction(write=False):
            copying.copy(space.store, target, copying.digests_of(space.store, blobs=False))
        root.accept(SPACE)
    with psycopg.connect(server.url(), autocommit=True) as db:
        db.execute("VACUUM FULL")
        tables = db.execute(_TABLES).fetchall()
    found = [(name, rows, False) for name, rows, _ in tables] + [(name, indexes, True) for name, _, indexes in tables]
    return by_layer(found, cubes)


def by_layer(found: list[tuple[str, int, bool]], cubes: int) -> dict[str, dict[str, float]]:
    """Return bytes a cube of rows and of indexes, by layer."""
    layers = {layer: {"rows": 0.0, "indexes": 0.0} for layer in (*LAYERS.values(), OTHER)}
    for name, size, index in found:
        layers[LAYERS.get(name, OTHER)]["indexes" if index else "rows"] += size / cubes
    return layers
