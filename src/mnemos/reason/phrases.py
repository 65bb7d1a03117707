"""Rules of date phrases: each counts from the anchor's day; `reason.date_patterns` has the pattern of each.

Conventions: "last Friday" is the latest Friday before the anchor's day, "next Friday" the first one after it. A weekday, a
month, a season or a day of a month without more ("on Friday", "in June", "May 7", "on the 5th", "at Christmas") is the last
or the coming one by the tense around it (`reason.tense`), and no date where that is unclear; "on Friday" is never the
anchor's own day. "last May" is the latest May that ended before the anchor's month; "in May" includes the anchor's own.
Weeks are calendar weeks from Monday; "two weeks ago" is the day 14 days before and three days on both sides; "two months
ago" and "two years ago" are that calendar month and year. 5/6/2023 is May 6th unless that cannot be. "a few" is skipped: it
names no date. "May 5-7" and "from March to May 2021" are one date each, of several units. A weekday before a date belongs to
it; where the two disagree the date counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache

from mnemos.reason.calendar import (
    DAY,
    HOLIDAYS,
    MONTHS,
    NUMBERS,
    SEASONS,
    WEEKDAYS,
    Span,
    closest,
    day,
    first_of,
    month,
    nearest,
    season,
    week,
    weekend,
    year,
)  # fmt: skip
from mnemos.reason.tense import tense_of

Rule = Callable[[re.Match[str], date], tuple[Span, bool] | None]

LANGUAGES = ["es", "fr", "de", "pt", "it", "nl", "pl", "ru", "sv", "tr"]  # all of them would take seconds to load


def _date(y: int, m: int, d: int) -> tuple[Span, bool]:
    return day(date(y, m, d)), False


def iso_date(m: re.Match[str], _: date) -> tuple[Span, bool]:
    """Handle "2023-05-07"."""
    return _date(int(m["y"]), int(m["m"]), int(m["d"]))


def slashed_date(m: re.Match[str], _: date) -> tuple[Span, bool]:
    """Handle "5/7/2023" and "13/6/23"."""
    first, second, y = int(m[1]), int(m[2]), int(m[3])
    y += 2000 if y < 70 else 1900 if y < 100 else 0
    return _date(y, *((first, second) if first <= 12 else (second, first)))


def day_of_month(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "May 7th, 2023" and "7 May": without a year the last or the coming one."""
    number, d = MONTHS[m["mon"].lower().rstrip(".")], int(m["d"])
    if m["y"]:
        return _date(int(m["y"]), number, d)
    return None if _is_verb(m, "mon") else _placed(number, d, anchor, m)


# Words that distinguish the verbs from the months: "this may be", "the last march on Rome".
_BEHIND_VERB = {
    "may": re.compile(
        r"\s+(?:be|have|not|never|also|even|well|still|or|only|just|soon|help|need|want|get|come|go|make|do|seem|cause"
        r"|mean|look|feel|take|find|give|say|see|become|happen|work|require|include|contain)\b"
    ),
    "march": re.compile(r"\s+(?:on|to|into|against|towards?)\b"),
}  # fmt: skip


def _is_verb(m: re.Match[str], group: str) -> bool:
    behind = _BEHIND_VERB.get(m[group])
    return behind is not None and behind.match(m.string, m.end(group)) is not None


