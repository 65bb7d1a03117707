"""Calendars as iCalendar (.ics, RFC 5545): each event, task and journal entry is one memory, at the time of its beginning.

An event that somebody else organised is his word, from outside. One that was cancelled says so. A repeated event is one
memory, with its rule as it stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mnemos.errors import InvalidInput
from mnemos.transfer.roles import NOTE
from mnemos.transfer.source import Conversation, Item, Message, Read
from mnemos.transfer.times import ZONE, time_of

SOURCE = "calendar"
SUFFIX = ".ics"
_KINDS = ("VEVENT", "VTODO", "VJOURNAL")
_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9-]+)(?P<parameters>(?:;[^:;=]+=(?:\"[^\"]*\"|[^\";:]*))*):(?P<value>.*)", re.DOTALL
)
_ESCAPED = re.compile(r"\\([\\;,nN])")


@dataclass(slots=True)
class _Entry:
    line: int
    values: dict[str, tuple[str, str]] = field(default_factory=dict)  # value and time zone by name


def calendar(text: str, where: str) -> Iterator[Read]:
    """Yield the entries of a calendar. Raises InvalidInput for what is none."""
    if not text.lstrip("\ufeff\r\n \t").upper().startswith("BEGIN:VCALENDAR"):
        raise InvalidInput(f"{where} is no calendar: it does not begin with BEGIN:VCALENDAR. Nothing was imported.")
    items = []
    for found in _entries(text):
        items.append(
            _item(found, f"{where}:{found.line}")
            if isinstance(found, _Entry)
            else Item(f"{where}:{found}", None, "an entry without its end")
        )
    yield Conversation(where, SOURCE, None, items, session=False)


def _entries(text: str) -> Iterator[_Entry | int]:
    """Yield each entry, or the line of one that never ends. What is nested in one (an alarm) is passed over."""
    open_: _Entry | None = None
    inside = ""
    lines = re.sub(r"\r?\n[ \t]", "", text).splitlines()
    for number, line in enumerate(lines, 1):
        upper = line.strip().upper()
        if upper.startswith("BEGIN:"):
            if open_ is None and upper[6:] in _KINDS:
                open_ = _Entry(number)
            elif open_ is not None and upper[6:] in _KINDS:
                yield open_.line
                open_, inside = _Entry(number), ""
            elif open_ is not None:
                inside = inside or upper[6:]
        elif upper.startswith("END:"):
            if inside == upper[4:]:
                inside = ""
            elif open_ is not None and upper[4:] in _KINDS:
                yield open_
                open_, inside = None, ""
        elif open_ is not None and not inside and (m := _LINE.fullmatch(line)):
            zone = re.search(r";TZID=\"?([^\";:]+)", m["parameters"], re.IGNORECASE)
            open_.values.setdefault(m["name"].upper(), (m["value"], zone[1] if zone else ""))
    if open_ is not None:
        yield open_.line


def _item(entry: _Entry, place: str) -> Item:
    def said(name: str) -> str:
        value = entry.values.get(name, ("", ""))[0]
        return _ESCAPED.sub(lambda m: "\n" if m[1] in "nN" else m[1], value).strip()

    summary = said("SUMMARY") or said("DESCRIPTION").partition("\n")[0]
    if not summary:
        return Item(place, None, left_out="no text")
    start, whole = _moment(entry, "DTSTART", "DUE", "COMPLETED")
    end, _ = _moment(entry, "DTEND")
    when = _shown(start, end, whole)
    lines = [", ".join(part for part in (summary, when, f"at {said('LOCATION')}" if said("LOCATION") else "") if part)]
    if said("STATUS").upper() == "CANCELLED":
        lines[0] += " (cancelled)"
    if rule := said("RRULE"):
        lines.append(f"Repeated: {rule}")
    if (more := said("DESCRIPTION")) and more != summary:
        lines.append(more)
    organiser = said("ORGANIZER")
    uid = said("UID")
    message: Message = {
        "id": f"{uid} {said('RECURRENCE-ID')}".strip()[:500] or None, "content": "\n".join(lines), "kind": "note", "role": NOTE,
        "at": start, "source": organiser.lower() if ":" in organiser else SOURCE,
        "metadata": {"location": said("LOCATION")} if said("LOCATION") else {},
    }  # fmt: skip
    return Item(place, message)


def _moment(entry: _Entry, *names: str) -> tuple[datetime | None, bool]:
    """Return the first of these times, and whether it is a whole day."""
    for name in names:
        value, zone = entry.values.get(name, ("", ""))
        m = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", value.strip())
        if m is None:
            continue
        text = (
            f"{m[1]}-{m[2]}-{m[3]}" + (f"T{m[4]}:{m[5]}:{m[6]}" if m[4] else "T00:00:00") + ("+00:00" if m[7] else "")
        )
        try:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=ZoneInfo(zone or ZONE.get())) if at.tzinfo is None else at
        except (ValueError, OSError, KeyError):  # no such day, or a zone of the calendar's own
            return time_of({"at": text}), not m[4]
        return at, not m[4]
    return None, False


def _shown(start: datetime | None, end: datetime | None, whole: bool) -> str:
    if start is None:
        return ""
    if whole:
        last = end - timedelta(days=1) if end is not None else start
        return f"{start:%Y-%m-%d}" + (f" to {last:%Y-%m-%d}" if last.date() > start.date() else "")
    if end is None:
        return f"{start:%Y-%m-%d %H:%M}"
    return (
        f"{start:%Y-%m-%d %H:%M} to {end:%H:%M}"
        if end.date() == start.date()
        else f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
    )
