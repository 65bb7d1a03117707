"""Questions that have an answer in a space and questions that have none there, with the evidence for what a search finds.

What has no answer is made from the sets themselves. `other`: a question is asked of another conversation. `later`: a
question is asked of the first half of its conversation, when nothing of its answer was told yet. `near`: people wrote
questions on what was nearly told. Questions of LoCoMo whose premise is false (`adversarial`) are neither.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.progress import Progress
from mnemos.bench.text import beam, factconsolidation, lifebench, locomo, qmsum, silence, xquad
from mnemos.bench.text.retrieval import only_splits
from mnemos.bench.text.task import Haystack, Question
from mnemos.system import Mnemos
from mnemos.text.recall.evidence import Floats
from mnemos.text.search import search

K = 10
MOST = 25  # questions of one haystack
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: its set, whether and how it has an answer, and the first hits: evidence (k, F), and which are right."""

    set: str
    kind: str  # "told", or why there is no answer
    table: Floats
    right: Bools

    @property
    def family(self) -> str:
        """The set without its language: what is left out together."""
        return self.set.split(" ")[0]

    @property
    def summary(self) -> Floats:
        """The largest of each feature."""
        best: Floats = self.table.max(axis=0)
        return best


@dataclass(frozen=True, slots=True)
class Plan:
    """A space, and what is asked of it, by kind."""

    set: str
    haystack: Haystack
    questions: Mapping[str, Sequence[Question]] = field(default_factory=dict)


def ask(memory: Mnemos, plan: Plan, step: Progress) -> Iterator[Asked]:
    """Store the messages unless they are, and yield each question as it is found."""
    space = memory.space(f"{plan.set} {plan.haystack.name}")
    if not space.count():
        space.add_many(plan.haystack.messages)
    for kind, questions in plan.questions.items():
        for question in questions:
            found = search(space.text, question.text, K, question.filters, question.asked_at, "hybrid")
            if len(found.evidence):
                gold = set(gold_of(question)) if kind == "told" else set()
                right = [any(cube.id in gold for cube in (hit.cube, *hit.also)) for _, hit in found.hits]
                yield Asked(plan.set, kind, found.evidence, np.array(right))
            step(1)


def gold_of(question: Question) -> tuple[str, ...]:
    """Return the ids of its first granularity."""
    return next(iter(question.gold.values()))


def halved(plan: Plan) -> Plan:
    """Return the first half of a haystack, and the questions of which everything, or nothing, was told in it."""
    half = len(plan.haystack.messages) // 2
    told, later = ({m["id"] for m in part} for part in (plan.haystack.messages[:half], plan.haystack.messages[half:]))
    by_kind = {
        kind: [q for q in plan.haystack.questions if set(gold_of(q)) <= ids][:MOST]
        for kind, ids in (("told", told), ("later", later))
    }
    first = replace(plan.haystack, name=f"{plan.haystack.name}-half", messages=plan.haystack.messages[:half])
    return Plan(plan.set, first, by_kind)


def plans(sets: Mapping[str, Path]) -> Iterator[Plan]:
    """Yield the plans of the development parts of the sets that are given by name, and of the hands' material."""
    for name, path in sets.items():
        yield from MAKERS[name](path)
    for hand, items in silence.load("").items():
        for item in items:
            haystack = silence.haystack(item)
            answered = [q for q in haystack.questions if gold_of(q)]
            nothing = [q for q in haystack.questions if not gold_of(q)]
            yield Plan("hands", replace(haystack, name=f"{hand} {haystack.name}"), {"told": answered, "near": nothing})


def _conversations(name: str, haystacks: Sequence[Haystack], *, halves: bool = True) -> Iterator[Plan]:
    rng = random.Random(1)
    for i, haystack in enumerate(haystacks):
        mine = [q for q in haystack.questions if q.category != "adversarial"]
        other = [q for q in haystacks[(i + 1) % len(haystacks)].questions if q.category != "adversarial"]
        some = rng.sample(mine, min(len(mine), MOST))
        yield Plan(name, haystack, {"told": some, "other": rng.sample(other, min(len(other), len(some) // 2))})
        if halves:
            yield halved(Plan(name, replace(haystack, questions=rng.sample(mine, len(mine)))))


def _locomo(path: Path) -> Iterator[Plan]:
    return _conversations("locomo", only_splits(locomo.load(path), ["development"]).haystacks)


def _beam(path: Path) -> Iterator[Plan]:
    return _conversations("beam", only_splits(beam.load(path), ["development"]).haystacks[:4])


def _qmsum(path: Path) -> Iterator[Plan]:
    return _conversations("qmsum", qmsum.load(path).haystacks[:10], halves=False)


def _lifebench(path: Path) -> Iterator[Plan]:
    for haystack in lifebench.load(path).haystacks:
        plan = Plan(f"lifebench {haystack.name.split('-')[1]}", haystack, {"told": haystack.questions})
        yield replace(plan, questions={"told": haystack.questions[:MOST]})
        yield halved(plan)


def _facts(path: Path) -> Iterator[Plan]:
    for haystack in factconsolidation.load(path).haystacks[:2]:
        yield Plan("factconsolidation", haystack, {"told": haystack.questions[:MOST]})


def _xquad(path: Path) -> Iterator[Plan]:
    rng = random.Random(1)
    for haystack in xquad.load(path).haystacks:
        for split, name in (("same", haystack.name.replace("-", " ")), ("to-english", "xquad to-english")):
            questions = [q for q in haystack.questions if q.split == split]
            if questions:
                yield halved(Plan(name, replace(haystack, questions=rng.sample(questions, len(questions)))))


MAKERS = {
    "locomo": _locomo, "beam": _beam, "qmsum": _qmsum, "lifebench": _lifebench,
    "factconsolidation": _facts, "xquad": _xquad,
}  # fmt: skip
