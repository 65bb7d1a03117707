"""Mnemos beside mem0 and Chroma on the turns of LoCoMo: one durable add at a time, then the questions.

    pip install . -r benchmarks/peers/requirements.txt
    python -m benchmarks.peers.locomo --data locomo10.json --out benchmarks/results/peers/locomo.json

Every system runs in a process of its own, one after the other, with the same embedder, messages and questions (k = 10).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.systems import SYSTEMS
from mnemos.bench import machine
from mnemos.bench.run import header, progress, write
from mnemos.bench.text import locomo, metrics
from mnemos.bench.text.scale import timed
from mnemos.bench.text.task import Task

K = 10


def measure(name: str, data: Path, limit: int | None, speaker_in_text: bool) -> dict[str, Any]:
    """Return times, sizes and recall of one system; runs in a process of its own."""
    task = locomo.load(data)
    haystacks = task.haystacks[:limit]
    with tempfile.TemporaryDirectory(prefix="mnemos-peers-", ignore_cleanup_errors=True) as root:
        system = SYSTEMS[name](Path(root))
        system.add("warm-up", {"id": "w", "content": "The first message of all.", "speaker": "A"})
        system.search("warm-up", "What is first?", 1)
        adds, searches, rows = [], [], []
        total = sum(len(h.messages) + len(h.questions) for h in haystacks)
        with progress(name, total) as step:
            for haystack in haystacks:
                for message in haystack.messages:
                    given = {**message}
                    if speaker_in_text:
                        given["content"] = f"{message['speaker']}: {message['content']}"
                    adds.append(timed(lambda h=haystack, m=given: system.add(h.name, m)))
                    step(1)
            for haystack in haystacks:
                for question in haystack.questions:
                    start = time.perf_counter()
                    found = system.search(haystack.name, question.text, K)
                    searches.append(time.perf_counter() - start)
                    rows.append(metrics.score(found, question.gold["turn"]))
                    step(1)
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
    """Return what the result says of its data."""
    return task.source | {"messages": sum(len(h.messages) for h in task.haystacks)}


def main() -> None:
    """Run every system in turn, or the one that `--system` names, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--limit", type=int, help="the first conversations only")
    parser.add_argument("--speaker-in-text", action="store_true", help='store "Speaker: text" everywhere')
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.system:
        found = measure(options.system, options.data, options.limit, options.speaker_in_text)
        print(json.dumps(found))
        return
    flags = ["--speaker-in-text"] if options.speaker_in_text else []
    flags += ["--limit", str(options.limit)] if options.limit else []
    results = {}
    for name in options.systems:
        command = [
            sys.executable,
            "-m",
            "benchmarks.peers.locomo",
            "--data",
            str(options.data),
            "--system",
            name,
            *flags,
        ]
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        results[name] = json.loads(printed.splitlines()[-1])
        print(name, results[name], file=sys.stderr)
    head = header("peers-locomo", None, {}) | {
        "command": " ".join(["python -m benchmarks.peers.locomo --data", options.data.name, *flags]),
        "data": source(locomo.load(options.data)),
        "versions": {name: machine.installed(name) for name in ("mem0ai", "chromadb", "qdrant-client")},
    }
    result = head | {"systems": results}
    print(json.dumps(result, indent=1) if options.out is None else write(result, options.out))


if __name__ == "__main__":
    main()
