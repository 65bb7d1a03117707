"""A book of events, one a chapter, and questions by cue: dates, places, people and contents that recur.

After "Episodic Memories Generation and Evaluation Benchmark for Large Language Models" (arXiv 2501.13121); a template
narrates instead of a model, and the list of templates is ours: every subset of the four cues with each of the other
parts asked for (all four: whether it happened), and of a person the latest and the ordered dates, places and contents,
and the events as a whole. That makes 36. Chapters are not in the order of time.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Literal

from mnemos.bench.text.chatter import said
from mnemos.bench.text.task import Expected, Haystack, Question, Task

Part = Literal["date", "place", "person", "content", "event"]
Kind = Literal["all", "latest", "in order"]
PARTS: tuple[Part, ...] = ("date", "place", "person", "content")
GROUPS = ("0", "1", "2", "3-5", "6+")  # matching events
FIRST = date(2024, 1, 1)
WRITTEN = datetime(2040, 1, 1, tzinfo=UTC)  # of the first chapter; a chapter an hour
NAMES = ("Jackson", "Mila", "Hamza", "Ella", "Koa", "Ivy", "Bruno", "Leila", "Oskar", "Noemi", "Tariq", "Greta")
SURNAMES = ("Ramos", "Berlin", "Avila", "Hooks", "Lindqvist", "Okafor", "Marsh", "Petrov", "Sato", "Quinn")
PLACES = tuple(f"{a} {b}" for b in ("Hall", "Park", "Museum", "Pier", "Library") for a in (
    "Riverside", "Old Town", "Northgate", "Lakeview", "Saint Anne", "Harbour", "Kingsway", "Meadow"))  # fmt: skip
CONTENTS = tuple(f"{a} {b}" for a in ("a charity", "a children's", "an open-air", "a late-night", "a travelling") for b in (
    "concert", "book fair", "chess tournament", "cooking contest", "art auction", "science show", "film screening",
    "debate"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """What one chapter tells."""

    id: str
    date: date
    place: str
    person: str
    content: str

    def part(self, name: Part) -> str:
        """Return a part of it as the text says it."""
        if name == "event":
            return self.id
        return spoken(self.date) if name == "date" else str(getattr(self, name))


@dataclass(frozen=True, slots=True)
class Cued:
    """A question by cues, before it is put into words."""

    cues: tuple[tuple[Part, str], ...]
    wanted: Part
    kind: Kind = "all"

    def matches(self, event: Event) -> bool:
        """Tell whether an event has every cue."""
        return all(event.part(name) == value for name, value in self.cues)

    def text(self) -> str:
        """Return the question in words."""
        said_of = {"date": "on {}", "place": "at {}", "person": "with {}", "content": "about {}"}
        about = " ".join(said_of[name].format(value) for name, value in self.cues)
        what = {"date": "dates", "place": "places", "person": "people", "content": "happenings", "event": "events"}
        if self.kind == "latest":
            return f"What is the {what[self.wanted][:-1]} of the most recent event {about}?"
        if self.kind == "in order":
            return f"List all {what[self.wanted]} of the events {about}, in the order of time."
        return f"List all {what[self.wanted]} of the events {about}."


def spoken(day: date) -> str:
    """Return a day as chapters and questions say it."""
    return f"{day.day} {day:%B} {day.year}"


def events(count: int, seed: int = 0) -> list[Event]:
    """Return events whose parts recur: the first ones of each kind often, the last ones rarely."""
    rng = random.Random(f"book{seed}/{count}")
    days = [FIRST + timedelta(days=7 * i + rng.randrange(7)) for i in range(max(count // 4, 8))]
    people = [f"{a} {b}" for a in NAMES for b in SURNAMES]
    pools: dict[Part, list[str]] = {"place": list(PLACES), "person": people, "content": list(CONTENTS)}
    for name, pool in pools.items():
        rng.shuffle(pool)
        pools[name] = pool[: max(count // 5, 6)]

    def drawn(pool: Sequence[str]) -> str:
        return pool[min(int(rng.expovariate(4) * len(pool)), len(pool) - 1)]

    found: dict[tuple[date, str], Event] = {}
    while len(found) < count:
        day, person = rng.choice(days), drawn(pools["person"])
        if (day, person) not in found:  # so that the dates of a person have one order
            event = Event(str(len(found)), day, drawn(pools["place"]), person, drawn(pools["content"]))
            found[day, person] = event
    return list(found.values())


def chapter(event: Event, seed: int = 0) -> str:
    """Return the chapter that tells an event."""
    rng = random.Random(f"chapter{seed}/{event.id}")
    told = rng.choice((
        "On {date}, {person} went to {place} for {content}.",
        "It was {date} when {person} walked into {place}, where {content} had just begun.",
        "At {place}, {content} drew a crowd on {date}, and {person} stood at the centre of it.",
        "{person} had looked forward to {content} for weeks; on {date} the doors of {place} finally opened.",
    )).format(**{name: event.part(name) for name in PARTS})  # fmt: skip
    said_there = " ".join(f'"{said(rng)}"' for _ in range(2))
    return f"Chapter {int(event.id) + 1}. {told} Somebody in the crowd said: {said_there}"


def templates() -> list[tuple[tuple[Part, ...], Part, Kind]]:
    """Return the 36 templates: the parts that are cues, the part that is asked for, and how."""
    found: list[tuple[tuple[Part, ...], Part, Kind]] = []
    for size in range(1, 5):
        for cues in combinations(PARTS, size):
            wanted: list[Part] = [part for part in PARTS if part not in cues] or ["event"]
            found += [(cues, part, "all") for part in wanted]
    of_person: tuple[Part, ...] = ("person",)
    found += [(of_person, part, kind) for kind in ("latest", "in order") for part in ("date", "place", "content")]
    return [*found, (of_person, "event", "all")]


def group(matching: int) -> str:
    """Return the group of a number of matching events."""
    return str(matching) if matching < 3 else "3-5" if matching < 6 else "6+"


def asked(book: Sequence[Event], each: int = 2, seed: int = 0) -> list[Cued]:
    """Return up to `each` questions of every template and group of matching events that the book has."""
    rng = random.Random(f"asked{seed}/{len(book)}")
    found = []
    for cues, wanted, kind in templates():
        there = Counter(tuple((name, event.part(name)) for name in cues) for event in book)
        by_group: dict[str, list[tuple[tuple[Part, str], ...]]] = {name: [] for name in GROUPS}
        for values, matching in there.items():
            by_group[group(matching)].append(values)
        by_group["0"] = list(absent(book, cues, there, each, rng)) if kind == "all" else []
        for name, known in by_group.items():
            if kind != "in order" or name in GROUPS[2:]:  # one element has no order
                found += [Cued(values, wanted, kind) for values in rng.sample(known, min(each, len(known)))]
    return found


def absent(
    book: Sequence[Event],
    cues: Sequence[Part],
    there: Counter[tuple[tuple[Part, str], ...]],
    count: int,
    rng: random.Random,
) -> Iterator[tuple[tuple[Part, str], ...]]:
    """Yield cues of no event: known parts that never met, or where there is one cue, one that the book does not have."""
    unknown: dict[Part, str] = {
        "date": spoken(FIRST - timedelta(days=rng.randrange(30, 300))),
        "place": "Windmill Hill Station",
        "person": "Percival Thornbury",
        "content": "a silent beekeeping retreat",
    }
    for _ in range(50 * count):
        values = tuple((name, rng.choice(book).part(name)) for name in cues)
        if len(cues) == 1:
            yield ((cues[0], unknown[cues[0]]),)
            return
        if values not in there:
            yield values
            count -= 1
            if not count:
                return


def task(chapters: int = 200, seed: int = 0, each: int = 2) -> Task:
    """Return the book as a retrieval task: gold are the chapters that match, categories the groups."""
    book = events(chapters, seed)
    messages = [
        {"id": event.id, "content": chapter(event, seed), "at": WRITTEN + timedelta(hours=i)}
        for i, event in enumerate(book)
    ]
    questions, written = [], WRITTEN + timedelta(hours=chapters)
    for number, cued in enumerate(asked(book, each, seed)):
        gold = tuple(event.id for event in book if cued.matches(event))
        values = tuple(dict.fromkeys(event.part(cued.wanted) for event in book if cued.matches(event)))
        expected = Expected(values, about=tuple(value for _, value in cued.cues))
        text, category = cued.text(), group(len(gold))
        questions.append(Question(str(number), text, {"chapter": gold}, category, "made", written, expected=expected))
    return Task("cues", {"chapter": "cubes"}, [Haystack("book", messages, questions)], {"made": "cues", "seed": seed})
