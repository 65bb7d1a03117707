"""Run retrieval systems over a task: store each haystack, ask its questions, score the rankings."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mnemos.bench.progress import SILENT, Progress
from mnemos.bench.registry import near
from mnemos.bench.text import metrics
from mnemos.bench.text.task import Haystack, Question, Task, Unit
from mnemos.embed.encoder import OnnxEncoder
from mnemos.errors import InvalidInput
from mnemos.space import SearchMethod, Space
from mnemos.system import Mnemos

CONSOLIDATED = "consolidated"  # after `Space.consolidate`, with links, episodes, summaries and profiles
SYSTEMS: dict[str, SearchMethod] = {
    "mnemos": "hybrid", "bm25": "words", "vectors": "vectors", CONSOLIDATED: "hybrid", "cross-encoder": "cross-encoder",
}  # fmt: skip
USUAL = ("mnemos", "bm25", "vectors", CONSOLIDATED)  # those that are compared where none is named
DEPTH = max(metrics.CUTOFFS)  # results that each query asks for, so that every cutoff has its ranking


@dataclass(frozen=True)
class Options:
    """The data, and what is measured on it."""

    data: Path  # the benchmark's data, a file or a folder; it is not part of Mnemos
    systems: tuple[str, ...] = USUAL  # systems to compare
    splits: tuple[str, ...] = ()  # use only the questions of these splits
    limit: int | None = None  # use only the first N conversations
    embedder: str = "bundled"  # what embeds the texts


@dataclass(frozen=True, slots=True)
class Answer:
    """What one system returned for one question at one granularity, and how long that took."""

    question: Question
    system: str
    granularity: str
    ranking: list[str]
    seconds: float


def measure(task: Task, options: Options, progress: Progress) -> dict[str, Any]:
    """Return the result of the systems on the splits and the first haystacks asked for.

    Raises InvalidInput for an unknown system or split.
    """
    if options.splits:
        task = only_splits(task, options.splits)
    task = replace(task, haystacks=task.haystacks[: options.limit])
    counts = {
        "haystacks": len(task.haystacks),
        "messages": sum(len(h.messages) for h in task.haystacks),
        "questions": sum(len(h.questions) for h in task.haystacks),
    }
    progress.expect(counts["messages"] + counts["questions"] * len(options.systems) * len(task.granularities))
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=options.embedder, timezone="UTC") as memory,
    ):
        model = memory.embedder and {"name": memory.embedder.name, "revision": memory.embedder.revision}
        measured = evaluate(memory, task, systems=options.systems, step=progress)
    return {"data": task.source | counts, "embedder": model} | measured


def only_splits(task: Task, splits: Sequence[str]) -> Task:
    """Return the task with the questions of these splits, without the haystacks that are left with none."""
    known = {q.split for h in task.haystacks for q in h.questions}
    if unknown := set(splits) - known:
        raise InvalidInput(f"{task.name} has no split {sorted(unknown)[0]!r}: choose from {', '.join(sorted(known))}.")
    kept = [replace(h, questions=[q for q in h.questions if q.split in splits]) for h in task.haystacks]
    return replace(task, haystacks=[h for h in kept if h.questions])


def evaluate(memory: Mnemos, task: Task, *, systems: Sequence[str] = USUAL, step: Progress = SILENT) -> dict[str, Any]:
    """Return the `ingest` and `systems` parts of a result; one space per haystack, removed after its questions.

    Ingest counts everything between the first message and the last commit (dates, terms, vectors, rows; the loading
    of the model too). The first search of a space builds its index; it is timed as `index`, not as a query.
    `step` is called with the number of messages stored or queries answered since the last call. Raises
    InvalidInput for an unknown system.
    """
    if unknown := set(systems) - set(SYSTEMS):
        raise InvalidInput(f"there is no system {sorted(unknown)[0]!r}: {near(sorted(unknown)[0], SYSTEMS)}")
    answers: list[Answer] = []
    stored, seconds, building = 0, 0.0, 0.0
    for haystack in task.haystacks:
        space = memory.space(haystack.name)
        start = time.perf_counter()
        stored += len(space.add_many(haystack.messages, progress=step))
        seconds += time.perf_counter() - start
        start = time.perf_counter()
        space.search("warm up", 1)
        building += time.perf_counter() - start
        answers += ask(space, haystack, task.granularities, systems, step)
        memory.remove(haystack.name)
    return {
        "ingest": {
            "messages": stored,
            "seconds": round(seconds, 3),
            "per_second": round(stored / seconds, 1) if seconds else None,
            "index_seconds": round(building, 3),
        },
        "systems": {s: summary([a for a in answers if a.system == s], task) for s in systems},
    }


def ask(
    space: Space, haystack: Haystack, granularities: Mapping[str, Unit], systems: Sequence[str], step: Progress
) -> list[Answer]:
    """Return the answers of every system to every question of one haystack, each in a pass that embeds the queries."""
    answers = []
    for system in sorted(systems, key=CONSOLIDATED.__eq__):  # last: it changes the space
        if system == CONSOLIDATED:
            space.consolidate()
            space.search("warm up", 1)
        for granularity, unit in granularities.items():
            forget_queries(space)
            for question in haystack.questions:
                start = time.perf_counter()
                ranking = rank(space, question, unit, SYSTEMS[system])
                answers.append(Answer(question, system, granularity, ranking, time.perf_counter() - start))
                step(1)
    return answers


def forget_queries(space: Space) -> None:
    """Empty the bundled model's cache of single texts, so that every question is timed as a new one."""
    if isinstance(space.text.embedder, OnnxEncoder):
        space.text.embedder.clear_cache()


def rank(space: Space, question: Question, unit: Unit, method: SearchMethod, k: int = DEPTH) -> list[str]:
    """Return the ids (of cubes, or the names of sessions) that one search found, best first.

    A hit that shows equal texts once stands for all of them: their ids follow it, and count as further results.
    """
    if unit == "sessions":
        found = space.search_sessions(question.text, k, asked_at=question.asked_at, method=method, **question.filters)
        return [hit.session for hit in found]
    hits = space.search(question.text, k, asked_at=question.asked_at, method=method, **question.filters)
    return [cube.id for hit in hits for cube in (hit.cube, *hit.also)][:k]


def summary(answers: Iterable[Answer], task: Task) -> dict[str, Any]:
    """Return, for each granularity, the latency and the metrics of all questions and of each split."""
    answers = list(answers)
    result: dict[str, Any] = {}
    for granularity in task.granularities:
        mine = [a for a in answers if a.granularity == granularity]
        splits = {"all": mine}
        for name in sorted({a.question.split for a in mine}):
            splits[name] = [a for a in mine if a.question.split == name]
        result[granularity] = {
            "latency": metrics.latency_ms([a.seconds for a in mine]) | {"k": DEPTH},
            "splits": {name: split_summary(part, granularity) for name, part in splits.items()},
        }
    return result


def split_summary(answers: Sequence[Answer], granularity: str) -> dict[str, Any]:
    """Return the mean metrics of some answers, overall and by category, to five decimals."""
    rows = [metrics.score(a.ranking, a.question.gold[granularity]) for a in answers]
    overall = rounded(metrics.mean(rows))
    groups = metrics.mean_by([a.question.category for a in answers], rows)
    return overall | {"by_category": {name: rounded(values) for name, values in groups.items()}}


def rounded(values: Mapping[str, float]) -> dict[str, Any]:
    """Return the values to five decimals; more would be noise."""
    return {name: value if name == "n" else round(value, 5) for name, value in values.items()}
