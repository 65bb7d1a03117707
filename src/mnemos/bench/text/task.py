"""Retrieval benchmarks as data: haystacks of messages, and questions with the messages that answer them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from mnemos.errors import InvalidInput
from mnemos.text.recall.filters import Filters

Unit = Literal["cubes", "sessions"]  # what is ranked, by `Space.search` or by `Space.search_sessions`


@dataclass(frozen=True, slots=True)
class Expected:
    """What a right answer says, for sets whose answers are read and not only found. No `answers`: nothing answers it."""

    answers: tuple[str, ...] = ()  # any of them, in any case
    choices: tuple[str, ...] = ()  # the values that a scripted reader chooses among
    about: tuple[str, ...] = ()  # words that a passage must say, or its speaker be, to be about what is asked


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `gold` maps each granularity of the task to the ids that answer it; `filters` say what it may see."""

    id: str
    text: str
    gold: Mapping[str, tuple[str, ...]]
    category: str
    split: str
    asked_at: datetime | str | None = None
    filters: Filters = field(default_factory=Filters)
    expected: Expected | None = None


@dataclass(frozen=True, slots=True)
class Haystack:
    """One closed world: the messages of one space (as `Space.add_many` takes them) and what is asked of it."""

    name: str
    messages: list[dict[str, Any]]
    questions: list[Question]


@dataclass(frozen=True, slots=True)
class Task:
    """A benchmark as loaded. `granularities` says for each name what is ranked; `source` describes the data."""

    name: str
    granularities: Mapping[str, Unit]
    haystacks: list[Haystack]
    source: dict[str, Any]


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of the names and SHA-256 sums of the JSON files in it."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [f"{checksum(file)}  {file.relative_to(path).as_posix()}\n" for file in sorted(path.rglob("*.json"))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def existing(path: Path, what: str) -> Path:
    """Return the path if it exists. Raises InvalidInput that says what was expected there."""
    if not path.exists():
        raise InvalidInput(f"{path} does not exist: give --data the path of {what}.")
    return path


def read_json(path: Path, what: str) -> Any:
    """Return the value of a JSON file. Raises InvalidInput that says what was expected."""
    existing(path, what)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON ({error}). Give {what}.") from error
