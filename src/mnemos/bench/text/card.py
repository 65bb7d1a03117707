"""An evaluation card of a memory, and a gate for its updates: `mnemos bench card`.

After "Memory in Large Language Models: Mechanisms, Evaluation and Evolution" (arXiv 2509.18868): the same questions over
the same timeline, closed book (a guess among the values that there are), with an index frozen half-way, and live. Beside
the answers: whether the passages cited hold the evidence, how many answers are outdated, answers by where in the timeline
the evidence lies, and whether the live memory, asked `as_of` half-way, answers as the frozen one did (replay). Pairs of
settings are tested with McNemar's exact test, corrected by Holm. The gate is that of `card_gate.py`.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.arms import passage
from mnemos.bench.text.card_gate import gated, gates
from mnemos.bench.text.conversations import START, history
from mnemos.bench.text.facts import cached
from mnemos.bench.text.reader import Passage, ScriptedReader, mentioned, right
from mnemos.bench.text.significance import compare_all
from mnemos.bench.text.task import Expected, Haystack, Question
from mnemos.embed import Embedder
from mnemos.space import Space
from mnemos.system import Mnemos

SETTINGS = ("closed book", "frozen index", "live")
THIRDS = ("early", "middle", "late")


@dataclass(frozen=True)
class Options:
    """The timelines."""

    users: int = 4  # timelines
    conversations: int = 40  # of each
    each: int = 3  # questions of each class
    k: int = 5  # turns that a search shows
    embedder: str = "bundled"  # what embeds the texts


@dataclass(frozen=True, slots=True)
class Graded:
    """One answer in one setting."""

    correct: bool
    faithful: bool  # the passages that name the answer hold the evidence; True where nothing was answered
    outdated: bool
    third: str  # where in the timeline the evidence lies, "" where there is none
    answer: str


def table(result: Result) -> Rows:
    """Return the card by setting."""
    lines: Rows = [["setting", "n", "correct", "faithful", "outdated", *THIRDS]]
    for name, row in result["settings"].items():
        thirds = [percent(row["thirds"][third]) if third in row["thirds"] else "–" for third in THIRDS]
        figures = [percent(row[key]) for key in ("correct", "faithful", "outdated")]
        lines.append([name, row["n"], *figures, *thirds])
    return lines


def pairs(result: Result) -> Rows:
    """Return the significance of the differences, and the replay."""
    lines: Rows = [["pair", "right in the first only", "in the second only", "p", "p, corrected"]]
    for row in result["pairs"]:
        p, corrected = (f"{row[name]:.2g}" for name in ("p", "corrected"))
        lines.append([row["pair"], row["only_first"], row["only_second"], p, corrected])
    return lines


def unsound(result: Result) -> str | None:
    """Return what is wrong with the gate: a bad edit that passed, or a decision that its log does not repeat."""
    gate = result["gate"]
    if gate["bad blocked"] < 1:
        return "a bad edit passed the gate."
    return None if gate["replayed"] == 1 else "replaying the audit log does not give the decisions that were made."


@benchmark(
    "card",
    help="An evaluation card: closed book, frozen index and live on one timeline, and a gate that blocks bad updates.",
    options=Options,
    tables={"card": table, "card-pairs": pairs, "card-gate": gates},
    problem=unsound,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the card of all settings, their differences, the share that is replayed, and what the gate did."""
    embedder = cached(options.embedder)
    progress.expect(options.users)
    graded: dict[str, list[Graded]] = {setting: [] for setting in SETTINGS}
    replayed: list[bool] = []
    edits = []
    for seed in range(options.users):
        haystack = history(options.conversations, options.each, seed)
        asked = [q for q in haystack.questions if q.category != "implicit"]  # no value to read
        half = START + timedelta(days=options.conversations / 2)
        early = [m for m in haystack.messages if m["at"] < half]
        with remembered(replace(haystack, messages=early), embedder) as (frozen, _):
            mine = {
                "closed book": grade(asked, haystack, closed(seed)),
                "frozen index": grade(asked, haystack, found(frozen, options.k)),
            }
        with remembered(haystack, embedder) as (live, tick):
            mine["live"] = grade(asked, haystack, found(live, options.k))
            then = grade(asked, haystack, found(live, options.k, half))
            edits += gated(live, asked, options.k, seed, tick)
        replayed += [a.answer == b.answer for a, b in zip(then, mine["frozen index"], strict=True)]
        for setting in SETTINGS:
            graded[setting] += mine[setting]
        progress(1)
    right_by = {setting: [g.correct for g in rows] for setting, rows in graded.items()}
    good, bad = [e for e in edits if e.good], [e for e in edits if not e.good]
    return {
        "users": options.users,
        "settings": {setting: figures(rows) for setting, rows in graded.items()},
        "pairs": compare_all(right_by),
        "replay": round(sum(replayed) / len(replayed), 4),
        "gate": {
            "good": len(good), "bad": len(bad),
            "good admitted": sum(e.admitted for e in good) / max(len(good), 1),
            "bad blocked": sum(not e.admitted for e in bad) / max(len(bad), 1),
            "answers restored": sum(e.restored for e in edits if not e.admitted) / max(sum(not e.admitted for e in edits), 1),
            "replayed": sum(e.replayed for e in edits) / max(len(edits), 1),
        },
    }  # fmt: skip


