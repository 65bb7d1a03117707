"""The filters of `search`, `cubes`, `forget` and other verbs: declared once, checked, made a `Filter` of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from typing import Any, Literal, TypedDict, Unpack, get_type_hints

from mnemos.arguments import check_flag, check_text, closest
from mnemos.cube import to_micros
from mnemos.errors import InvalidInput
from mnemos.store.values import Filter
from mnemos.store.where import matcher
from mnemos.text.encode.messages import clean, moment
from mnemos.zones import check_zone

Text = str | None
Time = datetime | date | str | float | None
State = Literal["active", "superseded", "archived", "any"] | None
Flag = bool | None
Metadata = Mapping[str, Any] | None
STATES = ("active", "superseded", "archived", "any")


class Filters(TypedDict, total=False):
    """Which cubes are meant: those that match every filter given. None stands for a filter that is not given."""

    session: Text  # cubes of this session
    speaker: Text  # what this speaker said
    role: Text  # cubes of this role, such as "user" or "assistant"
    kind: Text  # cubes of this kind, such as "turn" or "summary"
    source: Text  # cubes from this source
    where: Metadata  # cubes whose metadata matches: values, or MongoDB's operators; see `mnemos.store.where`
    since: Time  # what happened, or speaks of a date, at or after this time
    until: Time  # what happened, or speaks of a date, before this time
    as_of: Time  # what was stored and believed at this time
    true_at: Time  # what was so at this time, whenever it was told: it had begun, or speaks of a date before, and was not over
    state: State  # cubes in this state (default "active"); "any" for all of them
    include_superseded: Flag  # superseded cubes too; a search decides by the question unless it is given
    include_derived: Flag  # episodes, summaries and profiles too
    timezone: Text  # where naive times are told, and whose days "today" and plain dates are (default: the space's)


def make_filter(zone: str, /, **filters: Unpack[Filters]) -> Filter:
    """Convert filters for the store; times are told in `zone` unless `timezone` is given.

    Raises InvalidInput for a wrong value, and for an unknown name with the nearest one.
    """
    given: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    checks = _checks()
    zone = zone_of(filters, zone)
    given.pop("timezone", None)
    for name, value in given.items():
        if name not in checks:
            raise InvalidInput(f"unknown filter {name!r}: {closest(name, checks)}")
        given[name] = _time(value, name, zone) if checks[name] is _time else checks[name](value, name)
    if given.get("state") == "any":
        given["state"] = None
    if given.get("since", 0) > given.get("until", given.get("since", 0)):
        since, until = (f"{filters[name]!s:.60}" for name in ("since", "until"))
        raise InvalidInput(f"since ({since}) is after until ({until}), so nothing is between them. Exchange them.")
    superseded, derived = (given.pop(name, False) for name in ("include_superseded", "include_derived"))
    superseded = superseded or "true_at" in given  # what is over now may not have been over then
    return Filter(**given, superseded=superseded, derived=derived)


def zone_of(filters: Filters, zone: str) -> str:
    """Return the time zone that filters name, or else `zone`. Raises InvalidInput for one that does not exist."""
    return zone if filters.get("timezone") is None else check_zone(filters["timezone"])


def chosen(filters: Filters, zone: str) -> Filter | None:
    """Return the filter of the cubes to forget, in any state unless `state` is given; None if nothing is chosen.

    What narrows nothing down chooses nothing: a flag, `as_of`, `true_at`, `timezone`, the states "active" and "any", and a
    `where` that cubes without metadata match. `since` and `until` mean when a cube happened, not the dates that it mentions.
    Raises InvalidInput for an empty text.
    """
    for name, value in filters.items():
        if isinstance(value, str) and not value.strip():
            raise InvalidInput(f"{name} is empty, which chooses nothing. Leave it out, or give what to match.")
    wanted = replace(make_filter(zone, **filters), mentioned=False)
    selects = any(
        filters.get(name) is not None for name in ("session", "speaker", "role", "kind", "source", "since", "until")
    )
    if not (selects or wanted.state in ("superseded", "archived") or not matcher(wanted.where)({})):
        return None
    return wanted if filters.get("state") else replace(wanted, state=None)


def _text(value: Any, name: str) -> str:
    return clean(check_text(value, name))


def _time(value: Any, name: str, zone: str = "UTC") -> int:
    found = moment(value, name, zone)
    return 0 if found is None else to_micros(found)


def _state(value: Any, name: str) -> str:
    if value not in STATES:
        raise InvalidInput(f"{name} is {value!r:.60}, expected one of {', '.join(STATES)}.")
    return str(value)


def _metadata(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f'{name} is {value!r:.60}, expected a dict of metadata, such as {{"topic": "travel"}}.')
    matcher(value)
    return dict(value)


@cache
def _checks() -> dict[str, Callable[[Any, str], Any]]:
    """Return the check of each filter, by the type that `Filters` declares for it."""
    by_type: dict[Any, Callable[[Any, str], Any]] = {
        Text: _text, Time: _time, State: _state, Flag: check_flag, Metadata: _metadata,
    }  # fmt: skip
    return {name: by_type[hint] for name, hint in get_type_hints(Filters).items()}
