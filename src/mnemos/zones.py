"""Time zones: an IANA name or an offset, where naive times and local days belong."""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from mnemos.arguments import closest
from mnemos.errors import InvalidInput

LOCAL = "local"  # stands for the zone of this machine
_OFFSET = re.compile(r"(?:UTC|GMT)?(?P<sign>[+-])(?P<h>\d{1,2})(?::?(?P<m>[0-5]\d))?", re.IGNORECASE)
_UTC = {"utc", "z", "gmt", "etc/utc", "etc/gmt", "etc/uct", "uct", "zulu", "etc/zulu", "universal", "etc/universal"}


def check_zone(value: object, name: str = "timezone") -> str:
    """Return the name of a time zone: "Europe/Lisbon", "+05:30", "UTC", "local", or an object of `zoneinfo`.

    "local" becomes the name of the zone of this machine. Raises InvalidInput for anything else, with the nearest names.
    """
    if isinstance(value, ZoneInfo) and value.key:
        value = value.key
    elif isinstance(value, timezone):
        value = _offset_name(value.utcoffset(None))
    if not isinstance(value, str):
        raise InvalidInput(f'{name} is {value!r:.60}, expected the name of a time zone, such as "Europe/Lisbon".')
    if value == LOCAL:
        return local_zone()
    if value.casefold() in _UTC:
        return "UTC"
    if match := _OFFSET.fullmatch(value):
        offset = timedelta(hours=int(match["h"]), minutes=int(match["m"] or 0))
        if offset < timedelta(hours=24):
            return _offset_name(-offset if match["sign"] == "-" else offset)
    elif _known(value):
        return value
    same = [known for known in available_timezones() if known.casefold() == value.casefold()]
    raise InvalidInput(
        f'{name} is {value!r:.60}, which is no time zone. Use an IANA name such as "Europe/Lisbon", an offset such as '
        f'"+05:30", or "local": {closest(value, same or available_timezones()) if value else ""}'[:400]
    )


@lru_cache(maxsize=1_000)
def load_zone(name: str) -> tzinfo:
    """Return the time zone of a name that `check_zone` returned."""
    if name == "UTC":
        return UTC
    if match := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(match["h"]), minutes=int(match["m"] or 0))
        return timezone(-offset if match["sign"] == "-" else offset)
    return ZoneInfo(name)


def local_zone() -> str:
    """Return the name of the zone of this machine; "UTC" where the machine does not say."""
    import tzlocal

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two settings of the machine that disagree
        try:
            name = tzlocal.get_localzone_name() or "UTC"
        except (LookupError, ValueError, OSError):
            return "UTC"
    return check_zone(name) if _known(name) else "UTC"


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """Return an aware time as its speaker's clock shows it.

    A time in UTC says when, but not where: it is read in `zone`. Any other offset is kept; one that `zone` has at that
    moment stands for `zone`, and a time with a named zone of its own keeps it.
    """
    offset = moment.utcoffset()
    named = isinstance(moment.tzinfo, ZoneInfo) and zone_name(moment) is not None
    if named or (offset and moment.astimezone(zone).utcoffset() != offset):
        return moment
    return moment.astimezone(zone)


def zone_name(moment: datetime) -> str | None:
    """Return the IANA name of the zone of a time; None for UTC, and for a time of which only the offset is known."""
    key = moment.tzinfo.key if isinstance(moment.tzinfo, ZoneInfo) else None
    return None if key is None or key.casefold() in _UTC else key


def fixed(moment: datetime) -> datetime:
    """Return a time with its offset instead of its zone. Times of one zone would be compared without their offsets."""
    offset = moment.utcoffset()
    return moment.astimezone(timezone(offset) if offset else UTC)


def _known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _offset_name(offset: timedelta | None) -> str:
    minutes = 0 if offset is None else round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else "UTC"
