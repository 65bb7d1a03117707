"""Streams of chunks for a memory that decides what to keep, and the questions that the memory is asked at the end.

A chunk is a fact that later ones may revise, an event on a day, a standing order, talk of no use, or a line of a log; half are
of no use. Talk has dates, names, numbers and values, too. The wordings of development and report streams differ. The reader
is fixed: it knows the wordings, and answers with the last sentence in memory that speaks of what was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

PEOPLE = ("Ana", "Ben", "Carla", "Dev", "Eli", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kim", "Lea")
ATTRIBUTES = ("phone", "desk", "badge", "locker", "room", "extension")
VERBS = ("met", "called", "paid", "visited", "trained", "thanked")
PLACES = (
    "the harbour",
    "the mill",
    "the bakery",
    "the station",
    "the museum",
    "the library",
    "the market",
    "the tower",
)
MONTHS = ("January", "March", "May", "July", "October")
TOPICS = ("prices", "dates", "distances", "replies", "reports", "temperatures", "addresses", "totals")
STYLES = ("euros", "capitals", "miles", "Dutch", "tables", "italics", "blue", "French")
# By kind: the wordings of development streams and those of report streams.
WORDINGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fact": (
        ("The {a} of {p} is {v}.", "{a} of {p}: {v}.", "The {a} of {p} is now {v}, they say."),
        ("New {a} of {p} = {v}.", "The current {a} of {p} is {v}."),
    ),
    "event": (
        ("On {d} {p} {verb} {q} at {place}.", "{p} {verb} {q} at {place} on {d}."),
        ("It was {d} when {p} {verb} {q} at {place}.", "{d}, early: {p} {verb} {q} at {place}."),
    ),
    "rule": (
        ("Always write {t} in {s}.", "I prefer {t} in {s}.", "You must give {t} in {s}."),
        ("Please show me {t} in {s} every time.", "From now on send {t} in {s}."),
    ),
    "talk": (
        ("I think {p} was late and the coffee is cold.", "On {d} it rained all morning.", "Did {p} see the gull on the railing?",
         "We waited {n} minutes at the gate.", "I never liked the smell of paint.", "The radio played one song three times.",
         "{p} laughed about the ladder in the corridor."),
        ("My tea is cold again, and {p} yawns.", "Was {d} sunny or not?", "I walked {n} steps in the rain.",
         "You always hear the same jokes here.", "Somebody left a crate of apples in the hall."),
    ),
    "log": (
        ("Run {n}: 17 files read, {n} lines, 3 warnings, cache cold, 88 ms in the parser, 12 ms in the writer, nothing to do.",
         "Trace {n} opened the socket, sent {n} bytes, waited, sent them again, and closed the socket after {n} ms."),
        ("Job {n} compiled 41 units in {n} ms, linked 3 targets, skipped 12 tests, "
         "wrote {n} bytes, and left no artefacts behind.",),
    ),
}  # fmt: skip
SHARES = {"fact": 0.28, "event": 0.18, "rule": 0.08, "talk": 0.29, "log": 0.17}
NAMES = 14  # things whose values the facts of a stream state and revise


@dataclass(frozen=True)
class Question:
    """What is asked at the end: the words that a sentence with the answer has, and the answer."""

    kind: str
    words: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Stream:
    """Chunks in order, and questions about them."""

    texts: list[str]
    questions: list[Question]

    @staticmethod
    def draw(seed: int, chunks: int, *, report: bool) -> Stream:
        """Return a stream of development or report wordings; at most eight standing orders, in its first part."""
        rng = Random(seed)
        texts, found = list[str](), dict[tuple[str, ...], Question]()
        topics = rng.sample(TOPICS, len(TOPICS))
        names = rng.sample([(person, attribute) for person in PEOPLE for attribute in ATTRIBUTES], NAMES)
        for i in range(chunks):
            kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
            if kind == "rule" and (not topics or i > 80):
                kind = "talk"
            text, question = _chunk(rng, kind, topics, names, WORDINGS[kind][report])
            texts.append(text)
            if question is not None:
                found[question.words] = question
        events = [q for q in found.values() if q.kind == "event"]
        dropped = set(rng.sample(range(len(events)), max(0, len(events) - 40)))
        kept = [q for i, q in enumerate(events) if i not in dropped]
        return Stream(texts, [q for q in found.values() if q.kind != "event"] + kept)

    def right(self, memory: str) -> list[bool]:
        """Return for each question whether the reader answers it right from a memory."""
        lines = [line for line in re.split(r"\n|(?<=[.?!]) ", memory) if line]
        return [_read(lines, question) == question.answer for question in self.questions]


def _chunk(
    rng: Random, kind: str, topics: list[str], names: Sequence[tuple[str, str]], wordings: Sequence[str]
) -> tuple[str, Question | None]:
    p, a = rng.choice(names)
    q = rng.choice([person for person in PEOPLE if person != p])
    filled = {
        "p": p, "q": q, "a": a, "v": str(rng.randrange(100, 1000)), "n": str(rng.randrange(10, 99)),
        "d": f"{rng.randrange(1, 28)} {rng.choice(MONTHS)}", "verb": rng.choice(VERBS), "place": rng.choice(PLACES),
        "t": topics.pop() if kind == "rule" else "", "s": rng.choice(STYLES),
    }  # fmt: skip
    text = rng.choice(wordings).format(**filled)
    if kind == "fact":
        return text, Question(kind, (f"{filled['a']} of {p} ",), filled["v"])
    if kind == "event":
        return text, Question(kind, (f"{p} {filled['verb']} {q} ", filled["d"]), filled["place"])
    return text, Question(kind, (f"{filled['t']} in ",), filled["s"]) if kind == "rule" else None


def _read(lines: Sequence[str], question: Question) -> str:
    wanted = {"fact": r"(\d{3})\b", "event": r"at (the \w+)", "rule": rf"{question.words[0]}(\w+)"}[question.kind]
    for line in reversed(lines):
        spoken = line.replace(":", " ") if question.kind == "fact" else line
        if all(word in spoken for word in question.words) and (match := re.search(wanted, line)):
            return match[1]
    return ""
