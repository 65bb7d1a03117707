"""A chat that WhatsApp exported as text: `_chat.txt` of an iPhone, "WhatsApp Chat with ....txt" of Android, in any language.

A message begins with its time, on the clock and in the order of the phone's region, and its sender. Whether the day or the
month comes first is told from all dates of the chat. Lines without a time go on with the message before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise

from mnemos.transfer.source import Conversation, Item, Message, Read
from mnemos.transfer.times import time_of

SOURCE = "whatsapp"
WIDEST = 80  # characters of the time of a message, at most
_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_HALF = (
    r"[ap]\.?\s?m\.?|\u5348\u524d|\u5348\u5f8c|\u4e0a\u5348|\u4e0b\u5348|\uc624\uc804|\uc624\ud6c4|[\u0635\u0645](?!\w)"
    r"|[\u03c0\u03bc]\.?\u03bc\.?"
)
_AFTERNOON = re.compile(r"p|\u5348\u5f8c|\u4e0b\u5348|\uc624\ud6c4|\u0645|\u03bc\.?\u03bc", re.IGNORECASE)
_HEAD = re.compile(
    r"(?P<open>\[)?(?P<date>\d{1,4}(?P<sign>[./-])\s?\d{1,2}(?P=sign)\s?\d{1,4})\.?[,\u060c]?\s+"
    rf"(?:(?!{_HALF})\w{{1,4}}\.?\s(?=\d))?(?:(?P<before>{_HALF})\s?)?(?P<hour>\d{{1,2}})[:.](?P<minute>\d\d)(?(open)(?:[:.](?P<second>\d\d))?)"
    rf"(?:\s?(?P<after>{_HALF}))?(?(open)\]\s?|\s[-\u2013]\s)",
    re.IGNORECASE,
)
_SENDER = re.compile(r"(?P<who>[^:\n]{1,100}?):(?:\s(?P<text>.*)|$)")
_LEFT_OUT = re.compile(r"\u200e|<[^<>]{3,80}>\s*$")  # how a body begins that WhatsApp wrote: a notice, a picture, ...
_FILE = re.compile(r"\u200e?[^\s/\\]+\.\w{2,5} \([^()]{3,60}\)\s*$")  # IMG-1.jpg (file attached)
_EDITED = re.compile(r"\s*\u200e<[^<>]{3,80}>\s*$|\s*<This message was edited>\s*$")


@dataclass(slots=True)
class _Told:
    """A message as it stands in the file."""

    line: int
    head: re.Match[str]
    lines: list[str] = field(default_factory=list)


def is_whatsapp(text: str) -> bool:
    """Tell whether a text is a chat of WhatsApp: it begins with a time, and people say things in it."""
    start = text.lstrip("\ufeff \r\n")[:20_000]
    if not _head(start.split("\n", 1)[0]):
        return False
    return any(_SENDER.match(head[1]) for line in start.split("\n") if (head := _head(line)))


def whatsapp(text: str, where: str) -> Iterator[Read]:
    """Yield the chat. Notices of WhatsApp and pictures are left out."""
    told: list[_Told] = []
    for number, line in enumerate(text.lstrip("\ufeff").replace("\r\n", "\n").split("\n"), 1):
        if head := _head(line):
            told.append(_Told(number, head[0], [head[1]]))
        elif told:
            told[-1].lines.append(line)
        elif line.strip():
            yield Item(f"{where}:{number}", None, "a line before the first message")
    order, sure = _order([one.head for one in told])
    items = [_item(one, f"{where}:{one.line}", order) for one in told]
    first = next((i for i, item in enumerate(items) if item.message), None)
    if not sure and first is not None:
        items[first] = replace(items[first], remark=f"a date that shows the order of day and month: read as {order}")
    yield Conversation(where, SOURCE, None, items)


def _head(line: str) -> tuple[re.Match[str], str] | None:
    """Return the time at the start of a line, and what follows it. Marks of direction stand anywhere before and in it."""
    head = _HEAD.match(_MARKS.sub("", line[:WIDEST]))
    if head is None:
        return None
    kept, at = head.end(), 0
    while kept:
        kept -= _MARKS.match(line[at]) is None
        at += 1
    return head, line[at:]


def _item(told: _Told, place: str, order: str) -> Item:
    said = _SENDER.match(told.lines[0])
    if said is None:
        return Item(place, None, left_out="a notice of WhatsApp")
    body = "\n".join([said["text"] or "", *told.lines[1:]]).rstrip("\n")
    first, _, more = body.partition("\n")
    if _LEFT_OUT.match(first) or _FILE.match(first):
        if not more.strip():
            return Item(place, None, left_out="a picture, a file or a notice, of which no text remains")
        body = more  # what was written under a picture
    body = _EDITED.sub("", body).strip()
    at = _moment(told.head, order)
    if not body:
        return Item(place, None, left_out="no text")
    if at is None:
        return Item(place, None, f"{told.head['date']!r} is no date")
    message: Message = {
        "content": body, "speaker": _MARKS.sub("", said["who"]).strip("~ \u00a0\u202f"), "kind": "turn", "at": at,
        "source": SOURCE,
    }  # fmt: skip
    return Item(place, message)


def _order(heads: list[re.Match[str]]) -> tuple[str, bool]:
    """Return the order of the parts of all dates, such as "dmy", and whether something shows it."""
    parts = [_numbers(head) for head in heads]
    if any(a > 31 for a, _, _ in parts):
        return "ymd", True
    if any(a > 12 for a, _, _ in parts) or any(head["sign"] == "." for head in heads):
        return "dmy", True
    if any(b > 12 for _, b, _ in parts):
        return "mdy", True
    steps = {order: _steps_back(parts, order) for order in ("dmy", "mdy")}  # a chat goes forward in time
    if steps["dmy"] != steps["mdy"]:
        return min(steps, key=lambda order: steps[order]), True
    american = any(head["after"] in ("AM", "PM") and not head["date"].startswith("0") for head in heads)  # not "p. m."
    return ("mdy" if american else "dmy"), False


def _numbers(head: re.Match[str]) -> tuple[int, int, int]:
    a, b, c = (int(n) for n in re.findall(r"\d+", head["date"]))
    return a, b, c


def _steps_back(parts: list[tuple[int, int, int]], order: str) -> int:
    dates = [(p[order.index("y")], p[order.index("m")], p[order.index("d")]) for p in parts]
    return sum(later < earlier for earlier, later in pairwise(dates))


def _moment(head: re.Match[str], order: str) -> datetime | None:
    numbers = dict(zip(order, _numbers(head), strict=True))
    year = numbers["y"] + 2_000 if numbers["y"] < 100 else numbers["y"]
    year -= 543 if year > 2_400 else 0  # of the Buddhist era
    hour = int(head["hour"])
    if half := head["before"] or head["after"]:
        hour = hour % 12 + (12 if _AFTERNOON.match(half) else 0)
    try:
        at = datetime(year, numbers["m"], numbers["d"], hour, int(head["minute"]), int(head["second"] or 0))
    except ValueError:
        return None
    return time_of({"at": at.isoformat()})
