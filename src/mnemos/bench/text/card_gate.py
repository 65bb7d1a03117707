"""A gate for updates of a memory: tried, measured, kept or rolled back, and all of it on record.

Every edit says which question it changes and to what. The gate applies it, asks that question (the edit must do what it
says) and all others (nothing else may change), and otherwise writes the version before it again. Who acted is in the
audit log; the decisions are replayed from it alone: for each entry of the gate the same questions are asked `as_of` the
moments before and after the edit, which must lead to the same decision.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mnemos.bench.cells import percent
from mnemos.bench.registry import Result, Rows
from mnemos.bench.text.arms import passage
from mnemos.bench.text.reader import ScriptedReader
from mnemos.bench.text.task import Expected, Question
from mnemos.space import Space
from mnemos.store.audit import acting, digest_of

KEPT, UNDONE = "gate: kept", "gate: rolled back"


@dataclass(frozen=True, slots=True)
class Edit:
    """A proposed update of one cube, and the question that it is to change."""

    cube: str
    text: str
    question: Question
    answer: str
    good: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """What the gate did with an edit."""

    good: bool
    admitted: bool
    restored: bool  # all questions are answered as before, where it was rolled back
    replayed: bool  # the audit log and the history of the cube lead to the same decision


def gates(result: Result) -> Rows:
    """Return what the gate did."""
    gate = result["gate"]
    shares = ("good admitted", "bad blocked", "answers restored", "replayed")
    names = [
        "good edits",
        "bad edits",
        *shares,
        "answers of the live memory as of half-way that are the frozen index's",
    ]
    return [names, [gate["good"], gate["bad"], *(percent(gate[name]) for name in shares), percent(result["replay"])]]


def gated(
    space: Space, questions: Sequence[Question], k: int, seed: int, tick: Callable[[], datetime]
) -> list[Decided]:
    """Propose good and bad edits to a space and return what became of each."""
    return [decide(space, edit, questions, k, tick) for edit in proposals(space, questions, k, random.Random(seed))]


def proposals(space: Space, questions: Sequence[Question], k: int, rng: random.Random) -> list[Edit]:
    """Return edits of what the memory answers now: half do what they say, half hijack another question or do nothing."""
    edits = []
    known = [q for q in questions if q.category == "user fact" and answers(space, [q], k)[0]]
    others = [q for q in questions if q.category == "preference" and answers(space, [q], k)[0]]
    for question in known:
        old = (question.expected or Expected()).answers[0]
        cube, new = (
            question.gold["turn"][0],
            rng.choice([v for v in (question.expected or Expected()).choices if v != old]),
        )
        text = space.get(cube).text
        edits.append(Edit(cube, text.replace(old, new), question, new, good=True))
        edits.append(Edit(cube, "Never mind what I said here.", question, new, good=False))
        for other in others[:1]:
            wrong = rng.choice(
                [v for v in (other.expected or Expected()).choices if v not in (other.expected or Expected()).answers]
            )
            hijack = f"{text.replace(old, new)} {other.text.rstrip('?')}: it is {wrong}."
            edits.append(Edit(cube, hijack, question, new, good=False))
    return edits


def answers(space: Space, questions: Sequence[Question], k: int, as_of: datetime | None = None) -> list[str]:
    """Return the answers to questions, at present or as of a moment."""
    found = []
    for question in questions:
        hits = space.search(question.text, k, asked_at=question.asked_at, as_of=as_of)
        found.append(ScriptedReader().answer(question, [passage(hit.cube) for hit in hits]))
    return found


def admits(before: Sequence[str], after: Sequence[str], place: int, answer: str) -> bool:
    """Tell whether an edit does what it says and nothing else."""
    others = all(a == b for i, (a, b) in enumerate(zip(before, after, strict=True)) if i != place)
    return after[place] == answer and others


def decide(space: Space, edit: Edit, questions: Sequence[Question], k: int, tick: Callable[[], datetime]) -> Decided:
    """Try an edit, keep it or roll it back, and replay the decision from the log."""
    place = questions.index(edit.question)
    start, before = tick(), answers(space, questions, k)
    version = space.get(edit.cube).version
    tick()
    with acting("proposal"):
        space.update(edit.cube, content=edit.text, at=start)
    tried = tick()
    after = answers(space, questions, k)
    admitted = admits(before, after, place, edit.answer)
    tick()
    with acting(KEPT if admitted else UNDONE):
        if admitted:
            space.update(edit.cube, metadata={"gate": "kept"})
        else:
            space.rollback(edit.cube, version)
    tick()
    restored = answers(space, questions, k) == before
    return Decided(edit.good, admitted, restored, replay(space, edit, questions, k, (start, tried)) == admitted)


def replay(
    space: Space, edit: Edit, questions: Sequence[Question], k: int, moments: tuple[datetime, datetime]
) -> bool | None:
    """Return the decision that the log and the history lead to; None where the log is broken or does not have it."""
    count, wrong = space.verify_audit()
    mine = [e for e in space.audit(after=max(count - 2, 0)) if e.digest == digest_of([edit.cube]).hex()]
    if wrong or [e.actor for e in mine][:1] != ["proposal"] or len(mine) != 2:
        return None
    start, tried = moments
    before, after = (answers(space, questions, k, as_of=moment) for moment in (start, tried))
    decision = admits(before, after, questions.index(edit.question), edit.answer)
    return decision if mine[1].actor == (KEPT if decision else UNDONE) else None
