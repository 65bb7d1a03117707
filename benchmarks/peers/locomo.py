"""Mnemos beside its peers on the turns of LoCoMo: one add at a time, then the questions.

    python -m benchmarks.peers.environments peers
    python -m benchmarks peers-locomo --data locomo10.json --environments peers

Every system runs in its own process, one after the other, with the same embedder, messages and questions (k = 10).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import PINS, python
from benchmarks.peers.systems import ENVIRONMENT, SYSTEMS
from mnemos.bench import machine
from mnemos.bench.cells import p50_p95
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark, near
from mnemos.bench.text import locomo, metrics
from mnemos.bench.text.scale import timed
from mnemos.bench.text.task import Task
from mnemos.errors import InvalidInput

K = 10
ROOT = Path(__file__).parents[2]  # of the repository


def measure(name: str, data: str, limit: int | None, speaker_in_text: bool) -> dict[str, Any]:
    """Return times, sizes and recall of one system; runs in its own process."""
    task = locomo.load(Path(data))
    haystacks = task.haystacks[:limit]
    with tempfile.TemporaryDirectory(prefix="mnemos-peers-", ignore_cleanup_errors=True) as root:
        system = SYSTEMS[name](Path(root))
        system.add("warm-up", {"id": "w", "content": "The first message of all.", "speaker": "A"})
        system.search("warm-up", "What is first?", 1)
        adds, searches, rows = [], [], []
        for haystack in haystacks:
            for message in haystack.messages:
                given = {**message}
                if speaker_in_text:
                    given["content"] = f"{message['speaker']}: {message['content']}"
                adds.append(timed(lambda h=haystack, m=given: system.add(h.name, m)))
        for haystack in haystacks:
            for question in haystack.questions:
                start = time.perf_counter()
                found = system.search(haystack.name, question.text, K)
                searches.append(time.perf_counter() - start)
                rows.append(metrics.score(found, question.gold["turn"]))
        rss = machine.rss_mb()
        system.close()
        size = sum(f.stat().st_size for f in Path(root).rglob("*") if f.is_file())
    names = ("n", "fraction@10", "any@10", "all@10", "fraction@5", "ndcg@10", "hit@1")
    mean = metrics.mean(rows)
    return {
        "add": metrics.latency_ms(adds),
        "search": metrics.latency_ms(searches) | {"k": K},
        "metrics": {metric: round(mean[metric], 5) for metric in names},
        "rss_mb": round(rss, 1),
        "disk_mb": round(size / 1e6, 1),
    }


def source(task: Task) -> dict[str, Any]:
    """Return the description of the data."""
    return task.source | {"messages": sum(len(h.messages) for h in task.haystacks)}


@dataclass(frozen=True)
class Options:
    """The data and the systems."""

    data: Path  # locomo10.json
    systems: tuple[str, ...] = tuple(SYSTEMS)  # systems to compare
    limit: int | None = None  # use only the first N conversations
    environments: Path | None = None  # the folder of `benchmarks.peers.environments`; without it all run in this Python
    speaker_in_text: bool = False  # store "Speaker: text" everywhere


def table(result: Result) -> Rows:
    """Return the table of the side-by-side run."""
    lines: Rows = [["system", "add p50 / p95, ms", "search p50 / p95, ms", "fraction@10", "hit@1", "n"]]
    for name, row in result["systems"].items():
        found = [f"{row['metrics'][metric]:.3f}" for metric in ("fraction@10", "hit@1")]
        lines.append([name, p50_p95(row["add"]), p50_p95(row["search"]), *found, row["metrics"]["n"]])
    return lines


@dataclass(frozen=True)
class ShortOptions(Options):
    """The data and the systems, on the first conversations only."""

    systems: tuple[str, ...] = tuple(n for n in SYSTEMS if not n.endswith("one collection"))  # systems to compare
    limit: int | None = 2  # use only the first N conversations


@benchmark(
    "peers-short",
    help="Mnemos beside all peers on the turns of LoCoMo's first two conversations.",
    options=ShortOptions,
    tables={"peers-short": table},
)
def run_short(options: ShortOptions, progress: Progress) -> dict[str, Any]:
    """Measure every system in turn, each in its own process."""
    return run(options, progress)


@benchmark(
    "peers-locomo",
    help="Mnemos beside mem0, Chroma, LangMem, Engrava and LlamaIndex on the turns of LoCoMo.",
    options=Options,
    tables={"peers": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure every system in turn, each in its own process."""
    progress.expect(len(options.systems))
    results = {}
    for name in options.systems:
        if name not in SYSTEMS:
            raise InvalidInput(f"there is no system {name!r}: {near(name, SYSTEMS)}")
        arguments = (name, str(options.data.resolve()), options.limit, options.speaker_in_text)
        code = f"import json; from benchmarks.peers.locomo import measure; print(json.dumps(measure(*{arguments!r})))"
        of = ENVIRONMENT.get(name)
        executable = python(options.environments, of) if options.environments and of else sys.executable
        printed = subprocess.run(
            [executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
        ).stdout
        results[name] = json.loads(printed.splitlines()[-1])
        progress(1)
    return {
        "data": source(locomo.load(options.data)),
        "versions": [pin for pins in PINS.values() for pin in pins],
        "systems": results,
    }
