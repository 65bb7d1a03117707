"""Date phrases: one pattern and one rule each. Patterns are linear in the text; rules count from the anchor's day.

Conventions: "last Friday" is the latest Friday before the anchor's day, "next Friday" the first one after it, and a
bare weekday the latest one, the anchor's day included. "last May" is the latest May that ended before the anchor's
month; "in May" the latest that has begun. Weeks are calendar weeks from Monday; "two weeks ago" is the day 14 days
before and three days on both sides; "two months ago" and "two years ago" are that calendar month and year. 5/6/2023 is
May 6th unless that cannot be. "a few" is skipped: it names no date. "May 5-7" and "from March to May 2021" are one date
each, of several units. A weekday before a date belongs to it; where the two disagree the date counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache

from mnemos.reason.calendar import (
    DAY,
    DAYS_ELSEWHERE,
    HOLIDAYS,
    MONTHS,
    NUMBERS,
    SEASONS,
    UNITS_ELSEWHERE,
    WEEKDAYS,
    Span,
    day,
    month,
    nearest,
    season,
    week,
    weekend,
    year,
)  # fmt: skip

Rule = Callable[[re.Match[str], date], tuple[Span, bool] | None]

_MONTH = "(?:" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\b\.?"
_WEEKDAY = "(?:" + "|".join(sorted(WEEKDAYS, key=len, reverse=True)) + r")\b"
_LONG_WEEKDAY = "(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_S = r"\s{1,3}"
_YEAR = r"(?P<y>(?:1[5-9]|20|21)\d\d)\b"
_ORDINAL = r"(?P<d>[0-3]?\d)(?:st|nd|rd|th)?\b"
_ORDINAL_2 = _ORDINAL.replace("<d>", "<d2>")
_FROM = rf"(?:(?P<from>from|between){_S})?"
_TO = rf"(?P<to>\s?[-\u2013\u2014]\s?|{_S}(?:to|through|thru|until|till|and){_S})"
LANGUAGES = ["es", "fr", "de", "pt", "it", "nl", "pl", "ru", "sv", "tr"]  # all of them would take seconds to load
_COUNT = r"(?P<n>\d{1,4}|" + "|".join(sorted(NUMBERS, key=len, reverse=True)) + ")"
_HOLIDAY = "|".join(sorted(HOLIDAYS, key=len, reverse=True)).replace("'", "['\u2019]")
_IN_TIME = "in|since|during|by|until|till|from|before|after|of|for|early|mid|late|around|through|to|and|between"


def _date(y: int, m: int, d: int) -> tuple[Span, bool]:
    return day(date(y, m, d)), False


def _iso(m: re.Match[str], _: date) -> tuple[Span, bool]:
    return _date(int(m["y"]), int(m["m"]), int(m["d"]))


def _slashes(m: re.Match[str], _: date) -> tuple[Span, bool]:
    first, second, y = int(m[1]), int(m[2]), int(m[3])
    y += 2000 if y < 70 else 1900 if y < 100 else 0
    return _date(y, *((first, second) if first <= 12 else (second, first)))


def _day_of_month(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "May 7th, 2023" and "7 May": without a year the nearest such day."""
    number, d = MONTHS[m["mon"].lower().rstrip(".")], int(m["d"])
    if m["y"]:
        return _date(int(m["y"]), number, d)
    return None if _is_verb(m, "mon") else (day(nearest(number, d, anchor)), True)


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