@contextmanager
def remembered(haystack: Haystack, embedder: Embedder | str) -> Iterator[tuple[Space, Callable[[], datetime]]]:
    """Tell a space the messages at their times; yield it, and a function that lets a second pass and returns the time."""
    now = [START]

    def tick() -> datetime:
        now[0] += timedelta(seconds=1)
        return now[0]

    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, clock=lambda: now[0], timezone="UTC") as memory,
    ):
        space = memory.space("told")
        for message in haystack.messages:
            now[0] = message["at"]
            space.add_many([message])
        now[0] = haystack.questions[0].asked_at  # type: ignore[assignment]
        yield space, tick


Show = Callable[[Question], list[Passage]]


def found(space: Space, k: int, as_of: datetime | None = None) -> Show:
    """Return what a search of a space shows, at present or as of a moment."""

    def show(question: Question) -> list[Passage]:
        hits = space.search(question.text, k, asked_at=question.asked_at, as_of=as_of)
        return [passage(cube) for hit in hits for cube in (hit.cube, *hit.also)][:k]

    return show


def closed(seed: int) -> Show:
    """Return a guess: a passage without evidence that names one of the values that there are."""
    rng = random.Random(f"guess{seed}")

    def show(question: Question) -> list[Passage]:
        choices = (question.expected or Expected()).choices
        return [Passage("guess", rng.choice(choices), START)]

    return show


def grade(questions: Sequence[Question], haystack: Haystack, show: Show) -> list[Graded]:
    """Return the graded answers of one setting."""
    rows = []
    texts = {m["id"]: (m["content"], m["at"]) for m in haystack.messages}
    days = (haystack.messages[-1]["at"] - START) / 3
    for question in questions:
        expected, gold = question.expected or Expected(), question.gold["turn"]
        shown = show(question)
        answer = ScriptedReader().answer(question, shown)
        cited = {p.id for p in shown if answer and mentioned(p.text, (answer,))}
        told = {value for text, _ in texts.values() for value in mentioned(text, expected.choices)}
        third = THIRDS[min(int((texts[gold[0]][1] - START) / days), 2)] if gold else ""
        correct = right(answer, expected)
        rows.append(
            Graded(correct, not answer or bool(cited & set(gold)), not correct and answer in told, third, answer)
        )
    return rows


def figures(rows: Sequence[Graded]) -> dict[str, Any]:
    """Return the shares of a setting."""
    thirds = {third: [g.correct for g in rows if g.third == third] for third in THIRDS}
    shares = {name: [getattr(g, name) for g in rows] for name in ("correct", "faithful", "outdated")}
    means = {name: round(sum(values) / len(values), 4) for name, values in (shares | thirds).items() if values}
    by_third = {third: means.pop(third) for third in THIRDS if third in means}
    return {"n": len(rows)} | means | {"thirds": by_third}
