"""What a memory shows for a question, by arm: nothing, everything, what was found, or the evidence itself.

Every arm answers with passages for `reader.Reader`, so that sets with answers compare memories with the whole history
in the prompt, and with the evidence alone (the oracle).
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from mnemos.bench.text.reader import STAGES, Passage, Reader, Stage, blame
from mnemos.bench.text.task import Expected, Haystack, Question
from mnemos.cube import MemCube
from mnemos.embed import Embedder
from mnemos.space import SearchMethod, Space
from mnemos.system import Mnemos

Arm = Literal["nothing", "everything", "window", "words", "vectors", "mnemos", "mnemos if answerable", "oracle"]
ARMS: tuple[Arm, ...] = (
    "nothing", "everything", "window", "words", "vectors", "mnemos", "mnemos if answerable", "oracle",
)  # fmt: skip
SILENT: Arm = "mnemos if answerable"  # shows nothing where `Hits.answerable` is False
METHODS: Mapping[str, SearchMethod] = {"words": "words", "vectors": "vectors", "mnemos": "hybrid", SILENT: "hybrid"}
CHARS = 4  # of a token, as estimated where no tokenizer is named


def tokens(passages: Sequence[Passage]) -> int:
    """Return about how many tokens a prompt with these passages has."""
    return sum(len(p.line()) // CHARS + 1 for p in passages)


def passage(cube: MemCube) -> Passage:
    """Return a cube as a reader sees it."""
    return Passage(cube.id, cube.text, cube.at, cube.speaker)


@contextmanager
def told(haystack: Haystack, embedder: str | Embedder, *, reconcile: bool = True) -> Iterator[Space]:
    """Store the messages of a haystack in a space of a temporary folder, and yield the space."""
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, timezone="UTC") as memory,
    ):
        space = memory.space("told")
        space.add_many(haystack.messages, reconcile=reconcile)
        yield space


@dataclass
class Shower:
    """Shows passages of one haystack by arm."""

    space: Space
    unit: str  # the granularity whose ids are cubes
    k: int = 5  # passages that a search shows
    window: int = 2_000  # tokens of the newest messages that "window" shows
    every: list[Passage] = field(init=False)

    def __post_init__(self) -> None:
        self.every = [passage(c) for c in self.space.cubes(state="any", limit=1_000)]

    def show(self, arm: Arm, question: Question) -> list[Passage]:
        """Return what an arm shows, best first (in the order of time where nothing is ranked)."""
        if arm == "nothing":
            return []
        if arm == "oracle":
            gold = set(question.gold[self.unit])
            return [p for p in self.every if p.id in gold]
        if arm in ("everything", "window"):
            return self.every if arm == "everything" else newest(self.every, self.window)
        hits = self.space.search(question.text, self.k, asked_at=question.asked_at, method=METHODS[arm])
        if arm == SILENT and not hits.answerable:
            return []
        return [passage(c) for hit in hits for c in (hit.cube, *hit.also)][: self.k]


def newest(passages: Sequence[Passage], most: int) -> list[Passage]:
    """Return the newest passages that fit into `most` tokens, in their order."""
    kept: list[Passage] = []
    left = most
    for each in reversed(passages):
        left -= tokens([each])
        if left < 0:
            break
        kept.append(each)
    return kept[::-1]


@dataclass(slots=True)
class Tally:
    """What an arm did on the questions of one kind."""

    stages: Counter[Stage] = field(default_factory=Counter)
    evidence: int = 0  # questions with evidence, all of which was shown
    asked: int = 0  # questions with evidence
    silent: int = 0  # questions for which nothing was shown
    tokens: int = 0
    seconds: float = 0.0

    def row(self) -> dict[str, float]:
        """Return shares and means."""
        n = max(self.stages.total(), 1)
        return {
            "n": self.stages.total(),
            **{stage: round(self.stages[stage] / n, 4) for stage in STAGES},
            "evidence": round(self.evidence / self.asked, 4) if self.asked else 0.0,
            "silent": round(self.silent / n, 4),
            "tokens": round(self.tokens / n, 1),
            "ms": round(1e3 * self.seconds / n, 3),
        }


def compare(
    shower: Shower,
    questions: Sequence[Question],
    reader: Reader,
    arms: Sequence[Arm] = ARMS,
    step: Callable[[int], None] = lambda done: None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Return by arm and category (and "all") the shares of answers by stage, of evidence shown, tokens and time."""
    stored = {p.id for p in shower.every}
    found: dict[str, dict[str, Tally]] = {arm: {} for arm in arms}
    for arm in arms:
        for question in questions:
            start = time.perf_counter()
            shown = shower.show(arm, question)
            seconds = time.perf_counter() - start
            gold, ids = question.gold[shower.unit], {p.id for p in shown}
            stage = blame(reader.answer(question, shown), question.expected or Expected(), gold, stored, ids)
            for name in ("all", question.category):
                tally = found[arm].setdefault(name, Tally())
                tally.stages[stage] += 1
                tally.asked += bool(gold)
                tally.evidence += bool(gold) and set(gold) <= ids
                tally.silent += not shown
                tally.tokens += tokens(shown)
                tally.seconds += seconds
            step(1)
    return {arm: {name: tally.row() for name, tally in rows.items()} for arm, rows in found.items()}


def pooled(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return the mean of rows, weighed by the number of their questions."""
    n = sum(row["n"] for row in rows)
    return {"n": n} | {key: round(sum(r[key] * r["n"] for r in rows) / max(n, 1), 4) for key in rows[0] if key != "n"}
