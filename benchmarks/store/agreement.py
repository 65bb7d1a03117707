"""Ask the same questions of the same memories in a folder and in Postgres, and compare the rankings.

    python -m benchmarks store-agreement --locomo locomo10.json --beam BEAM/100K

Each conversation is stored once in a folder, copied to the database as `mnemos move` copies it, and asked on both. Without
`--store` a temporary server is started. All questions of LoCoMo are asked by turn and by session, those of BEAM by message.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mnemos import Mnemos, Space
from mnemos.bench.progress import SILENT, Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text import beam, locomo
from mnemos.bench.text.retrieval import rank
from mnemos.bench.text.task import Haystack, Task
from mnemos.location import DatabaseUrl
from mnemos.store import copying
from mnemos.store.open import open_root
from mnemos.store.postgres.temporary import TemporaryServer

K = 10


@dataclass(frozen=True)
class Options:
    """The data, and where they are stored."""

    locomo: Path  # locomo10.json
    beam: Path | None = None  # the folder of BEAM chats
    store: str | None = None  # the URL of an empty database; without one a temporary server is started
    root: Path | None = None  # a folder that keeps the embedded conversations, for another run
    limit: int | None = None  # only the first N conversations of each


def table(result: Result) -> Rows:
    """Return the recall on both stores, and how many rankings are the same."""
    rows: Rows = [["questions", "n", "recall@10, SQLite", "recall@10, Postgres", "same first 10"]]
    for name, x in result["questions"].items():
        rows.append([name, x["n"], f"{x['sqlite']:.4f}", f"{x['postgres']:.4f}", f"{x['same']:.2%}"])
    return rows


def problem(result: Result) -> str | None:
    """Return what a result must not have."""
    apart = [n for n, x in result["questions"].items() if abs(x["sqlite"] - x["postgres"]) > 0.005]
    return f"the stores disagree on {', '.join(apart)}" if apart else None


@benchmark(
    "store-agreement",
    help="The same questions of the same memories in SQLite and in Postgres.",
    options=Options,
    tables={"store-agreement": table},
    problem=problem,
    extra="postgres",
)
def run(options: Options, progress: Progress = SILENT) -> dict[str, Any]:
    """Store, copy, ask on both, compare."""
    tasks = [locomo.load(options.locomo)] + ([beam.load(options.beam)] if options.beam else [])
    progress.expect(
        sum(2 * len(h.questions) * len(t.granularities) for t in tasks for h in t.haystacks[: options.limit])
    )
    found: dict[str, list[tuple[float, float, bool]]] = {}
    with (
        _database(options.store) as url,
        _root(options.root) as root,
        Mnemos(root, timezone="UTC") as folder,
        Mnemos(url, timezone="UTC") as database,
    ):
        for task in tasks:
            for haystack in task.haystacks[: options.limit]:
                name = f"{task.name}-{haystack.name}"
                _copy(folder, url, name, haystack)
                pair = folder.space(name), database.space(name)
                for granularity in task.granularities:
                    asked = _ask(pair, haystack, task, granularity, progress)
                    found.setdefault(f"{task.name} by {granularity}", []).extend(asked)
    return {
        "questions": {
            name: {
                "n": len(rows), "sqlite": fmean(a for a, _, _ in rows), "postgres": fmean(b for _, b, _ in rows),
                "same": fmean(same for *_, same in rows),
            }
            for name, rows in found.items()
        },
    }  # fmt: skip


def _copy(folder: Mnemos, url: str, name: str, haystack: Haystack) -> None:
    """Store a conversation in the folder unless it is there, and copy it to the database."""
    space = folder.space(name)
    if space.stats()["versions"] != len(haystack.messages):
        space.add_many(haystack.messages)
    with closing(open_root(DatabaseUrl(url), "bench", folder.clock)) as root:
        if root.exists(name):
            return
        with closing(root.receive(name)) as target, space.store.transaction(write=False):
            copying.copy(space.store, target, copying.digests_of(space.store, blobs=False))
        root.accept(name)


def _ask(
    pair: Sequence[Space], haystack: Haystack, task: Task, granularity: str, progress: Progress
) -> Iterator[tuple[float, float, bool]]:
    """Yield the recall of each question on both stores, and whether the first ten results are the same."""
    for question in haystack.questions:
        gold = set(question.gold[granularity])
        first, second = (rank(s, question, task.granularities[granularity], "hybrid")[:K] for s in pair)
        progress(2)
        yield len(gold & set(first)) / len(gold), len(gold & set(second)) / len(gold), first == second


@contextmanager
def _database(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with TemporaryServer() as server:
        yield server.url()


@contextmanager
def _root(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as path:
        yield Path(path)
