"""Questions by cue over a book of events: `mnemos bench cues`. Is everything that matches found, and nothing else?

After "Episodic Memories Generation and Evaluation Benchmark for Large Language Models" (arXiv 2501.13121), with the
book of `book.py` in three lengths. Simple recall is the F1 of the values asked for, averaged within the groups of
questions with 0, 1, 2, 3-5 and 6 or more matching events, then over the groups; chronological awareness is the mean of
the share of latest states that are right and of Kendall's tau of ordered lists (0 unless all elements are there).

Readers take what they are shown: "trusting" every passage, "checking" those that name all the cues; both read a chapter
without fault. "filters" searches for nothing: it lists what the space's own filters leave, `since` and `until` for the
date that a chapter speaks of, `where` for metadata that the caller gave with each chapter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.arms import METHODS, SILENT
from mnemos.bench.text.book import GROUPS, PARTS, WRITTEN, Cued, Event, asked, chapter, events, group
from mnemos.space import Space
from mnemos.system import Mnemos

ARMS = (
    "whole book, trusting", "whole book, checking", "words, trusting", "vectors, trusting", "vectors, checking",
    "mnemos, trusting", "mnemos, checking", "mnemos if answerable, trusting", "mnemos if answerable, checking", "filters",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The books and the questions."""

    chapters: tuple[int, ...] = (20, 200, 1_000)  # lengths of the books
    each: int = 2  # questions of every template and group
    k: int = 10  # chapters that words and vectors show; mnemos shows 10, or 20 for a question that asks for a list
    seed: int = 0  # seed of the books
    arms: tuple[str, ...] = ARMS  # what gives the chapters, and how they are read
    embedder: str = "bundled"  # what embeds the texts


def table(result: Result) -> Rows:
    """Return the scores by length of the book and arm."""
    head = [
        "chapters",
        "arm",
        *(f"{name} matching" for name in GROUPS),
        "simple recall",
        "latest",
        "order",
        "chronology",
    ]
    lines: Rows = [head]
    for chapters, arms in result["books"].items():
        for arm, row in arms.items():
            cells = [row["groups"].get(name) for name in GROUPS]
            cells += [row[name] for name in ("simple_recall", "latest", "order", "chronology")]
            lines.append([chapters, arm, *("–" if cell is None else f"{cell:.3f}" for cell in cells)])
    return lines


@benchmark(
    "cues",
    help="Questions by date, place, person and content over a book of events: all that match, and nothing else?",
    options=Options,
    tables={"cues": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the scores of every arm for each book."""
    books: dict[str, Any] = {}
    for count in options.chapters:
        book = events(count, options.seed)
        questions = asked(book, options.each, options.seed)
        progress.expect(len(questions) * len(options.arms))
        with (
            tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
            Mnemos(root, embedder=options.embedder, timezone="UTC") as memory,
        ):
            space = memory.space("book")
            space.add_many([message(event, i, options.seed) for i, event in enumerate(book)], reconcile=False)
            shown = {arm: [show(space, book, q, arm, options.k, progress) for q in questions] for arm in options.arms}
        books[str(count)] = {arm: scores(book, questions, found) for arm, found in shown.items()}
    return {"seed": options.seed, "k": options.k, "books": books}


def message(event: Event, number: int, seed: int) -> dict[str, Any]:
    """Return a chapter as `add_many` takes it, with its place, person and content as metadata."""
    known = {name: event.part(name) for name in PARTS if name != "date"}
    at = WRITTEN + timedelta(hours=number)
    return {"id": event.id, "content": chapter(event, seed), "at": at, "metadata": known}


def show(space: Space, book: Sequence[Event], cued: Cued, arm: str, k: int, progress: Progress) -> list[Event]:
    """Return the events that an arm gives for a question."""
    progress(1)
    source, _, reader = arm.partition(", ")
    if source == "filters":
        found = filtered(space, cued)
    elif source == "whole book":
        found = [event.id for event in book]
    else:
        most = k if source in ("words", "vectors") else None
        hits = space.search(cued.text(), most, asked_at=WRITTEN, method=METHODS[source])
        found = [] if source == SILENT and not hits.answerable else [hit.cube.id for hit in hits]
    events_shown = [book[int(name)] for name in found]
    return [event for event in events_shown if cued.matches(event)] if reader == "checking" else events_shown


def filtered(space: Space, cued: Cued) -> list[str]:
    """Return the chapters that the space's filters leave: those that speak of the date, with these metadata."""
    where: dict[str, Any] = {name: value for name, value in cued.cues if name != "date"}
    day = dict(cued.cues).get("date")
    if day is None:
        return [cube.id for cube in space.cubes(where=where)]
    start = datetime.strptime(day, "%d %B %Y").replace(tzinfo=UTC)
    return [cube.id for cube in space.cubes(where=where or None, since=start, until=start + timedelta(days=1))]


def scores(book: Sequence[Event], questions: Sequence[Cued], found: Sequence[Sequence[Event]]) -> dict[str, Any]:
    """Return F1 by group, simple recall, the latest states, the order, and chronological awareness."""
    groups: dict[str, list[float]] = {}
    latest, order = [], []
    for cued, shown in zip(questions, found, strict=True):
        gold = sorted((event for event in book if cued.matches(event)), key=lambda e: e.date)
        given = sorted(shown, key=lambda e: e.date)
        if cued.kind == "latest":
            latest.append(float(bool(given) and given[-1].part(cued.wanted) == gold[-1].part(cued.wanted)))
        elif cued.kind == "in order":
            order.append(tau([e.part(cued.wanted) for e in gold], [e.part(cued.wanted) for e in given]))
        else:
            wanted = {e.part(cued.wanted) for e in gold}
            groups.setdefault(group(len(gold)), []).append(f1(wanted, {e.part(cued.wanted) for e in given}))
    means = {name: round(sum(groups[name]) / len(groups[name]), 4) for name in GROUPS if name in groups}
    newest, ordered = (round(sum(x) / len(x), 4) if x else None for x in (latest, order))
    both = [x for x in (newest, ordered) if x is not None]
    return {
        "groups": means,
        "simple_recall": round(sum(means.values()) / len(means), 4),
        "latest": newest,
        "order": ordered,
        "chronology": round(sum(both) / len(both), 4) if both else None,
    }


def f1(wanted: set[str], given: set[str]) -> float:
    """Return the F1 of a set of values; where nothing matches, 1 for nothing and 0 for anything."""
    if not wanted:
        return float(not given)
    both = len(wanted & given)
    return 2 * both / (len(wanted) + len(given))


def tau(wanted: Sequence[str], given: Sequence[str]) -> float:
    """Return Kendall's tau of the order of values, by their first mention; 0 unless exactly the wanted ones are given."""
    right, mine = list(dict.fromkeys(wanted)), list(dict.fromkeys(given))
    if set(right) != set(mine):
        return 0.0
    place = {value: i for i, value in enumerate(mine)}
    pairs = list(combinations(right, 2))
    agreeing = sum(place[a] < place[b] for a, b in pairs)
    return (2 * agreeing - len(pairs)) / len(pairs) if pairs else 1.0
