"""Answers that a reader gives to what a memory shows, and the stage that a wrong one comes from.

A reader sees a question and the passages that a memory showed for it, nothing else. `ScriptedReader` needs no model: it
knows the values that a slot may have and takes the newest, or the best ranked, that a passage about the subject names.
It reads without fault, so its errors are those of what it was shown. `ModelReader` asks any OpenAI-compatible endpoint
with the prompt below; its version is part of every result.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from mnemos.bench.text.task import Expected, Question
from mnemos.cube import utc_now
from mnemos.errors import MnemosError
from mnemos.reason.budget import Fault, Ledger
from mnemos.reason.chat import Chat, objects

PROTOCOL = 1  # raise it with every change of the prompt or of `right`
PROMPT = (
    "You are given notes from a memory, oldest first, each with its time and speaker, and a question. Answer from the "
    "notes alone. Where two notes disagree, the later one holds. Reply with one JSON object "
    '{"answer": "..."}: the answer in as few words as possible, or "" if the notes do not answer.'
)
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
Stage = Literal["right", "write", "retrieval", "reader"]
STAGES: tuple[Stage, ...] = ("right", "write", "retrieval", "reader")


@dataclass(frozen=True, slots=True)
class Passage:
    """A memory as a reader sees it."""

    id: str
    text: str
    at: datetime
    speaker: str | None = None

    def line(self) -> str:
        """Return it as one line of a prompt."""
        return f"[{self.at:%Y-%m-%d %H:%M}] {self.speaker or 'user'}: {self.text}"


class Reader(Protocol):
    """Answers from passages."""

    @property
    def name(self) -> str:
        """What a result calls it."""

    def answer(self, question: Question, shown: Sequence[Passage]) -> str:
        """Return the answer to a question whose `expected` is set, "" where the passages have none."""


@dataclass(frozen=True)
class ScriptedReader:
    """Takes the value that a passage about the subject names: of the newest passage, or of the best ranked."""

    newest: bool = True  # else the passages are read in the order in which they are shown

    @property
    def name(self) -> str:
        """What a result calls it."""
        return "scripted, newest" if self.newest else "scripted, first"

    def answer(self, question: Question, shown: Sequence[Passage]) -> str:
        """Return the value, or ""."""
        expected = question.expected or Expected()
        passages = sorted(shown, key=lambda p: p.at, reverse=True) if self.newest else shown
        for passage in passages:
            if concerns(passage, expected) and (named := mentioned(passage.text, expected.choices)):
                return named[-1]
        return ""


@dataclass(frozen=True)
class ModelReader:
    """Asks a model behind an OpenAI-compatible endpoint, such as `mnemos serve` with a model of this machine."""

    url: str  # such as http://localhost:8000/v1
    model: str
    key: str | None = None
    timeout: float = 120.0

    @property
    def name(self) -> str:
        """What a result calls it."""
        return self.model

    def answer(self, question: Question, shown: Sequence[Passage]) -> str:
        """Return the model's answer. Raises MnemosError where the endpoint gives none."""
        notes = "\n".join(p.line() for p in sorted(shown, key=lambda p: p.at))
        asked = f"Notes:\n{notes}\n\nQuestion (asked {question.asked_at or 'now'}): {question.text}"
        messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": asked}]
        chat = Chat(self.url, self.key, self.timeout, 100, Ledger(None, None, utc_now, ("read",)), utc_now)
        try:
            content, _ = chat.answer("read", self.model, messages, SCHEMA)
        except Fault as fault:
            raise MnemosError(f"{self.model} at {self.url} gave no answer: {fault}.") from fault
        return spoken(content)


def spoken(content: str) -> str:
    """Return the answer in a model's reply; a reply that is not the JSON asked for is the answer itself."""
    for value in objects(content):
        if isinstance(value, dict) and isinstance(value.get("answer"), str):
            return str(value["answer"]).strip()
    return content.strip()


def concerns(passage: Passage, expected: Expected) -> bool:
    """Tell whether a passage says every word of `about`, or is said by it."""
    said = f"{passage.speaker or ''} {passage.text}"
    return all(mentioned(said, (word,)) for word in expected.about)


def mentioned(text: str, values: Collection[str]) -> list[str]:
    """Return the values that a text names as whole words, in the order in which it does; one in another is not named."""
    places = []
    for value in values:
        for match in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE):
            places.append((match.start(), -match.end(), value))
    named, end = [], 0
    for start, stop, value in sorted(places):
        if start >= end:
            named.append(value)
            end = -stop
    return named


def right(answer: str, expected: Expected) -> bool:
    """Tell whether an answer is accepted: it names one of the answers, or is empty where nothing answers."""
    if not expected.answers:
        return not answer
    return bool(mentioned(answer, expected.answers))


def blame(
    answer: str, expected: Expected, gold: Collection[str], stored: Collection[str], shown: Collection[str]
) -> Stage:
    """Return the stage that an answer failed at, or "right".

    "write": evidence is not in the memory. "retrieval": it is, and was not shown; or nothing answers, and the memory
    showed passages all the same, which the reader took. "reader": it was shown all that it needs.
    """
    if right(answer, expected):
        return "right"
    if not set(gold) <= set(stored):
        return "write"
    if not set(gold) <= set(shown) or (not gold and shown):
        return "retrieval"
    return "reader"
