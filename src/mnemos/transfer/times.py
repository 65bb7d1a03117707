"""When a message of an import was said: under any usual name, nested, and in any unit.

A message without a time has that of the message before it, else that of its conversation, else that of the first message
that has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.text.encode.messages import moment
from mnemos.transfer.source import Item

OWN = ("at", "timestamp", "created_at")  # the names that `add` knows: a wrong value there is an error
NAMES = (
    *OWN, "createdAt", "create_time", "createTime", "creation_time", "created", "created_time", "createdTime",
    "time", "date", "datetime", "dateTime", "ts", "sent_at", "sentAt", "sent", "inserted_at", "insertedAt", "published_at",
    "posted_at", "started_at", "startedAt", "start_time", "timestamp_ms", "timestampMs", "date_unixtime",
    "epoch", "update_time", "updateTime",
    "updated_at", "updatedAt", "updated", "modified", "modified_at", "modifiedAt", "last_updated", "lastUpdated", "export_date",
)  # fmt: skip
NESTED = ("metadata", "meta", "message", "data", "info", "time", "extra")  # where times may stand one level down
ZONE = ContextVar("zone", default="UTC")  # in which an import reads times without an offset
_EARLIEST = 1e8  # a smaller number is a duration or a count, and no time since 1970


def time_of(record: Any) -> datetime | None:
    """Return the time that a message or a conversation gives, under the first name with a value that is a time."""
    if not isinstance(record, Mapping):
        return None
    for name in NAMES:
        if (found := _moment(record.get(name))) is not None:
            return found
    return next((found for name in NESTED if (found := _nested(record.get(name))) is not None), None)


def _nested(value: Any) -> datetime | None:
    if not isinstance(value, Mapping):
        return None
    return next((found for name in NAMES if (found := _moment(value.get(name))) is not None), None)


def wrong_time(record: Mapping[str, Any]) -> Any:
    """Return a value under a name that `add` knows that is no time; None when there is none."""
    return next((record[name] for name in OWN if record.get(name) and _moment(record[name]) is None), None)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, Mapping):  # as databases export it
        value = next(
            (value[k] for k in ("$date", "$numberLong", "_seconds", "seconds", "iso", "value") if k in value), None
        )
        value = value.get("$numberLong") if isinstance(value, Mapping) else value
    if isinstance(value, str):
        value = value.strip()
        value = float(value) if 9 <= len(value) <= 30 and value.replace(".", "", 1).isdecimal() else value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not _EARLIEST <= abs(value) < 1e20:
            return None
        value = value / 1e9 if abs(value) >= 1e17 else value  # nanoseconds
    if not value or isinstance(value, bool):
        return None
    try:
        return moment(value, "time", ZONE.get())
    except InvalidInput:
        return None


def dated(items: Sequence[Item], own: datetime | None) -> list[Item]:
    """Return the messages of a conversation that began at `own`, each with a time where one can be known."""
    first = next((at for i in items if i.message and isinstance(at := i.message.get("at"), datetime)), None)
    last, out = own or first, []
    for item in items:
        if item.message is not None:
            at = item.message.get("at")
            last = at if isinstance(at, datetime) and not item.abandoned else last
            item = replace(item, message={**item.message, "at": last if at is None else at})
        out.append(item)
    return out
