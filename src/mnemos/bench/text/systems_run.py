"""One system on one set: what is told is written, consolidated, and asked; each text is embedded once for all systems."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.text import metrics
from mnemos.bench.text.retrieval import rank
from mnemos.bench.text.task import Haystack, Question, Task, Unit
from mnemos.cube import MemCube
from mnemos.embed.base import Embedder
from mnemos.embed.base import Progress as EmbedProgress
from mnemos.reason.base import Metered
from mnemos.space import Space
from mnemos.store.values import Entry
from mnemos.system import Mnemos
from mnemos.text.base import Encoder, System
from mnemos.text.recall.context import estimate_tokens, records

TOKENS = 1_500  # of a prompt, at most
SHOWN = 10  # hits that a prompt is made of

Key = tuple[str, str, str, bool]


@dataclass
class Shared:
    """An encoder that computes the entry of a text once for all systems that encode it alike, and counts what it does."""

    inner: Encoder
    known: dict[Key, Entry]
    seconds: float = 0.0  # in the inner encoder, and in looking up
    texts: int = 0  # that this system had encoded

    def encode(
        self, cubes: Sequence[MemCube], embedder: Embedder | None, progress: EmbedProgress | None = None
    ) -> list[Entry]:
        """Return an entry for each cube; see `Encoder`."""
        start = time.perf_counter()
        kind, embedded = repr(self.inner), embedder is not None
        keys = [(kind, f"{c.text}\0{sorted(c.metadata.items()) if 'a-mem' in c.metadata else ''}",
                 c.local_at.isoformat(), embedded) for c in cubes]  # fmt: skip
        new = {key: cube for key, cube in zip(keys, cubes, strict=True) if key not in self.known}
        made = self.inner.encode(list(new.values()), embedder, progress) if new else []
        self.known.update(zip(new, made, strict=True))
        self.texts += len(cubes)
        found = [replace(self.known[key], cube=cube) for key, cube in zip(keys, cubes, strict=True)]
        self.seconds += time.perf_counter() - start
        return found


@dataclass
class Measured:
    """What a system did on a set, summed over its haystacks."""

    rows: list[dict[str, float]] = field(default_factory=list)  # of each question
    messages: int = 0
    writing: float = 0.0  # seconds without the encoder's
    consolidating: float = 0.0  # seconds without the encoder's
    encoded: int = 0
    reading: list[float] = field(default_factory=list)  # seconds of each search
    bytes: int = 0
    active: int = 0  # cubes that are searched in the end
    calls: int = 0  # of a model

    def summary(self) -> dict[str, Any]:
        """Return the means, rounded."""
        found = {name: round(value, 4) for name, value in metrics.mean(self.rows).items()}
        return found | {
            "write_ms": round(1e3 * self.writing / max(self.messages, 1), 3),
            "consolidate_ms": round(1e3 * self.consolidating / max(self.messages, 1), 3),
            "embedded": round(self.encoded / max(self.messages, 1), 2),
            "read_ms": round(1e3 * metrics.percentile(self.reading, 50), 2) if self.reading else None,
            "bytes": round(self.bytes / max(self.messages, 1)),
            "searched": round(self.active / max(self.messages, 1), 3),
            "calls": self.calls,
        }


def write(
    memory: Mnemos, haystack: Haystack, name: str, system: System, known: dict[Key, Entry], into: Measured
) -> Space:
    """Tell a haystack to a space of a system, in its order, and consolidate it; return the space."""
    shared = Shared(system.encode, known)
    space = memory.space(f"{haystack.name}-{name}", system=replace(system, encode=shared))
    start = time.perf_counter()
    space.add_many(haystack.messages)
    into.writing += time.perf_counter() - start - shared.seconds
    told, start = shared.seconds, time.perf_counter()
    while space.consolidate().more:
        pass
    into.consolidating += time.perf_counter() - start - (shared.seconds - told)
    into.messages += len(haystack.messages)
    into.encoded += shared.texts
    into.bytes += space.store.inspect.sizes().file
    into.active += space.count()
    reasoner = space.text.reasoner
    into.calls += int(reasoner.stats().get("calls", 0)) if isinstance(reasoner, Metered) else 0
    return space


def ask(space: Space, task: Task, questions: Sequence[Question], prompts: bool, into: Measured, step: Progress) -> None:
    """Ask the questions of one haystack; with `prompts` also measure what a prompt would show."""
    [(granularity, unit), *_] = task.granularities.items()
    space.search("warm up", 1)
    for question in questions:
        space.search(question.text, 1, asked_at=question.asked_at, **question.filters)  # the vector is not timed
        start = time.perf_counter()
        ranking = rank(space, question, unit, "hybrid")
        into.reading.append(time.perf_counter() - start)
        gold = question.gold[granularity]
        row = {
            "recall@10": metrics.fraction(ranking, gold, 10),
            "first": metrics.recall_any(ranking, gold, 1),
            "precision@10": metrics.hits(ranking, gold, 10) / max(len(ranking[:10]), 1),
        }
        if prompts:
            row |= _prompt(space, question, unit, gold)
        into.rows.append(row)
        step(1)


def _prompt(space: Space, question: Question, unit: Unit, gold: Sequence[str]) -> dict[str, float]:
    """Return the tokens of the prompt for a question, and the share of the evidence that it cites."""
    block = space.context(question.text, tokens=TOKENS, k=SHOWN, asked_at=question.asked_at, **question.filters)
    shown = [r.session if unit == "sessions" else r.id for r in records(block)]
    return {
        "tokens": float(estimate_tokens(block)),
        "shown": metrics.fraction([s or "" for s in shown], gold, len(shown)),
    }


def spaced(questions: Sequence[Question], most: int) -> list[Question]:
    """Return at most `most` questions, evenly spaced."""
    step = max(len(questions) / most, 1.0)
    return [questions[int(i * step)] for i in range(min(most, len(questions)))]


def full_context(haystack: Haystack) -> int:
    """Return the tokens of all messages: what a prompt without a memory would need."""
    return sum(estimate_tokens(str(message["content"])) for message in haystack.messages)


def last_turns(haystack: Haystack, question: Question, granularity: str, unit: Unit) -> float:
    """Return the share of the evidence in the last messages before a question that fit into a prompt: truncation."""
    left, shown = TOKENS, []
    for message in reversed(haystack.messages):
        if isinstance(question.asked_at, datetime) and message["at"] > question.asked_at:
            continue
        left -= estimate_tokens(str(message["content"]))
        if left < 0:
            break
        shown.append(str(message.get("session") if unit == "sessions" else message["id"]))
    return metrics.fraction(shown, question.gold[granularity], len(shown))


def leave_one_out(default: System) -> Mapping[str, System]:
    """Return the default without one mechanism each that takes part in a search, by the mechanism's name."""
    from mnemos.registry import name_of
    from mnemos.text.recall.factors import GROUPS
    from mnemos.text.recall.hybrid import Hybrid

    found = {f"signals: {group}": replace(default, retrieve=Hybrid(factors={group: 0.0})) for group in GROUPS}
    found["links"] = replace(default, retrieve=Hybrid(links=False))
    for reranker in default.rerank:
        rest = tuple(r for r in default.rerank if r is not reranker)
        found[name_of(type(reranker)) or type(reranker).__name__] = replace(default, rerank=rest)
    return found
