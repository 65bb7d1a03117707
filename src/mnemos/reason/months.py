"""Dates with a month of another language than English: "6. Mai 2024", "6 de maio", "в мае 2024", "ngày 6 tháng 5".

`month_names.json` (written by tools/build_month_names.py) has the names. A date is looked for only around one of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from functools import cache, partial
from importlib.resources import files

from mnemos.reason.calendar import MONTHS, Span, day, month, nearest
from mnemos.reason.elsewhere import WORD, Found

NEAR = 120  # days from the message in which a day without a year is read: further away it may be last year's or next year's
_AROUND = 24  # characters beside a month in which its day and year stand
_DAY_BEFORE = re.compile(
    r"(?<![\w.,:/-])(?P<d>\d{1,2})(?P<dot>[.\xba\xb0]|er|th|-?e)?[\s\xa0]{1,2}(?P<of>de[\s\xa0]{1,2}|d['\u2019])?\Z",
    re.IGNORECASE,
)
_YEAR = r"(?:1[5-9]|20|21)\d\d"
_YEAR_AFTER = re.compile(
    rf"\.?,?[\s\xa0]{{1,2}}(?:(?:del?|do|din)[\s\xa0]{{1,2}})?(?P<y>{_YEAR})(?![\w%]|[-/.,]\d)", re.IGNORECASE
)
_YEAR_BEFORE = re.compile(rf"(?<![\w.,:/-])(?P<y>{_YEAR})\.?[\s\xa0]{{1,2}}\Z")
_DAY_AFTER = re.compile(r"[\s\xa0]{1,2}(?P<d>\d{1,2})(?:\.|-?[^\W\d_]{1,3})?(?!\w|[.,:/]\d)")
_CUE = re.compile(r"\b(?:am|vom|zum|bis|den|der|d|ab|seit|til|fra)\.?[\s\xa0]{1,2}\Z", re.IGNORECASE)
_VIETNAMESE = re.compile(
    r"\b(?:ngày\s{1,2}(?P<d>\d{1,2})\s{1,2})?tháng\s{1,2}(?P<m>\d{1,2})(?:\s{1,2}năm\s{1,2}(?P<y>\d{4}))?\b",
    re.IGNORECASE,
)
_DOTTED = re.compile(
    r"\b(?:am|vom|zum|bis|ab|seit)\s{1,2}(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?!\d)(?P<y>\Z\A)?", re.IGNORECASE
)
_DIGIT, _DIGITS = re.compile(r"\d"), re.compile(r"\d\.\d")
# Months that are words elsewhere: only a day and a year together make them dates ("12 leden" are twelve members). The second
# ones are words with a capital letter, which their own languages do not give them, or only there.
_WORDS = frozenset({"leden", "mac", "machi", "marca", "ogo"})
_NAMES = frozenset({"avril", "julie", "julio", "maja", "mars", "mart", "mayo", "nisan"})


def has_months(text: str) -> bool:
    """Tell whether a text may have a date with a month of another language; a microsecond for each three words."""
    if _DIGIT.search(text) is None:
        return False
    lowered = text.lower()
    return (
        "tháng" in lowered
        or not _names().keys().isdisjoint(WORD.findall(lowered))
        or (_DIGITS.search(text) is not None and _DOTTED.search(text) is not None)
    )


def find_months(text: str, most: int) -> Iterator[Found]:
    """Yield dates with a month of another language, each with the rule that reads it, given its match and the anchor's day.

    `most` months are looked at. O(characters), and some us for each month.
    """
    looked_at = 0
    for at in WORD.finditer(text):
        number = _names().get(at[0].lower())
        if number is None:
            continue
        looked_at += 1
        if looked_at > most:
            break
        found = _around(text, at, number)
        if found is not None:
            yield found
    for pattern in (_VIETNAMESE, _DOTTED):
        for m in pattern.finditer(text):
            if m["d"] or m["y"]:
                yield m, partial(_read, _number(m["y"]), int(m["m"]), _number(m["d"]))


def _number(digits: str | None) -> int | None:
    return int(digits) if digits else None


def _around(text: str, at: re.Match[str], number: int) -> Found | None:
    """Return the date around the name of a month, as a match of its whole phrase."""
    low, high = max(0, at.start() - _AROUND), at.end() + _AROUND
    before, after = _DAY_BEFORE.search(text, low, at.start()), _YEAR_AFTER.match(text, at.end(), high)
    d, y = before and int(before["d"]), after and int(after["y"])
    start, end = before.start() if before else at.start(), after.end() if after else at.end()
    if before is None and after is None:
        earlier, later = _YEAR_BEFORE.search(text, low, at.start()), _DAY_AFTER.match(text, at.end(), high)
        if later is None:
            return None
        d, y = int(later["d"]), earlier and int(earlier["y"])
        start, end = earlier.start() if earlier else at.start(), later.end()
    word = at[0].lower()
    if (word in _WORDS or (word in _NAMES and at[0][0].isupper())) and (d is None or y is None):
        return None
    if word in MONTHS:  # an English name, too: "6. April" is a date where something else says so
        foreign = before is not None and (before["of"] or before["dot"] == ".")
        if not foreign or (y is None and not _CUE.search(text, max(0, start - 8), start)):
            return None
    whole = re.compile(re.escape(text[start:end])).match(text, start)
    assert whole is not None  # it is the text itself
    return whole, partial(_read, y, number, d)


def _read(y: int | None, number: int, d: int | None, _: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    if d is None:
        return (month(y, number), False) if y else None
    if y is not None:
        return day(date(y, number, d)), False
    found = nearest(number, d, anchor)
    return (day(found), True) if abs((found - anchor).days) <= NEAR else None


@cache
def _names() -> dict[str, int]:
    found: dict[str, int] = json.loads(files("mnemos.reason").joinpath("month_names.json").read_text(encoding="utf-8"))
    return found
