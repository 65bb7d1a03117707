"""Messages as people and chat APIs write them, validated and normalised.

Nothing is stored before a whole batch has passed; an error names the message and the field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

from mnemos.arguments import check_list
from mnemos.errors import InvalidInput
from mnemos.zones import check_zone, in_zone, load_zone

MAX_BYTES = 16 * 1024 * 1024  # of one text; the caller splits larger documents
MAX_NAME = 1_000  # characters of an id, session, speaker, role, kind
MAX_METADATA_BYTES = 4 * 1024 * 1024

_ALIASES = {
    "text": "content",
    "name": "speaker",
    "author": "speaker",
    "timestamp": "at",
    "created_at": "at",
    "session_id": "session",
    "thread_id": "session",
}
_NAMES = ("id", "session", "speaker", "role", "kind", "source")
_KNOWN = {*_NAMES, "content", "at", "timezone", "metadata"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A validated message, before it becomes a cube."""

    text: str
    id: str | None = None
    at: datetime | None = None  # as its speaker's clock shows it
    timezone: str | None = None  # the zone given with the message
    session: str | None = None
    speaker: str | None = None
    role: str | None = None
    kind: str = "turn"
    source: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def to_draft(message: Mapping[str, Any], *, where: str = "message", timezone: str = "UTC") -> Draft:
    """Validate one message and return it as a `Draft`. Raises InvalidInput naming `where` and the field.

    It has `content` and any of id, speaker, session, at, timezone, metadata, source, role and kind. `timezone` is the
    zone of a message that has none (see `moment`). The names of chat APIs
    (`text`, `name`, `author`, `timestamp`, `created_at`, `session_id`, `thread_id`) are accepted too. Content may be a
    list of parts ({"type": "text", "text": ...}); parts that are not text are kept in the metadata, as are unknown
    keys. Lone surrogates, which cannot be encoded, become U+FFFD.
    """
    if not isinstance(message, Mapping):
        raise InvalidInput(f"{where}: expected a dict with 'content', got {type(message).__name__}.")
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in message.items():
        if not isinstance(key, str):
            raise InvalidInput(f"{where}: key {key!r} is not a string. Use string keys.")
        name = key if key in _KNOWN else _ALIASES.get(key)
        if name is None or (name != key and name in message):
            extra[key] = value
        else:
            values[name] = value
    text, other_parts = _content(values.get("content"), where)
    if other_parts:
        extra["parts"] = other_parts
    names = {n: _name(n, values.get(n), where) for n in _NAMES}
    kind = names.pop("kind") or "turn"
    metadata = _metadata(values.get("metadata"), extra, where)
    zone = None if values.get("timezone") is None else check_zone(values["timezone"], f"{where}: timezone")
    at = moment(values.get("at"), f"{where}: at", zone or timezone)
    return Draft(text=text, at=at, timezone=zone, kind=kind, metadata=metadata, **names)


def to_drafts(messages: Iterable[Mapping[str, Any]], timezone: str) -> list[Draft]:
    """Validate messages and return them as drafts. Raises InvalidInput, which names the message and the field."""
    numbered = enumerate(check_list(messages, "messages"))
    return [to_draft(message, where=f"messages[{i}]", timezone=timezone) for i, message in numbered]


def moment(value: object, where: str, timezone: str = "UTC") -> datetime | None:
    """Return the aware datetime of a time that a user gave, on the clock of `timezone`; None for None.

    A naive time and a plain date are told in that zone (see `check_zone`). A time in UTC, or in seconds since 1970,
    says when but not where, and is read in it too. Any other offset is kept: see `in_zone`. Raises InvalidInput.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        parsed = value
    elif isinstance(value, date):
        parsed = datetime.combine(value, time())
    else:
        from mnemos.reason.dates import parse_when  # dateparser is slow to import

        try:
            parsed = parse_when(value)
        except ValueError as error:
            raise InvalidInput(f"{where}: {error}") from error
    if not 2 <= parsed.year <= 9998:  # so that no offset can overflow
        raise InvalidInput(f"{where}: the year {parsed.year} is outside 2 to 9998.")
    zone = load_zone(timezone)
    return in_zone(parsed.replace(tzinfo=zone) if parsed.tzinfo is None else parsed, zone)


def clean(text: str) -> str:
    """Return a text with lone surrogates, which cannot be encoded, replaced by U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _content(value: Any, where: str) -> tuple[str, list[Any]]:
    others: list[Any] = []
    if isinstance(value, list):
        texts = []
        for part in value:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
                texts.append(part["text"])
            else:
                others.append(part)
        value = "\n".join(texts)
    if value is None:
        raise InvalidInput(f"{where}: there is no 'content'. Give the text under that key.")
    if not isinstance(value, str):
        raise InvalidInput(f"{where}: content is {type(value).__name__}, expected a string or a list of parts.")
    if not value.strip():
        raise InvalidInput(f"{where}: content is empty. There is nothing to remember; leave the message out.")
    text = clean(value)
    size = len(text.encode("utf-8"))
    if size > MAX_BYTES:
        raise InvalidInput(f"{where}: content has {size:,} bytes, the limit is {MAX_BYTES:,}. Split it into parts.")
    return text, others


def _name(name: str, value: Any, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInput(f"{where}: {name} is {type(value).__name__} {value!r:.60}, expected a string.")
    text = clean(str(value))
    if not text or len(text) > MAX_NAME:
        raise InvalidInput(f"{where}: {name} has {len(text)} characters, expected 1 to {MAX_NAME:,}.")
    return text


def _metadata(value: Any, extra: dict[str, Any], where: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise InvalidInput(f"{where}: metadata is {type(value).__name__}, expected a dict.")
    merged = {**extra, **(value or {})}
    if not merged:
        return {}
    for key in merged:
        if not isinstance(key, str):
            raise InvalidInput(f"{where}: metadata key {key!r} is not a string. Use string keys.")
    try:
        encoded = json.dumps(merged, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{where}: metadata cannot be written as JSON ({error}). Use strings, finite numbers, booleans, "
            "None, lists and dicts."
        ) from error
    if len(encoded) > MAX_METADATA_BYTES:
        raise InvalidInput(f"{where}: metadata takes {len(encoded):,} bytes, the limit is {MAX_METADATA_BYTES:,}.")
    stored: dict[str, Any] = json.loads(encoded)  # a private copy, with what JSON makes of it
    return stored