def _days(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    """Handle "May 5-7, 2021" and "from 28 April to 3 May": without a year the nearest such days."""
    if not _is_range(m) or (not m["y"] and _is_verb(m, "mon2" if m["mon2"] else "mon")):
        return None
    first, second = (MONTHS[str(name).lower().rstrip(".")] for name in (m["mon"] or m["mon2"], m["mon2"] or m["mon"]))
    last = date(int(m["y"]), second, int(m["d2"])) if m["y"] else nearest(second, int(m["d2"]), anchor)
    start = date(last.year - (first > second), first, int(m["d"]))
    return (Span(start, last + DAY, "day"), not m["y"]) if start < last else None


def _months(m: re.Match[str], _: date) -> tuple[Span, bool] | None:
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


def _month_of_year(m: re.Match[str], _: date) -> tuple[Span, bool]:
    return _third(month(int(m["y"]), MONTHS[m["mon"].lower().rstrip(".")]), m["part"]), False


def _month_alone(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
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
    else:
        y = anchor.year - (number > anchor.month)
    return _third(month(y, number), before), True


def _third(span: Span, part: str | None) -> Span:
    """Narrow a month to its early, middle or late third."""
    if (part or "").lower() not in ("early", "mid", "late"):
        return span
    ten, twenty = span.start + 10 * DAY, span.start + 20 * DAY
    start, end = {"early": (span.start, ten), "mid": (ten, twenty), "late": (twenty, span.end)}[str(part).lower()]
    return Span(start, end, "month")


def _near_day(m: re.Match[str], anchor: date) -> tuple[Span, bool]:
    word = re.sub(r"\s+", " ", m[0].lower())
    shift = {
        "yesterday": -1,
        "last night": -1,
        "tomorrow": 1,
        "the day before yesterday": -2,
        "the day after tomorrow": 2,
    }
    return day(anchor + shift.get(word, 0) * DAY), True


def _ago(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
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


def _unit(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
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


def _weekday(m: re.Match[str], anchor: date) -> tuple[Span, bool] | None:
    which = (m["which"] or "").lower()
    if not which and m["wd"][:1].islower():
        return None
    ahead = (WEEKDAYS[m["wd"].lower()] - anchor.weekday()) % 7
    if which in ("next", "coming", "this coming"):
        return day(anchor + (ahead or 7) * DAY), True
    if which == "this":
        return day(week(anchor).start + WEEKDAYS[m["wd"].lower()] * DAY), True
    behind = (7 - ahead) % 7
    return day(anchor - (behind or (7 if which in ("last", "past", "previous") else 0)) * DAY), True


def _relative_weekday(m: re.Match[str], anchor: date) -> tuple[Span, bool]:
    """Handle "the Friday before May 7, 2023" and "the week after 3 June"."""
    inner = _day_of_month(m, anchor)
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


def _year_alone(m: re.Match[str], _: date) -> tuple[Span, bool]:
    name = (m["season"] or "").lower()
    return (season(int(m["y"]), name) if name in SEASONS else year(int(m["y"]))), False


def _decade(m: re.Match[str], _: date) -> tuple[Span, bool]:
    first = int(m["y"])
    first += 0 if first > 100 else 1900 if first >= 30 else 2000
    return Span(date(first, 1, 1), date(first + 10, 1, 1), "decade"), False


def _holiday(m: re.Match[str], anchor: date) -> tuple[Span, bool]:
    number, d = HOLIDAYS[m["name"].lower().replace("\u2019", "'")]
    which = (m["which"] or "").lower()
    if m["y"]:
        return _date(int(m["y"]), number, d)
    if which == "last":
        return day(date(anchor.year - (date(anchor.year, number, d) >= anchor), number, d)), True
    if which == "next":
        return day(date(anchor.year + (date(anchor.year, number, d) <= anchor), number, d)), True
    return day(nearest(number, d, anchor)), True


def _word_elsewhere(m: re.Match[str], anchor: date) -> tuple[Span, bool]:
    word = m[0].lower().replace("\u2019", "'")
    if word in DAYS_ELSEWHERE:
        return day(anchor + DAYS_ELSEWHERE[word] * DAY), True
    unit, step = UNITS_ELSEWHERE[word]
    if unit == "week":
        return week(anchor + 7 * step * DAY), True
    return (month(anchor.year, anchor.month + step) if unit == "month" else year(anchor.year + step)), True


def _cjk_date(m: re.Match[str], anchor: date) -> tuple[Span, bool]:
    y, number, d = (int(m[name]) if m[name] else None for name in ("y", "m", "d"))
    if number is None:
        return year(y or anchor.year), False
    if d is None:
        return month(y or anchor.year - (number > anchor.month), number), y is None
    return (day(date(y, number, d)), False) if y else (day(nearest(number, d, anchor)), True)


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


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# Only words of an alphabet have edges; 昨天 stands in the middle of a sentence.
_ELSEWHERE = (
    r"\b(?:" + "|".join(w for w in DAYS_ELSEWHERE if w.isascii()).replace("'", "['\u2019]") + r")\b|"
    + "|".join(w for w in (*DAYS_ELSEWHERE, *UNITS_ELSEWHERE) if not w.isascii())
)  # fmt: skip


# Where two phrases overlap, the one that begins first wins, then the longer one.
RULES: tuple[tuple[re.Pattern[str], Rule], ...] = (
    (_compile(r"(?<![\w./-])(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?![\d/-])"), _iso),
    (_compile(r"(?<![\w./-])(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?![\w/-])"), _slashes),
    (_compile(rf"\b(?P<mon>{_MONTH}){_S}(?:the{_S})?{_ORDINAL}(?!:)(?:,?{_S}(?:of{_S})?{_YEAR})?"), _day_of_month),
    (_compile(rf"(?<![\w:.]){_ORDINAL}(?:{_S}of)?{_S}(?P<mon>{_MONTH})(?:,?{_S}{_YEAR})?"), _day_of_month),
    (
        _compile(
            rf"\b{_FROM}(?P<mon>{_MONTH}){_S}(?:the{_S})?{_ORDINAL}{_TO}(?:(?P<mon2>{_MONTH}){_S})?(?:the{_S})?{_ORDINAL_2}"
            rf"(?!:|[-/.]\d)(?:,?{_S}(?:of{_S})?{_YEAR})?"
        ),
        _days,
    ),
    (
        _compile(
            rf"(?<![\w:./-]){_FROM}(?:the{_S})?{_ORDINAL}(?:(?:{_S}of)?{_S}(?P<mon>{_MONTH}))?{_TO}(?:the{_S})?{_ORDINAL_2}"
            rf"(?:{_S}of)?{_S}(?P<mon2>{_MONTH})(?:,?{_S}{_YEAR})?"
        ),
        _days,
    ),
    (_compile(rf"\b{_FROM}(?P<mon>{_MONTH}){_TO}(?P<mon2>{_MONTH}),?{_S}(?:of{_S})?{_YEAR}"), _months),
    (
        _compile(
            rf"\bthe{_S}(?P<unit>day|week|weekend|{_LONG_WEEKDAY}){_S}(?P<side>before|after){_S}"
            rf"(?:(?P<mon>{_MONTH}){_S}{_ORDINAL}(?:,?{_S}{_YEAR})?)"
        ),
        _relative_weekday,
    ),
    (
        _compile(
            rf"\bthe{_S}(?P<unit>day|week|weekend|{_LONG_WEEKDAY}){_S}(?P<side>before|after){_S}"
            rf"(?:{_ORDINAL}{_S}(?P<mon>{_MONTH})(?:,?{_S}{_YEAR})?)"
        ),
        _relative_weekday,
    ),
    (_compile(rf"\b(?:(?P<part>early|mid|late)[\s-]{{1,3}})?(?P<mon>{_MONTH}),?{_S}(?:of{_S})?{_YEAR}"), _month_of_year),
    (_compile(rf"\b(?P<before>last|next|this|{_IN_TIME})[\s-]{{1,3}}(?P<mon>{_MONTH})(?!\s{{0,3}}\d)"), _month_alone),
    (
        _compile(
            rf"\b(?:the{_S}day{_S}(?:before{_S}yesterday|after{_S}tomorrow)|yesterday|today|tomorrow|tonight|last{_S}night"
            rf"|this{_S}(?:morning|afternoon|evening))\b"
        ),
        _near_day,
    ),
    (_compile(rf"\b{_COUNT}{_S}(?P<unit>day|week|month|year|decade)s?{_S}ago\b(?P<ahead>\Z\A)?"), _ago),
    (_compile(rf"\b(?P<ahead>in){_S}{_COUNT}{_S}(?P<unit>day|week|month|year|decade)s?\b(?!['\u2019])"), _ago),
    (_compile(rf"\b{_COUNT}{_S}(?P<unit>day|week|month|year)s?{_S}(?P<ahead>from{_S}now)\b"), _ago),
    (
        _compile(
            rf"\b(?P<which>last|past|previous|this|next|coming|following){_S}"
            rf"(?P<unit>weekend|week|month|year|spring|summer|autumn|fall|winter)\b"
        ),
        _unit,
    ),
    (_compile(rf"\b(?:(?P<which>last|past|previous|this|next|coming|on){_S})?(?P<wd>{_LONG_WEEKDAY})\b"), _weekday),
    (_compile(rf"\b(?P<which>last|past|this|next|on){_S}(?P<wd>{_WEEKDAY})(?![\w'\u2019-])"), _weekday),
    (
        _compile(rf"\b(?:{_IN_TIME}|year|(?P<season>spring|summer|autumn|fall|winter)(?:{_S}of)?)[\s-]{{1,3}}{_YEAR}(?![-/\w%])"),
        _year_alone,
    ),
    (_compile(r"\b(?:the\s{1,3})(?P<y>(?:1[5-9]|20)\d0|[1-9]0)['\u2019]?s\b"), _decade),
    (_compile(rf"\b(?:(?P<which>last|next|this){_S})?(?P<name>{_HOLIDAY})\b(?:,?{_S}{_YEAR})?"), _holiday),
    (_compile(r"(?:(?P<y>\d{4})\s?年)(?:\s?(?P<m>\d{1,2})\s?月)?(?:\s?(?P<d>\d{1,2})\s?[日号號])?"), _cjk_date),
    (_compile(r"(?<![\d年])(?P<y>\Z\A)?(?P<m>\d{1,2})\s?月\s?(?P<d>\d{1,2})\s?[日号號]"), _cjk_date),
    (_compile(_ELSEWHERE), _word_elsewhere),
    (_compile(r"(?<![\w.])\d{1,2}\.?\s{1,2}(?:de\s{1,2})?[^\W\d_]{3,12}\.?\s{1,2}(?:del?\s{1,2})?\d{4}\b"), other_language),
)  # fmt: skip

# Those that can match a text without a digit, and those that need the name of a month.
_WORDS = (_month_alone, _near_day, _ago, _unit, _weekday, _holiday, _word_elsewhere)
_OF_MONTHS = (_day_of_month, _days, _months, _relative_weekday, _month_of_year, _month_alone)
_MONTH_HINTS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TABLES = {
    (digits, months): tuple((p, r) for p, r in RULES if (digits or r in _WORDS) and (months or r not in _OF_MONTHS))
    for digits in (True, False)
    for months in (True, False)
}
_DIGIT = re.compile(r"\d")
_DATED = (_iso, _slashes, _day_of_month, _days)
_WEEKDAY_BEFORE = _compile(
    rf"\b(?:(?:last|past|previous|this|next|coming|on){_S})?"
    rf"(?:{_LONG_WEEKDAY}|(?-i:Mon|Tues?|Wed|Thu|Thurs|Fri|Sat|Sun)\.?),?[ \t\xa0]{{1,3}}(?:the{_S})?\Z"
)


def rules_for(text: str) -> tuple[tuple[re.Pattern[str], Rule], ...]:
    """Return the rules that can match a text; most texts need few."""
    lowered = text.lower()
    return _TABLES[_DIGIT.search(text) is not None, any(name in lowered for name in _MONTH_HINTS)]


def with_weekday(rule: Rule, text: str, start: int) -> int:
    """Return the start of a date found at `start`, with its weekday: "Sunday, May 7" begins at "Sunday"."""
    before = _WEEKDAY_BEFORE.search(text, max(0, start - 40), start) if rule in _DATED else None
    return start if before is None else before.start()