def days_of_month(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "May 5-7, 2021" and "from 28 April to 3 May": without a year the last or the coming ones."""
    if not _is_range(m) or (not m["y"] and _is_verb(m, "mon2" if m["mon2"] else "mon")):
        return None
    first, second = (MONTHS[str(name).lower().rstrip(".")] for name in (m["mon"] or m["mon2"], m["mon2"] or m["mon"]))
    if m["y"]:
        last = date(int(m["y"]), second, int(m["d2"]))
    elif (found := _placed(second, int(m["d2"]), anchor, m)) is not None:
        last = found[0].start
    else:
        return None
    start = date(last.year - (first > second), first, int(m["d"]))
    return (Span(start, last + DAY, "day"), not m["y"]) if start < last else None


def months_of_year(m: re.Match[str], _: date) -> tuple[Span, bool] | None:
    """Handle "between March and May 2021"; "from November to February 2021" begins in 2020."""
    if not _is_range(m):
        return None
    first, second = (MONTHS[m[name].lower().rstrip(".")] for name in ("mon", "mon2"))
    y = int(m["y"])
    return Span(month(y - (first > second), first).start, month(y, second).end, "month"), False


def _is_range(m: re.Match[str]) -> bool:
    """Tell "between 5 and 7 May" from "5 and 7 May", which are two days."""
    word = m["to"].strip().lower()
    return (word == "and") == ((m["from"] or "").lower() == "between") or not word.isalpha()


def month_of_year(m: re.Match[str], _: date) -> tuple[Span, bool]:
    """Handle "May 2021" and "late March 2022"."""
    return _third(month(int(m["y"]), MONTHS[m["mon"].lower().rstrip(".")]), m["part"]), False


def month_alone(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "last May" and "in June", which is the last or the coming one."""
    word, before = m["mon"], m["before"].lower().split()[-1]
    if word[:1].islower() and before not in ("last", "next", "this", "in", "since"):
        return None  # "by march": more likely the verb
    if word in _BEHIND_VERB and (before == "this" or _is_verb(m, "mon")):
        return None
    number = MONTHS[word.lower().rstrip(".")]
    if before == "next":
        y = anchor.year + (number <= anchor.month)
    elif before == "last":
        y = anchor.year - (number >= anchor.month)
    elif before == "this":
        y = anchor.year
    elif (tense := tense_of(m.string, *m.span())) is None:
        return None
    else:
        y = anchor.year + (number < anchor.month if tense == "future" else -(number > anchor.month))
    return _third(month(y, number), before), True


def _third(span: Span, part: str | None) -> Span:
    """Narrow a month to its early, middle or late third."""
    if (part or "").lower() not in ("early", "mid", "late"):
        return span
    ten, twenty = span.start + 10 * DAY, span.start + 20 * DAY
    start, end = {"early": (span.start, ten), "mid": (ten, twenty), "late": (twenty, span.end)}[str(part).lower()]
    return Span(start, end, "month")


def near_day(m: re.Match[str], anchor: date) -> tuple[Span, bool]:
    """Handle "yesterday" and "this morning"."""
    word = re.sub(r"\s+", " ", m[0].lower())
    shift = {
        "yesterday": -1,
        "last night": -1,
        "tomorrow": 1,
        "the day before yesterday": -2,
        "the day after tomorrow": 2,
    }
    return day(anchor + shift.get(word, 0) * DAY), True


def ago(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "two weeks ago" and "in three days"."""
    count, unit = _count(m["n"]), m["unit"].lower()
    if count > 2_000:
        return None
    if m["ahead"] is None:
        count = -count
    if unit == "day":
        return day(anchor + count * DAY), True
    if unit == "week":
        middle = anchor + 7 * count * DAY
        return Span(middle - 3 * DAY, middle + 4 * DAY, "week"), True
    if unit == "month":
        return month(anchor.year, anchor.month + count), True
    if unit == "decade":
        count *= 10
    return year(anchor.year + count), True


def _count(word: str) -> int:
    clean = re.sub(r"\s+", " ", word.lower())
    return int(clean) if clean.isdigit() else NUMBERS[clean]


def unit_beside(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "last week", "this weekend", "next summer"."""
    step = {"last": -1, "past": -1, "previous": -1, "this": 0, "next": 1, "coming": 1, "following": 1}[
        m["which"].lower()
    ]
    unit = m["unit"].lower()
    if unit == "week":
        return week(anchor + 7 * step * DAY), True
    if unit == "weekend":
        return weekend(anchor + 7 * step * DAY), True
    if unit == "month":
        return month(anchor.year, anchor.month + step), True
    if unit == "year":
        return year(anchor.year + step), True
    spans = [season(y, unit) for y in range(anchor.year - 2, anchor.year + 3)]
    if step < 0:
        return max((s for s in spans if s.end <= anchor), key=lambda s: s.start), True
    if step > 0:
        return min((s for s in spans if s.start > anchor), key=lambda s: s.start), True
    return next((s for s in spans if s.start <= anchor < s.end), season(anchor.year, unit)), True


_OTHER_DAY = re.compile(  # "Black Friday", "a Sunday", "the following Monday"
    r"\b(?:black|good|ash|palm|easter|cyber|shrove|a|any|some|following|other|first|second|third|fourth|one|per|casual|super)\s*$",
    re.IGNORECASE,
)


def weekday(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "last Friday", "this coming Monday" and "on Friday", which is the last or the coming one."""
    which = (m["which"] or "").lower()
    if not which and (m["wd"][:1].islower() or _OTHER_DAY.search(m.string, max(0, m.start() - 12), m.start())):
        return None
    ahead = (WEEKDAYS[m["wd"].lower()] - anchor.weekday()) % 7
    if which in ("next", "coming"):
        return day(anchor + (ahead or 7) * DAY), True
    if which == "this":
        return day(week(anchor).start + WEEKDAYS[m["wd"].lower()] * DAY), True
    tense = "past" if which in ("last", "past", "previous") else tense_of(m.string, *m.span())
    if tense == "future":
        return day(anchor + (ahead or 7) * DAY), True
    if tense == "now":
        return (day(anchor), True) if ahead == 0 else None
    return None if tense is None else (day(anchor - ((7 - ahead) % 7 or 7) * DAY), True)


def weekday_of_week(m: re.Match[str], anchor: date) -> tuple[Span, bool]:
    """Handle "Friday next week" and "next week on Friday"."""
    step = {"last": -1, "this": 0, "next": 1}[m["wk"].lower()]
    return day(week(anchor + 7 * step * DAY).start + WEEKDAYS[m["wd"].lower()] * DAY), True


def day_alone(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "on the 5th": the last or the coming one."""
    tense, number = tense_of(m.string, *m.span()), int(m["d"])
    if tense is None or not 1 <= number <= 31:
        return None
    step = 1 if tense == "future" else -1
    for count in range(4):  # no two months in a row are shorter than 31 days, except around a short February
        first = first_of(anchor.year, anchor.month + step * count)
        found = first + (number - 1) * DAY
        if found.month == first.month and (found - anchor).days * step >= 0:
            return day(found), True
    return None


def season_alone(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "in the spring": the last or the coming one, or the one that it is."""
    tense = tense_of(m.string, *m.span())
    spans = [season(y, m["season"].lower()) for y in range(anchor.year - 2, anchor.year + 3)]
    if tense is None:
        return None
    if tense == "future":  # late in a spring, "in the spring" is the next one
        return next(s for s in spans if s.start + (s.end - s.start) / 2 > anchor), True
    return next(s for s in reversed(spans) if s.start <= anchor), True


def _placed(number: int, d: int, anchor: date, m: re.Match[str]) -> tuple[Span, bool] | None:
    """Return a day of a month without a year: the last or the coming one, by the tense around it; None if it is unclear."""
    tense = tense_of(m.string, *m.span())
    if tense is None:
        return None
    return day(nearest(number, d, anchor) if tense == "now" else closest(number, d, anchor, tense == "future")), True


def relative_weekday(m: re.Match[str], anchor: date) -> tuple[Span, bool]:
    """Handle "the Friday before May 7, 2023" and "the week after 3 June"."""
    inner = day_of_month(m, anchor)
    if inner is None:
        raise ValueError
    start, before = inner[0].start, m["side"].lower() == "before"
    unit = m["unit"].lower()
    if unit in WEEKDAYS:
        gap = (start.weekday() - WEEKDAYS[unit]) % 7 or 7 if before else (WEEKDAYS[unit] - start.weekday()) % 7 or 7
        return day(start - gap * DAY if before else start + gap * DAY), inner[1]
    if unit == "day":
        return day(start - DAY if before else start + DAY), inner[1]
    found = (week if unit == "week" else weekend)(start - 7 * DAY if before else start + 7 * DAY)
    return found, inner[1]


def year_alone(m: re.Match[str], _: date) -> tuple[Span, bool]:
    """Handle "in 2019" and "summer of 2022"."""
    name = (m["season"] or "").lower()
    return (season(int(m["y"]), name) if name in SEASONS else year(int(m["y"]))), False


def decade(m: re.Match[str], _: date) -> tuple[Span, bool]:
    """Handle "the 1990s"."""
    first = int(m["y"])
    first += 0 if first > 100 else 1900 if first >= 30 else 2000
    return Span(date(first, 1, 1), date(first + 10, 1, 1), "decade"), False


def holiday(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "last Christmas" and "Halloween"."""
    number, d = HOLIDAYS[m["name"].lower().replace("\u2019", "'")]
    which = (m["which"] or "").lower()
    if m["y"]:
        return _date(int(m["y"]), number, d)
    if which == "last":
        return day(date(anchor.year - (date(anchor.year, number, d) >= anchor), number, d)), True
    if which == "next":
        return day(date(anchor.year + (date(anchor.year, number, d) <= anchor), number, d)), True
    return _placed(number, d, anchor, m)


def cjk_date(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "2023年5月7日" and "5月7日"."""
    y, number, d = (int(m[name]) if m[name] else None for name in ("y", "m", "d"))
    if number is None:
        return year(y or anchor.year), False
    if d is None:
        return month(y or anchor.year - (number > anchor.month), number), y is None
    return (day(date(y, number, d)), False) if y else _placed(number, d, anchor, m)


def other_language(m: re.Match[str], _: date) -> tuple[Span, bool] | None:
    """Handle "7 de mayo de 2023" and "7. Mai 2023": a day, a word, a year; dateparser knows the words."""
    found = _parse_foreign(m[0])
    return None if found is None else (day(found), False)


@lru_cache(maxsize=1_000)
def _parse_foreign(phrase: str) -> date | None:
    import dateparser  # 0.2 s: only for a text that needs it

    settings = {"REQUIRE_PARTS": ["day", "month", "year"], "PARSERS": ["absolute-time"]}
    try:
        found = dateparser.parse(phrase, languages=LANGUAGES, settings=settings)
    except Exception:  # it raises many types for odd words; none of these is a date
        return None
    return None if found is None else found.date()
