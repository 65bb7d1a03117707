"""Embed a space again: one process, two processes, two Ray workers, and two Ray workers of which one is killed half way.

    python -m benchmarks reindex

All runs work on copies of one space of synthetic conversation, and their vectors and readings are compared byte by byte.
A worker uses one core. The kinds of workers take turns, so that other work on the machine slows down all alike. Starting
workers (Python, Ray, the model) is timed apart: it costs the same for a hundred cubes and a million. The run in which a worker
gets SIGKILL has more cubes and the embedder "hashing", so that it is over soon.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from mnemos import Mnemos, Space
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.synthetic import Corpus
from mnemos.embed import load
from mnemos.embed.portable import Portable
from mnemos.store.values import Filter
from mnemos.tasks import Workers, load_workers
from mnemos.text.reindexing import Shard, embed_shard

SPACE, BATCH = "reindex", 2_000
CHEAP = "hashing:256"


@dataclass(frozen=True)
class Options:
    """How much is embedded."""

    cubes: int = 2_560  # cubes of a round of the timed runs, with the bundled embedder
    rounds: int = 3  # rounds, in each of which every kind of workers has its turn
    killed: int = 10_000  # cubes of the run in which a worker is killed
    workers: int = 2  # workers of each run but the first
    seed: int = 0  # seed of the texts


def table(result: Result) -> Rows:
    """Return the runs."""
    rows: Rows = [
        [
            "workers",
            "cubes",
            "embedder",
            "start, s",
            "embedding, s",
            "cubes a second",
            "times one process, median (range) of rounds",
            "differs",
        ]
    ]
    base = result["runs"][0]["rounds"]
    for run in result["runs"]:
        timed = run["embedder"] == result["runs"][0]["embedder"]
        rows.append([
            run["workers"], f"{run['cubes']:,}", run["embedder"], f"{run['start']:.1f}" if timed else "", f"{run['seconds']:.1f}",
            f"{run['cubes'] / run['seconds']:,.0f}", ratios(base, run["rounds"]) if timed else "", run["different"],
        ])  # fmt: skip
    return rows


def ratios(base: list[float], rounds: list[float]) -> str:
    """Return how many times as fast as the first kind of workers another was: each round against the same round."""
    found = sorted(a / b for a, b in zip(base, rounds, strict=True))
    return f"{median(found):.2f} ({found[0]:.2f} – {found[-1]:.2f})"


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
        progress.expect(options.cubes * options.rounds * 3 + options.killed * 2)
        timed, killed = (
            fill(root / name, n, options.seed) for name, n in (("a", options.cubes), ("b", options.killed))
        )
        kinds = {
            "1 process": load_workers(1), f"{count} processes": load_workers(count),
            f"{count} of Ray": load_workers(count, "local"),
        }  # fmt: skip
        runs: dict[str, dict[str, Any]] = {}
        with ExitStack() as stack:
            starts = {kind: start(stack.enter_context(workers), "bundled") for kind, workers in kinds.items()}
            for _ in range(options.rounds):
                for kind, workers in kinds.items():
                    merge(
                        runs, kind, once(timed, root / "copy", "bundled", workers, progress) | {"start": starts[kind]}
                    )
            one, many = kinds["1 process"], kinds[f"{count} of Ray"]
            merge(runs, "1 process, cheap", once(killed, root / "copy", CHEAP, one, progress))
            label = f"{count} of Ray, one killed half way"
            merge(runs, label, once(killed, root / "copy", CHEAP, many, progress, kill=True))
        for run in runs.values():
            first = next(r for r in runs.values() if r["embedder"] == run["embedder"])
            run["different"] = sum(first["digests"].get(key) != digest for key, digest in run["digests"].items())
        for run in runs.values():
            del run["digests"]
        return {"load_before": os.getloadavg()[0], "runs": [{"workers": kind, **run} for kind, run in runs.items()]}


def start(workers: Workers, embedder: str) -> float:
    """Let every worker load the embedder, and return the seconds."""
    begun, model = time.perf_counter(), load(embedder)
    assert model is not None  # a spec of one
    warm = Shard(Portable(model), [(n, f"a short text {n}") for n in range(64)])
    list(workers.run(embed_shard, [warm] * 4 * workers.count))
    return time.perf_counter() - begun


def merge(runs: dict[str, dict[str, Any]], kind: str, found: dict[str, Any]) -> None:
    """Add a round to what is known of a kind of workers."""
    old = runs.setdefault(kind, found | {"cubes": 0, "seconds": 0.0, "missing": 0, "rounds": []})
    for name in ("cubes", "seconds", "missing"):
        old[name] += found[name]
    old["rounds"].append(found["seconds"])


def fill(root: Path, cubes: int, seed: int) -> Path:
    """Write a space of texts without vectors; return its root."""
    messages = Corpus(seed).messages(cubes)
    with Mnemos(root, embedder="none", timezone="UTC") as memory:
        while batch := list(islice(messages, BATCH)):
            memory.space(SPACE).add_many(batch, reconcile=False)
    return root


def once(
    source: Path, root: Path, embedder: str, workers: Workers, progress: Progress, *, kill: bool = False
) -> dict[str, Any]:
    """Embed a copy of a space; return the seconds, and a digest of what is stored for each cube."""
    shutil.copytree(source, root)
    try:
        with Mnemos(root, embedder=embedder, timezone="UTC") as memory:
            space, victims, done = memory.space(SPACE), list[int](), 0
            begun, total = time.perf_counter(), space.count()

            def step(count: int) -> None:
                nonlocal done
                done += count
                progress(count)
                if kill and not victims and done >= total / 2:
                    victims.append(kill_worker())

            embedded = space.reindex(step, workers)
            seconds, found = time.perf_counter() - begun, digests(space)
            return {
                "embedder": embedder, "cubes": embedded, "seconds": seconds, "killed": len(victims),
                "missing": total - len(found), "digests": found,
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
