"""Notes in Markdown or plain text as documents: their sections, and when they happened."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.text.encode.messages import moment
from mnemos.transfer.pages import MARK, text_of
from mnemos.transfer.roles import NOTE
from mnemos.transfer.sections import sections
from mnemos.transfer.source import Document, Item
from mnemos.transfer.times import ZONE

SUFFIXES = (".md", ".markdown", ".txt")
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})")
_DATED = ("date", "created", "created_at", "createdAt", "at", "updated", "modified")  # names in a front matter


def note(text: str, name: str, changed: datetime | None, file: str, exists: Callable[[str], bool]) -> Document:
    """Return a note in sections.

    It happened on the `date:` of its front matter, else on the day in its file name, else when it was last changed. Its words
    change nothing that the user has said.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    front, body = _front_matter(text)
    at = next((at for key in _DATED if (at := _moment(front.get(key))) is not None), None) or _date(name) or changed
    exported = front.pop(MARK, None) is not None
    items = []
    for number, (heading, section) in enumerate(sections(body)):
        metadata: dict[str, Any] = {"heading": text_of(heading) if exported else heading} if heading else {}
        if front:
            metadata["front_matter"] = front
        message = {
            "content": text_of(section) if exported else section, "kind": "note", "role": NOTE, "at": at,
            "metadata": metadata,
        }  # fmt: skip
        items.append(Item(f"{name}#{number + 1}", message))
    return Document(name, items, file, exists)


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    """Split off `key: value` lines between two lines of dashes at the top."""
    first, _, rest = text.partition("\n")
    lines = rest.split("\n")
    end = next((i for i, line in enumerate(lines) if line.rstrip() in ("---", "...")), None)
    if first.rstrip() != "---" or end is None:
        return {}, text
    pairs = (line.split(":", 1) for line in lines[:end] if ":" in line and not line.startswith((" ", "#")))
    front = {key.strip(): value.strip().strip("\"'") for key, value in pairs if value.strip()}
    return front, "\n".join(lines[end + 1 :])


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return moment(text, "date", ZONE.get()) if re.match(r"\d{4}-\d\d-\d\d", text) else _date(text)
    except InvalidInput:
        return _date(text)


def _date(text: str | None) -> datetime | None:
    match = _DATE.search(text or "")
    try:
        return moment(match[1], "date", ZONE.get()) if match else None
    except InvalidInput:
        return None
