"""Prose for the tasks of real models: books in a folder, or the language reference that comes with Python.

Books are split by name, in two halves that share no book: `development`, on which anything may be fitted, and
`report`, which the result files are measured on. Of the names in order, the second, fourth, ... are for development.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from mnemos.errors import InvalidInput

Half = Literal["report", "development"]
_BREAK = re.compile(r"\n\s*\n")
_END = re.compile(r"(?<=[.!?][”\"'’)])\s+|(?<=[.!?])\s+")
_WORDY = re.compile(r"[A-Za-z’',;:.!?“”\"()\s-]+")


class Prose:
    """The sentences of some books, in order."""

    def __init__(self, books: dict[str, list[str]]) -> None:
        self.books = books  # sentences by name

    def passage(self, rng: random.Random) -> Iterator[str]:
        """Yield the sentences of a random book from a random one on; at its end it begins again."""
        sentences = self.books[rng.choice(sorted(self.books))]
        at = rng.randrange(len(sentences))
        while True:
            yield sentences[at % len(sentences)]
            at += 1


def prose(folder: Path | None, half: Half) -> Prose:
    """Return half of the books (`*.txt`) in a folder; without a folder, half of the topics of Python's reference.

    Raises InvalidInput for a folder without a book for each half.
    """
    texts = _reference() if folder is None else {path.name: path.read_text("utf-8") for path in folder.glob("*.txt")}
    names = sorted(texts)[1 if half == "development" else 0 :: 2]
    found = {name: kept for name in names if len(kept := sentences(texts[name])) >= 50}
    if not found:
        raise InvalidInput(f"{folder} has no book for the {half} half: give a folder with two long .txt files or more.")
    return Prose(found)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text: of its paragraphs of words, without headings, lists and tables."""
    found: list[str] = []
    for paragraph in _BREAK.split(text.replace("_", "")):
        line = " ".join(paragraph.split())
        if len(line) >= 60 and line[-1] in ".!?”\"'" and _WORDY.fullmatch(line):
            found += [part for part in _END.split(line) if part]
    return found


def _reference() -> dict[str, str]:
    from pydoc_data.topics import topics

    names = sorted(topics)
    return {f"reference {i}": "\n\n".join(topics[name] for name in names[i::4]) for i in range(4)}
