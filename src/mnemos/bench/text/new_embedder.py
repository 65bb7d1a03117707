"""Another embedding model for a space: recall when vectors are mapped from the old one's, and when all texts are embedded again.

LoCoMo's ten conversations are one space, embedded by the first model of a pair. It is opened with the second, and asked every
second question of the report half: as it is (by words alone), after `reindex(sample=N)` with a growing N, which embeds N texts
and maps the other vectors, and after a full `reindex`. `of full %` is the share of the recall of the latter; `vectors` is
recall@10 of turns by vectors alone, `search` that of a search. Seconds are processor time. The penalty of the map was chosen on
the development half.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mnemos.bench.parts import Row, figure_of, table
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text.locomo import load
from mnemos.bench.text.task import Question, Task
from mnemos.errors import StaleVectors
from mnemos.space import SearchMethod, Space
from mnemos.system import Mnemos

SPACE, K, FULL = "conversations", 10, "all embedded again"
METHODS: dict[str, SearchMethod] = {"vectors": "vectors", "search": "hybrid"}
FIGURES = {
    "vector-map": (
        "models", "bundled to multilingual: 1,000 embedded",
        (f"bundled to multilingual: {FULL}", "bundled to multilingual: not embedded again"), "search %",
        "finds {} of the evidence of LoCoMo by a search with a new embedder",
    )
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The data, the models, and how many texts are embedded again."""

    data: Path  # locomo10.json
    models: tuple[str, ...] = ("bundled", "multilingual")  # two embedders: from each to the other
    samples: tuple[int, ...] = (500, 1000, 2000)  # texts that are embedded, the others are mapped
    every: int = 2  # of the questions of the report half, every which is asked


@benchmark(
    "new-embedder",
    help="Another embedding model for a space: recall with vectors that are mapped from the old one's.",
    options=Options,
    tables={"new-embedder": table("models", "from one model to another: texts")},
    figure=lambda result, entry: figure_of(FIGURES, "text", result, entry),
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure both directions."""
    task, rows = load(options.data), dict[str, Row]()
    asked = [
        (h.name, question) for h in task.haystacks for question in h.questions if question.split == "report"
    ]  # fmt: skip
    asked = asked[:: options.every]
    progress.expect(2 * (2 + len(options.samples)))
    for old, new in (options.models, options.models[::-1]):
        with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root:
            for name, row in moved(Path(root), task, asked, old, new, options.samples):
                rows[f"{old} to {new}: {name}"] = row
                progress(1)
    return {"data": task.source, "questions": len(asked), "parts": {"models": with_shares(rows)}}


def moved(
    root: Path, task: Task, asked: Sequence[tuple[str, Question]], old: str, new: str, samples: Sequence[int]
) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a space that goes from one model to another."""
    with Mnemos(root / "old", embedder=old, timezone="UTC") as memory:
        space = memory.space(SPACE)
        for haystack in task.haystacks:
            space.add_many({**m, "id": f"{haystack.name} {m['id']}"} for m in haystack.messages)
        yield f"asked with {old}", found(space, asked)
    with copied(root, new) as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", StaleVectors)
        yield "not embedded again", found(memory.space(SPACE), asked)
    for sample in [*samples, None]:
        with copied(root, new) as memory:
            begun = time.process_time()
            memory.space(SPACE).reindex(sample=sample)
            spent = {"seconds": time.process_time() - begun}
            yield FULL if sample is None else f"{sample:,} embedded", found(memory.space(SPACE), asked) | spent


def copied(root: Path, embedder: str) -> Mnemos:
    """Return a copy of the old memory, opened with another embedder."""
    shutil.rmtree(root / "new", ignore_errors=True)
    shutil.copytree(root / "old", root / "new")
    return Mnemos(root / "new", embedder=embedder, timezone="UTC")


def found(space: Space, asked: Sequence[tuple[str, Question]]) -> dict[str, float]:
    """Return recall@10 of turns by each method."""
    figures = {}
    for name, method in METHODS.items():
        shares = []
        for conversation, question in asked:
            hits = space.search(question.text, K, asked_at=question.asked_at, method=method)
            gold = {f"{conversation} {turn}" for turn in question.gold["turn"]}
            shares.append(len(gold & {hit.cube.id for hit in hits}) / len(gold))
        figures[f"{name} %"] = fmean(shares)
    return figures


def with_shares(rows: dict[str, Row]) -> dict[str, Row]:
    """Return the rows with the share of what embedding all texts again reaches."""
    for name, row in rows.items():
        full = rows[f"{name.split(': ')[0]}: {FULL}"]
        for method in METHODS:
            row[f"{method}, of full %"] = row[f"{method} %"] / full[f"{method} %"]
    return rows
