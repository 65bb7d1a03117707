"""The weeks of a software team over chat, tracker and commits, with a state machine that knows what was so when.

After MEMTRACK (arXiv 2510.01353), generated: every ticket is created and changes hands, state, priority and release;
the tracker tells each change, commits and chat refer to it, and chat also holds rumours and plans that are not so.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from mnemos.bench.text.chatter import said
from mnemos.bench.text.task import Expected, Haystack, Question, Task

Source = Literal["tracker", "chat", "commits"]
START = datetime(2024, 3, 4, 8, tzinfo=UTC)
DAYS = 40
TEAM = ("Ana", "Ben", "Carla", "Deniz", "Erik", "Farah", "Gus", "Hana")
VALUES = {
    "status": ("open", "in progress", "in review", "done", "reopened", "blocked"),
    "assignee": TEAM,
    "priority": ("low", "medium", "high", "urgent"),
    "release": ("1.4", "1.5", "1.6", "2.0", "2.1"),
}
ISSUES = ("the login page times out", "exports lose the last row", "search ignores accents", "the cache is never emptied",
          "invoices show the wrong tax", "uploads fail over 2 GB", "the mobile menu flickers", "emails are sent twice",
          "the report is slow", "dark mode breaks charts", "empty lists give an error 500", "backups miss a table")  # fmt: skip
FILES = ("session.py", "export.py", "search.ts", "cache.go", "tax.rs", "upload.py", "menu.css", "mailer.py")
RUMOURS = {
    "status": ("I think {t} is {v} already.", "Somebody told me {t} is {v}, no idea if that is true."),
    "assignee": ("Maybe {v} could take {t}?", "I heard that {v} has {t} now."),
    "priority": ("{t} should really be {v}, if you ask me.", "Wasn't {t} {v}?"),
    "release": ("It would be nice to have {t} in {v}.", "Did anybody promise {t} for {v}?"),
}


@dataclass(frozen=True, slots=True)
class Event:
    """One message of a timeline. `field` is set where the tracker tells a state; a rumour's is not the state."""

    id: str
    at: datetime
    source: Source
    speaker: str
    text: str
    ticket: str = ""
    field: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about one field of one ticket: now, or at a moment."""

    ticket: str
    field: str
    kind: Literal["current", "superseded", "conflict", "past"]
    value: str
    evidence: str
    moment: datetime | None = None

    def text(self, dated: bool = True) -> str:
        """Return the question in words, with its moment unless that is given apart."""
        if self.moment is None or not dated:
            return f"What is the {self.field} of {self.ticket}?"
        return f"What was the {self.field} of {self.ticket} on {self.moment.day} {self.moment:%B} {self.moment.year}?"


def timeline(tickets: int, noise: int, seed: int) -> list[Event]:
    """Return the events of all tickets, with `noise` further messages for each, in the order of time."""
    rng = random.Random(f"timeline{seed}/{tickets}")
    events: list[Event] = []
    for number in range(tickets):
        name = f"ORB-{11 + 7 * number}"
        events += life(rng, name, rng.choice(ISSUES))
        for _ in range(noise):
            at = START + timedelta(days=rng.uniform(0, DAYS))
            events.append(Event(f"{name}/n{len(events)}", at, "chat", rng.choice(TEAM), said(rng)))
    return sorted(events, key=lambda e: e.at)


def life(rng: random.Random, ticket: str, issue: str) -> Iterator[Event]:
    """Yield what is told of one ticket: its changes by the tracker, and what chat and commits make of them."""
    day = rng.uniform(0, 5)
    now = {field: rng.choice(values) for field, values in VALUES.items()} | {"status": "open"}
    number = 0

    def event(source: Source, speaker: str, text: str, field: str = "", value: str = "", hours: float = 0.0) -> Event:
        nonlocal number
        number += 1
        at = START + timedelta(days=day, hours=hours)
        return Event(f"{ticket}/{number}", at, source, speaker, text, ticket, field, value)

    for field, value in now.items():
        yield event("tracker", "tracker", f"{ticket} ({issue}) was created. {field}: {value}", field, value)
    for _ in range(rng.randrange(3, 9)):
        day += rng.uniform(0.5, 4)
        field = rng.choice(("status", "status", "assignee", "priority", "release"))
        old, value = now[field], rng.choice([v for v in VALUES[field] if v != now[field]])
        now[field] = value
        text = f"{ticket} ({issue}): {field} changed from {old} to {value}"
        yield event("tracker", "tracker", text, field, value)
        if rng.random() < 0.5:
            yield event("commits", now["assignee"], f"{ticket}: rework {rng.choice(FILES)}", hours=2)
        if rng.random() < 0.6:
            yield event("chat", rng.choice(TEAM), f"Had a look at {ticket}, {issue}. {said(rng)}", hours=3)
        if rng.random() < 0.5:
            wrong = rng.choice([v for v in VALUES[field] if v != value])
            text = rng.choice(RUMOURS[field]).format(t=ticket, v=wrong)
            yield event("chat", rng.choice(TEAM), text, hours=5)


def chains(events: Sequence[Event]) -> list[list[Asked]]:
    """Return for every ticket a chain of questions: each field as it is now, and the status as it was before."""
    found = []
    for ticket in dict.fromkeys(e.ticket for e in events if e.ticket):
        chain = []
        mine = [e for e in events if e.ticket == ticket]
        for field in VALUES:
            told = [e for e in mine if e.field == field]
            last = told[-1]
            rumoured = any(e.source == "chat" and not e.field and e.at > last.at and _names(e, field) for e in mine)
            kind: Literal["current", "superseded", "conflict"] = "superseded" if len(told) > 1 else "current"
            chain.append(Asked(ticket, field, "conflict" if rumoured else kind, last.value, last.id))
            if field == "status" and len(told) > 1:
                before = told[-2]
                moment = before.at + (last.at - before.at) / 2
                if moment.date() not in (before.at.date(), last.at.date()):
                    chain.append(Asked(ticket, field, "past", before.value, before.id, moment))
        found.append(chain)
    return found


def _names(event: Event, field: str) -> bool:
    return any(event.text == r.format(t=event.ticket, v=v) for r in RUMOURS[field] for v in VALUES[field])


def message(event: Event) -> dict[str, object]:
    """Return an event as `add_many` takes it."""
    given = {"id": event.id, "content": event.text, "speaker": event.speaker, "source": event.source, "at": event.at}
    return given | {"session": f"{event.source}/{event.at:%Y-%m-%d}"}


def task(tickets: int = 20, noise: int = 10, seed: int = 0) -> Task:
    """Return the timeline as a retrieval task: gold is the event that set the value asked for."""
    events = timeline(tickets, noise, seed)
    end = START + timedelta(days=DAYS + 30)
    questions = [question(asked, f"{i}/{j}", end) for i, c in enumerate(chains(events)) for j, asked in enumerate(c)]
    haystack = Haystack("team", [message(event) for event in events], questions)
    return Task("timelines", {"event": "cubes"}, [haystack], {"made": "timelines", "seed": seed})


def question(asked: Asked, name: str, end: datetime) -> Question:
    """Return a question of a chain as the readers take it."""
    expected = Expected((asked.value,), VALUES[asked.field], (asked.ticket,))
    return Question(name, asked.text(), {"event": (asked.evidence,)}, asked.kind, "made", end, expected=expected)
