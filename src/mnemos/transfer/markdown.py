"""Import notes in Markdown or plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnemos.transfer.source import Item, decode, read_bytes, stable_id

SECTION = 1_000  # characters that paragraphs of one heading are packed up to
SUFFIXES = (".md", ".markdown", ".txt")
_HEADING = re.compile(r"(#{1,6})[^\S\n]+(.*)")
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})")


def note_files(path: Path) -> list[Path]:
    """Return the files of notes at a path: the file itself, or all in a folder, sorted, without hidden ones."""
    if path.is_file():
        return [path] if path.suffix.lower() in SUFFIXES else []
    found = (f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())
    return sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(path).parts))


def notes(path: Path) -> Iterator[Item]:
    """Yield every note in sections of about 1,000 characters at most; a paragraph is cut only between words.

    A note happened on the `date:` of its front matter, else on the day in its file name, else when it was last changed.
    """
    for file in [path] if path.is_file() else note_files(path):
        name = file.name if file == path else file.relative_to(path).as_posix()
        front, body = _front_matter(decode(read_bytes(file), str(file)))
        at = _date(front.get("date") or front.get("created")) or _date(file.name)
        at = at or _changed(file)
        for number, (heading, text) in enumerate(sections(body)):
            metadata: dict[str, Any] = {"heading": heading} if heading else {}
            if front:
                metadata["front_matter"] = front
            yield Item(
                f"{name}#{number + 1}",
                {
                    "id": stable_id("note", name, number, text), "content": text, "kind": "note", "at": at,
                    "session": name, "source": name, "metadata": metadata,
                },
            )  # fmt: skip


def _changed(file: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(file.stat().st_mtime), UTC)
    except (OSError, OverflowError, ValueError):  # a year out of range
        return None


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    """Split off `key: value` lines between two lines of dashes at the top."""
    if not text.startswith("---\n") or "\n---" not in text[3:]:
        return {}, text
    head, _, body = text[4:].partition("\n---")
    pairs = (line.split(":", 1) for line in head.splitlines() if ":" in line and not line.startswith((" ", "#")))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs if value.strip()}, body.partition("\n")[2]


def _date(text: str | None) -> datetime | None:
    match = _DATE.search(text or "")
    try:
        return datetime.fromisoformat(match[1]).replace(tzinfo=UTC) if match else None
    except ValueError:
        return None


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield (heading path, text) of a note: paragraphs under one heading, packed; fenced code stays with its text."""
    path: list[tuple[int, str]] = []
    packed: list[str] = []
    bare = False  # the last heading has had no text yet
    for block in _blocks(text):
        heading = _HEADING.fullmatch(block)
        size = sum(map(len, packed)) + len(block)
        if packed and (heading or size > SECTION):
            yield " > ".join(t for _, t in path), "\n\n".join(packed)
            packed = []
        if heading:
            level, title = len(heading[1]), heading[2].rstrip().rstrip("#").rstrip()
            if bare and level <= path[-1][0] and path[-1][1]:  # else the heading would be lost: it becomes a note
                yield " > ".join(t for _, t in path[:-1]), path[-1][1]
            path, bare = [*((n, t) for n, t in path if n < level), (level, title)], True
        else:
            bare = False
            *whole, rest = _pieces(block)
            for piece in whole:
                yield " > ".join(t for _, t in path), piece
            packed.append(rest)
    if packed:
        yield " > ".join(t for _, t in path), "\n\n".join(packed)
    if bare and path[-1][1]:
        yield " > ".join(t for _, t in path[:-1]), path[-1][1]


def _blocks(text: str) -> Iterator[str]:
    """Yield headings and paragraphs; blank lines inside fenced code do not end one."""
    block: list[str] = []
    fence = ""
    for line in [*text.splitlines(), ""]:
        mark = line.lstrip()[:3]
        if fence:
            block.append(line)
            fence = "" if mark == fence else fence
        elif mark in ("```", "~~~"):
            block.append(line)
            fence = mark
        elif _HEADING.fullmatch(line.strip()) or not line.strip():
            if block:
                yield "\n".join(block)
            block = []
            if line.strip():
                yield line.strip()
        else:
            block.append(line)
    if block:
        yield "\n".join(block)


def _pieces(block: str) -> list[str]:
    """Cut a paragraph of more than 1,000 characters at line ends or spaces."""
    pieces, begin = [], 0
    while len(block) - begin > SECTION:
        low, high = begin + SECTION // 2, begin + SECTION
        cut = max(block.rfind("\n", low, high), block.rfind(" ", low, high))
        cut = cut + 1 if cut > 0 else high
        pieces.append(block[begin:cut].rstrip())
        begin = cut
    return [*(p for p in pieces if p.strip()), block[begin:]]
