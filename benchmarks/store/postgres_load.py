"""Eight writers and eight readers on one Postgres: Mnemos beside mem0 with its pgvector store.

    python -m venv mem0 && mem0/bin/pip install mem0ai 'psycopg[binary,pool]' numpy
    python -m benchmarks postgres-load --mem0 mem0/bin/python

Each is a process of its own; four spaces (in mem0 four users) have two writers and two readers each. The two systems take turns,
a slice of the time each, on one server with its default durability and a database each, so that both meet the same noise. Both
embed with the same trivial embedder, so that the store is measured and no model. Nobody waits between two calls.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.store.postgres.temporary import TemporaryServer

SPACES, EACH = 4, 2  # writers, and readers, of a space
SCRIPT = Path(__file__).with_name("load_worker.py")


@dataclass(frozen=True)
class Options:
    """How long, and the interpreter that has mem0."""

    mem0: Path  # a Python in which mem0ai is installed
    seconds: int = 300  # for which each system is measured
    slice: int = 30  # seconds of one turn
    preload: int = 100  # memories of a space before the start


class Workers:
    """The processes of one system."""

    def __init__(self, python: Path, system: str, url: str, preload: int) -> None:
        self.running: dict[str, list[subprocess.Popen[str]]] = {"writer": [], "reader": []}
        for space in range(SPACES):
            for number in range(2 * EACH):
                role = "writer" if number < EACH else "reader"
                told = preload if number == 0 else 0
                started = subprocess.Popen(
                    [str(python), str(SCRIPT), system, url, f"space{space}", role, str(10 * space + number), str(told)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )  # fmt: skip
                self.running[role].append(started)
                if len(self.all) == 1:  # makes the tables
                    self._said(started)
        for one in self.all[1:]:
            self._said(one)

    @property
    def all(self) -> list[subprocess.Popen[str]]:
        """All processes."""
        return [*self.running["writer"], *self.running["reader"]]

    @staticmethod
    def _said(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended with {process.wait()}")
        return line

    def work(self, seconds: float) -> dict[str, list[float]]:
        """Let all work; return the seconds of each call."""
        for one in self.all:
            assert one.stdin is not None
            one.stdin.write(f"go {seconds}\n")
            one.stdin.flush()
        return {role: [t for one in group for t in json.loads(self._said(one))] for role, group in self.running.items()}

    def end(self) -> None:
        """End the processes."""
        for one in self.all:
            one.kill()
            one.communicate()


def measured(took: Mapping[str, list[float]], seconds: float) -> dict[str, Any]:
    """Return throughput and times of adds and searches."""
    found = {}
    for role, name in (("writer", "add"), ("reader", "search")):
        times = np.array(took[role])
        p50, p99 = np.percentile(times, [50, 99]) * 1e3
        found[name] = {
            "n": len(times), "per_second": round(len(times) / seconds, 2), "p50_ms": round(p50, 2), "p99_ms": round(p99, 2),
        }  # fmt: skip
    return found


def table(result: Result) -> Rows:
    """Return the table of both systems."""
    rows: Rows = [["system", "adds a second", "add p50 / p99, ms", "searches a second", "search p50 / p99, ms"]]
    for name, row in result["systems"].items():
        add, search = row["add"], row["search"]
        rows.append(
            [
                name, f"{add['per_second']:.1f}", f"{add['p50_ms']:.0f} / {add['p99_ms']:.0f}",
                f"{search['per_second']:.1f}", f"{search['p50_ms']:.0f} / {search['p99_ms']:.0f}",
            ]
        )  # fmt: skip
    return rows


@benchmark(
    "postgres-load",
    help="Eight writers and eight readers on Postgres, beside mem0 with its pgvector store.",
    options=Options,
    tables={"postgres-load": table},
    extra="postgres",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Let the systems take turns."""
    systems = {"mnemos": Path(sys.executable), "mem0": options.mem0}
    turns = max(1, options.seconds // options.slice)
    progress.expect(turns * len(systems))
    took: dict[str, dict[str, list[float]]] = {name: {"writer": [], "reader": []} for name in systems}
    workers: dict[str, Workers] = {}
    with TemporaryServer(settings={"shared_buffers": "256MB"}) as server:
        try:
            for name, python in systems.items():
                server.create(name)
                workers[name] = Workers(python, name, server.url(name), options.preload)
            for _ in range(turns):
                for name, group in workers.items():
                    for role, times in group.work(options.slice).items():
                        took[name][role] += times
                    progress(1)
        finally:
            for group in workers.values():
                group.end()
    spent = turns * options.slice
    return {
        "seconds": spent, "writers": SPACES * EACH, "readers": SPACES * EACH, "preload": SPACES * options.preload,
        "versions": {"mem0ai": _version(options.mem0)},
        "systems": {
            {"mnemos": "Mnemos", "mem0": "mem0 (pgvector, infer=False)"}[name]: measured(times, spent)
            for name, times in took.items()
        },
    }  # fmt: skip


def _version(python: Path) -> str:
    code = "import importlib.metadata as m; print(m.version('mem0ai'))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
