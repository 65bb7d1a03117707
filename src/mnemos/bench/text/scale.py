"""How time and memory grow with one space: `mnemos bench scale`.

One space of made-up conversation (`synthetic`) grows through the sizes asked for. At each size a fresh process opens
it and measures the first search (model and index load), searches, single durable adds, and searches right after an
add. With `vectors="real"` every cube is embedded by the bundled model; with "random" the cubes get random unit vectors
of the same dimension, which makes 100,000 of them a matter of a minute. Exact search costs the same on both, and
queries and the single adds are embedded by the model in either case.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.bench import machine
from mnemos.bench.text import metrics
from mnemos.bench.text.synthetic import Corpus
from mnemos.embed import Embedder
from mnemos.errors import InvalidInput, MnemosError
from mnemos.system import Mnemos

SIZES = (1_000, 6_000, 10_000, 100_000)
BATCH = 2_000  # messages a transaction when filling
SPACE = "scale"


class RandomVectors:
    """Stands in for an embedder under its name: unit vectors drawn at random, (N, D) float32, whatever the texts."""

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


def measure(
    sizes: Sequence[int] = SIZES, vectors: str = "real", adds: int = 100, queries: int = 200, seed: int = 0
) -> dict[str, Any]:
    """Return the measurements at each size, in rising order. Raises InvalidInput for another kind of vectors."""
    from mnemos.bench.run import progress

    if vectors not in ("real", "random"):
        raise InvalidInput(f"vectors is {vectors!r}: choose real (the bundled model embeds all) or random.")
    corpus, rows, at = Corpus(seed), [], 0
    messages = corpus.messages(max(sizes))
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, progress("scale", max(sizes)) as step:
        for size in sorted(sizes):
            start = time.perf_counter()
            with Mnemos(root) as memory:
                if vectors == "random" and memory.embedder is not None:
                    memory.embedder = RandomVectors(memory.embedder, seed)
                space = memory.space(SPACE)
                while batch := list(islice(messages, min(BATCH, size - at))):
                    at += len(space.add_many(batch))
                    step(len(batch))
            filled = time.perf_counter() - start
            rows.append(probe(Path(root), size, adds, queries, seed) | {"fill_seconds": round(filled, 1)})
    return {"vectors": vectors, "k": 10, "sizes": rows}


def probe(root: Path, size: int, adds: int, queries: int, seed: int) -> dict[str, Any]:
    """Return what a fresh process measures of the space under `root`. Raises MnemosError with its complaint."""
    arguments = [str(root), str(size), str(adds), str(queries), str(seed)]
    done = subprocess.run(
        [sys.executable, "-m", "mnemos.bench.text.scale", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MnemosError(f"the measuring process failed at {size} cubes:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main(root: str, size: int, adds: int, queries: int, seed: int) -> dict[str, Any]:
    """Measure the space under `root`, which holds at least `size` cubes; runs in a process of its own."""
    questions = Corpus(seed).queries(2 * queries + adds)
    asked, embedded, after = questions[:queries], questions[queries : 2 * queries], questions[2 * queries :]
    before = machine.rss_mb()
    start = time.perf_counter()
    memory = Mnemos(root)
    space = memory.space(SPACE)
    opened = time.perf_counter() - start
    space.search("the first question of all", 10)
    first = time.perf_counter() - start - opened
    loaded = machine.rss_mb()
    cubes = space.count()
    search = [timed(lambda q=q: space.search(q, 10)) for q in asked]
    embed = (
        [timed(lambda q=q: space.text.embedder.embed([q])) for q in embedded] if space.text.embedder is not None else []
    )
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
        "file_mb": round(sum(f.stat().st_size for f in Path(root).iterdir()) / 1e6, 1),
    }


def timed(call: Any) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    root_, *numbers = sys.argv[1:]
    json.dump(main(root_, *map(int, numbers)), sys.stdout)
