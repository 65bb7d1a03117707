"""Google Takeout, "My Activity", "Gemini Apps": MyActivity.json or MyActivity.html, as of 2026.

Each activity is what the user asked and, mostly, the answer: the title "Prompted ..." and `safeHtmlItem` in JSON; lines of a
cell, with the time between question and answer, in HTML. There are no ids and no conversations: what lies within half an hour
is a session, unless the activity names its chat. Left out, and told, is what is no prompt (feedback, pictures, other products).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from mnemos.transfer.html_text import html_text
from mnemos.transfer.products.marks import without_citations
from mnemos.transfer.source import LOOK, Conversation, Item, Message, Read, has, stable_id
from mnemos.transfer.times import time_of

SOURCE = "gemini"
GAP = timedelta(minutes=30)
_ASKED = re.compile(r"(?:Prompted(?: with:)?|Asked(?: Gemini:| Bard:)?|Said|Branched|Answered)[ \xa0]+")
_OTHER = re.compile(
    r"(?:Created|Used|Added|Gave|Selected|Shared|Deleted|Viewed|Visited|Searched|Edited|Pinned|Renamed|Exported|Updated"
    r"|Watched|Listened|Uploaded|Opened|Saved|Ran)[ \xa0]"
)
_ATTACHED = re.compile(r"\s*Attached \d+ files?\.?\s*\Z")
_CELL = '<div class="outer-cell'
_CONTENT = re.compile(r'<div class="content-cell[^"]*body-1[^"]*"[^>]*>(?!</div>)')
_CLOCK = re.compile(r"\d{1,2}[:.]\d{2}[:.]\d{2}")
_CHAT = re.compile(r"gemini\.google\.com/(?:app|gem/\w+)/(\w{8,40})")
_CHINESE = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日\s*(\S*)\s*CST")


def is_gemini(value: Any) -> bool:
    """Tell whether a JSON value is an activity of Google, of Gemini among others."""
    rows = value.get("Gemini Apps") if isinstance(value, Mapping) else value
    if not isinstance(rows, list):
        return False
    found = [r for r in rows[:LOOK] if has(r, "title", "time") and (has(r, "header") or has(r, "products"))]
    return any(_of_gemini(row) for row in found) or any(has(row, "safeHtmlItem") for row in found)


def is_gemini_html(text: str) -> bool:
    """Tell whether an HTML page is an activity of Google."""
    return _CELL in text and "content-cell" in text


def gemini(value: Any, where: str) -> Iterator[Read]:
    """Yield the conversations of MyActivity.json."""
    rows: list[Any] = value["Gemini Apps"] if isinstance(value, Mapping) else value
    found: list[tuple[str, datetime | None, str, str, str]] = []
    for number, row in enumerate(rows):
        place = f"{where}[{number}]"
        title = row.get("title") if isinstance(row, Mapping) else None
        if not isinstance(title, str):
            yield Item(place, None, "an activity without a title")
        elif not _of_gemini(row):
            yield Item(place, None, left_out=f"another product's activity ({row.get('header')!r:.40})")
        else:
            html = [dict(h).get("html") for h in _mappings(row.get("safeHtmlItem"))]
            answer = "\n".join(html_text(h) for h in html if isinstance(h, str))
            if not answer:
                answer = "\n".join(str(dict(s)["name"]) for s in _mappings(row.get("subtitles")) if has(s, "name"))
            asked = _asked(title, bool(answer))
            if asked is None:
                yield Item(place, None, left_out=f"no prompt ({title:.40})")
                continue
            at = time_of({"time": row.get("time")})
            chat = _CHAT.search(str(row.get("titleUrl") or ""))
            found.append((place, at, asked, answer, chat[1] if chat else ""))
    yield from _conversations(found, where)


def gemini_html(text: str, where: str) -> Iterator[Read]:
    """Yield the conversations of MyActivity.html."""
    found: list[tuple[str, datetime | None, str, str, str]] = []
    for number, cell in enumerate(text.split(_CELL)[1:]):
        place = f"{where}[{number}]"
        content = _CONTENT.split(cell, maxsplit=1)
        body = content[1].partition('<div class="content-cell')[0] if len(content) > 1 else cell.partition(">")[2]
        lines = [line.strip() for line in html_text(body).split("\n")]
        lines = lines[1:] if lines and lines[0] in ("Gemini Apps", "Bard") else lines
        times = [(i, at) for i, line in enumerate(lines) if (at := _time(line)) is not None]
        if not times:
            yield Item(place, None, "an activity without a time")
            continue
        i, at = times[0]
        question, answer = "\n".join(lines[:i]), "\n".join(lines[i + 1 :])
        answer = re.split(r"\n?(?:Products|Produkte|Produits|Productos|Produtos|Prodotti):\n", answer)[0]
        chat = _CHAT.search(cell)
        asked = _asked(question, bool(answer))
        if asked is None:
            yield Item(place, None, left_out=f"no prompt ({question:.40})")
        else:
            found.append((place, at, asked, answer, chat[1] if chat else ""))
    yield from _conversations(found, where)


def _time(line: str) -> datetime | None:
    if len(line) > 60 or not _CLOCK.search(line) or not re.search(r"\d{4}", line):
        return None
    line = _CHINESE.sub(r"\1-\2-\3 \4 +08:00", line.replace("\u202f", " "))
    return time_of({"time": line})


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


def _of_gemini(row: Mapping[str, Any]) -> bool:
    products = row.get("products")
    names = [row.get("header"), *(products if isinstance(products, list) else [])]
    shown = " ".join(n.casefold() for n in names if isinstance(n, str))
    return not shown or "gemini" in shown or "bard" in shown


def _asked(title: str, answered: bool) -> str | None:
    """Return what the user asked; None when the activity is no prompt. Other languages have other verbs."""
    title = title.replace("\xa0", " ").strip()
    if found := _ASKED.match(title):
        return _ATTACHED.sub("", title[found.end() :]).strip() or None
    return None if _OTHER.match(title) or not answered else _ATTACHED.sub("", title) or None


def _conversations(found: list[tuple[str, datetime | None, str, str, str]], where: str) -> Iterator[Read]:
    """Yield what was asked within half an hour, or in one chat, as a conversation; the newest came first."""
    found.sort(key=lambda row: (row[1] is None, row[1].timestamp() if row[1] else 0.0))
    chats: dict[str, list[Item]] = {}
    last: datetime | None = None
    session = ""
    for place, at, asked, answer, chat in found:
        if not session or at is None or last is None or at - last > GAP:
            session = stable_id("gemini session", at.isoformat() if at else place, asked)
        last = at or last
        for role, text in (("user", asked), ("assistant", without_citations(answer))):
            if text.strip():
                said: Message = {
                    "id": stable_id("gemini", at.isoformat() if at else "", role, asked, text if at is None else ""),
                    "content": text, "role": role, "at": at, "kind": "turn", "source": SOURCE,
                }  # fmt: skip
                chats.setdefault(chat or session, []).append(Item(place, said))
    for name, items in chats.items():
        yield Conversation(where, SOURCE, name, items)
