"""Statements for `read.py`: texts with their values marked, from our own files and from those of other hands."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).parent
_MARK = re.compile(r"\{([^{}|]+)\|([^{}|]*)(?:\|([^{}|]*))?(?:\|([^{}]*))?\}")
SAME = {  # names in statements.txt that the package has under another one
    "allergy": "allergic to", "language": "speak", "instrument": "play", "sister": "relation", "brother": "relation",
    "mother": "relation", "cousin": "relation", "aunt": "relation", "niece": "relation", "nephew": "relation",
    "person": "relation", "teacher": "relation", "lawyer": "relation", "accountant": "relation", "landlord": "neighbour",
    "size": "height", "weight": "height", "appointment": "meeting time", "nickname": "name", "pronouns": "name",
    "gym": "sport", "dentist": "doctor", "bank": "finance", "rent": "finance", "bedtime": "wake-up time",
    "subscription": "provider", "programming language": "tool", "port": "setting", "insurance": "provider",
    "favourite color": "likes", "favourite band": "likes", "wifi": "setting", "time zone": "setting", "database": "setting",
    "number": "setting", "editor": "tool", "browser": "tool", "breed": "pet", "bike": "car", "airline": "provider",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """A value in a text, of whom it is, and how it is stated."""

    start: int
    end: int
    attribute: str
    whose: tuple[int, int] | None  # where the text says whose; None: the speaker's
    tense: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Example:
    """A text and all that it states."""

    text: str
    values: tuple[Value, ...]


def marked(path: Path) -> list[Example]:
    """Return the examples of a file with marks, one a line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_parsed(line) for line in lines if line.strip() and not line.startswith("#")]


def _parsed(line: str) -> Example:
    text, last = "", 0
    found: list[tuple[int, int, str, str, list[str]]] = []
    for m in _MARK.finditer(line):
        text += line[last : m.start()]
        found.append((len(text), len(text) + len(m[1]), m[2], m[3] or "", (m[4] or "").split(",")))
        text, last = text + m[1], m.end()
    text += line[last:]
    values = []
    for start, end, attribute, who, flags in found:
        whose = where(text, who, start) if who else None
        if who and whose is None:
            raise SystemExit(f"{who!r} is not in {text!r}. Write it as the text has it.")
        tense = next((f for f in flags if f in ("past", "future")), "now")
        values.append(Value(start, end, SAME.get(attribute, attribute), whose, tense, "neg" in flags))
    return Example(text, tuple(values))


def hand(path: Path) -> list[Example]:
    """Return the examples of another hand: JSON lines with `text` and `facts` (whose, attribute, value, tense, negated)."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text, values = row["text"], []
        for fact in row["facts"]:
            span = where(text, fact["value"], 0)
            whose = None if fact["whose"] == "speaker" else where(text, fact["whose"], span[0] if span else 0)
            if span is not None and (whose is not None or fact["whose"] == "speaker"):
                values.append(Value(*span, fact["attribute"], whose, fact["tense"], bool(fact["negated"])))
        found.append(Example(text, tuple(values)))
    return found


def where(text: str, words: str, near: int) -> tuple[int, int] | None:
    """Return where words stand in a text, nearest to a place."""
    spans = [m.span() for m in re.finditer(re.escape(words), text, re.IGNORECASE)]
    return min(spans, key=lambda s: abs(s[0] - near), default=None)


def varied(examples: Sequence[Example], rng: random.Random) -> Iterator[Example]:
    """Yield examples in other registers and in company: lower case, without the last stop, beside other sentences."""
    for example in examples:
        if rng.random() < 0.3:
            lower = example.text.lower()
            if len(lower) == len(example.text):
                yield replace(example, text=lower.rstrip(".!") or lower)
        if rng.random() < 0.5:
            other = rng.choice(examples)
            yield beside(example, other) if rng.random() < 0.5 else beside(other, example)


def beside(first: Example, second: Example) -> Example:
    """Return two examples as one text."""
    text = first.text if first.text[-1:] in ".!?\u3002" else f"{first.text}."
    by = len(text) + 1
    moved = [
        replace(v, start=v.start + by, end=v.end + by, whose=v.whose and (v.whose[0] + by, v.whose[1] + by))
        for v in second.values
    ]
    return Example(f"{text} {second.text}", (*first.values, *moved))
