"""Embed a space again: one process, two processes, two Ray workers, and two Ray workers of which one is killed half way.

    python -m benchmarks reindex

All runs work on copies of one space of synthetic conversation, and their vectors and readings are compared byte by byte.
A worker process uses one core. Starting workers (Python, Ray, the model) is timed apart: it costs the same for a hundred cubes
and a million. The run in which a worker gets SIGKILL has more cubes and the embedder "hashing", so that it is over soon.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mnemos import Mnemos, Space
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.synthetic import Corpus
from mnemos.embed import load
from mnemos.embed.portable import Portable
from mnemos.store.values import Filter
from mnemos.tasks import Workers, load_workers
from mnemos.text.upkeep import Shard, embed_shard

SPACE, BATCH = "reindex", 2_000
CHEAP = "hashing:256"


@dataclass(frozen=True)
class Options:
    """How much is embedded."""

    cubes: int = 4_096  # cubes of the timed runs, with the bundled embedder
    killed: int = 20_000  # cubes of the run in which a worker is killed
    workers: int = 2  # workers of each run but the first
    seed: int = 0  # seed of the texts


def table(result: Result) -> Rows:
    """Return the runs."""
    rows: Rows = [
        ["workers", "cubes", "embedder", "start, s", "embedding, s", "cubes a second", "times one worker", "differs"]
    ]
    base = result["runs"][0]["seconds"]
    for run in result["runs"]:
        timed = run["embedder"] == result["runs"][0]["embedder"]
        rows.append([
            run["workers"], f"{run['cubes']:,}", run["embedder"], f"{run['start']:.1f}", f"{run['seconds']:.1f}",
            f"{run['cubes'] / run['seconds']:,.0f}", f"{base / run['seconds']:.2f}" if timed else "", run["different"],
        ])  # fmt: skip
    return rows


def problem(result: Result) -> str | None:
    """Return what must not be: another vector, or one that is missing."""
    wrong = [run["workers"] for run in result["runs"] if run["different"] or run["missing"]]
    return f"vectors differ or are missing after: {', '.join(wrong)}" if wrong else None


@benchmark(
    "reindex",
    help="Embedding a space again by one process, by several, and on Ray with a worker killed half way.",
    options=Options,
    tables={"reindex": table},
    problem=problem,
    extra="ray",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return seconds and differences of each run."""
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as folder:
        root, count = Path(folder), options.workers
        progress.expect(options.cubes * 4 + options.killed * 2)
        timed, killed = (
            fill(root / name, n, options.seed) for name, n in (("a", options.cubes), ("b", options.killed))
        )
        runs: list[dict[str, Any]] = []
        for label, source, embedder, make, kill in (
            ("1 process", timed, "bundled", lambda: load_workers(1), False),
            (f"{count} processes", timed, "bundled", lambda: load_workers(count), False),
            (f"{count} of Ray", timed, "bundled", lambda: load_workers(count, "local"), False),
            ("1 process", killed, CHEAP, lambda: load_workers(1), False),
            (f"{count} of Ray, one killed half way", killed, CHEAP, lambda: load_workers(count, "local"), True),
        ):
            found = once(source, root / "copy", embedder, make, progress, kill=kill)
            first = next((r for r in runs if r["embedder"] == embedder), found)
            different = sum(first["digests"].get(key) != digest for key, digest in found["digests"].items())
            runs.append({"workers": label, "embedder": embedder, **found, "different": different})
        for each in runs:
            del each["digests"]
        return {"load_before": os.getloadavg()[0], "runs": runs}


def fill(root: Path, cubes: int, seed: int) -> Path:
    """Write a space of texts without vectors; return its root."""
    messages = Corpus(seed).messages(cubes)
    with Mnemos(root, embedder="none", timezone="UTC") as memory:
        while batch := list(islice(messages, BATCH)):
            memory.space(SPACE).add_many(batch, reconcile=False)
    return root


def once(
    source: Path, root: Path, embedder: str, make: Callable[[], Workers], progress: Progress, *, kill: bool
) -> dict[str, Any]:
    """Embed a copy of a space; return the seconds, and a digest of what is stored for each cube."""
    shutil.copytree(source, root)
    try:
        with Mnemos(root, embedder=embedder, timezone="UTC") as memory, make() as workers:
            space, begun = memory.space(SPACE), time.perf_counter()
            warm = Shard(Portable(load(embedder) or space.text.embedder), [(0, "a short text"), (1, "and another")])  # type: ignore[arg-type]
            list(workers.run(embed_shard, [warm] * 4 * workers.count))
            started, victims, done = time.perf_counter(), [], 0

            def step(count: int) -> None:
                nonlocal done
                done += count
                progress(count)
                if kill and not victims and done >= space.count() / 2:
                    victims.append(kill_worker())

            embedded = space.reindex(step, workers)
            seconds = time.perf_counter() - started
            found = digests(space)
            return {
                "cubes": embedded, "start": started - begun, "seconds": seconds, "killed": len(victims),
                "missing": space.count() - len(found), "digests": found,
            }  # fmt: skip
    finally:
        shutil.rmtree(root)


def digests(space: Space) -> dict[int, str]:
    """Return a digest of the vector and the readings of each cube."""
    model = space.text.model_key()
    keys = [key for key, _ in space.store.select(Filter(), limit=1 << 30)]
    vectors, readings = space.store.vectors.of(model or 0, keys), space.store.readings.of(keys)
    return {k: hashlib.sha256(v.tobytes() + repr(readings.get(k, [])).encode()).hexdigest() for k, v in vectors.items()}


def kill_worker() -> int:
    """Kill a Ray worker of this process that works on a shard, and return its number."""
    for pid in descendants(os.getpid()):
        if b"ray::embed_shard" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            return pid
    raise RuntimeError("no worker of Ray was found at work: this needs Linux and a Ray that was started here.")


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started, and theirs."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from descendants(child)
