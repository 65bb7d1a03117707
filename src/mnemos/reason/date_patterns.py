"""Patterns of date phrases, each with the rule that reads it. They are linear in the text."""

from __future__ import annotations

import re

from mnemos.reason.calendar import HOLIDAYS, MONTHS, NUMBERS, WEEKDAYS
from mnemos.reason.phrases import (
    Rule,
    ago,
    cjk_date,
    day_alone,
    day_of_month,
    days_of_month,
    decade,
    holiday,
    iso_date,
    month_alone,
    month_of_year,
    months_of_year,
    near_day,
    other_language,
    relative_weekday,
    season_alone,
    slashed_date,
    unit_beside,
    weekday,
    weekday_of_week,
    year_alone,
)

_MONTH = "(?:" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\b\.?"
_WEEKDAY = "(?:" + "|".join(sorted(WEEKDAYS, key=len, reverse=True)) + r")\b"
_LONG_WEEKDAY = "(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_S = r"\s{1,3}"
_YEAR = r"(?P<y>(?:1[5-9]|20|21)\d\d)\b"
_ORDINAL = r"(?P<d>[0-3]?\d)(?:st|nd|rd|th)?\b"
_ORDINAL_2 = _ORDINAL.replace("<d>", "<d2>")
_FROM = rf"(?:(?P<from>from|between){_S})?"
_TO = rf"(?P<to>\s?[-\u2013\u2014]\s?|{_S}(?:to|through|thru|until|till|and){_S})"
_BESIDE = rf"\bthe{_S}(?P<unit>day|week|weekend|{_LONG_WEEKDAY}){_S}(?P<side>before|after){_S}"
_COUNT = r"(?P<n>\d{1,4}|" + "|".join(sorted(NUMBERS, key=len, reverse=True)) + ")"
_HOLIDAY = "|".join(sorted(HOLIDAYS, key=len, reverse=True)).replace("'", "['\u2019]")
IN_TIME = "in|since|during|by|until|till|from|before|after|of|for|early|mid|late|around|through|to|and|between"


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# Where two phrases overlap, the one that begins first wins, then the longer one.
RULES: tuple[tuple[re.Pattern[str], Rule], ...] = (
    (_compile(r"(?<![\w./-])(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?![\d/-])"), iso_date),
    (_compile(r"(?<![\w./-])(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<y>(?:19|20)\d\d)(?![\w/-]|\.\d)"), iso_date),
    (_compile(r"(?<![\w./-])(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?![\w/-])"), slashed_date),
    (_compile(rf"\b(?P<mon>{_MONTH}){_S}(?:the{_S})?{_ORDINAL}(?!:)(?:,?{_S}(?:of{_S})?{_YEAR})?"), day_of_month),
    (_compile(rf"(?<![\w:.]){_ORDINAL}(?:{_S}of)?{_S}(?P<mon>{_MONTH})(?:,?{_S}{_YEAR})?"), day_of_month),
    (
        _compile(
            rf"\b{_FROM}(?P<mon>{_MONTH}){_S}(?:the{_S})?{_ORDINAL}{_TO}(?:(?P<mon2>{_MONTH}){_S})?(?:the{_S})?{_ORDINAL_2}"
            rf"(?!:|[-/.]\d)(?:,?{_S}(?:of{_S})?{_YEAR})?"
        ),
        days_of_month,
    ),
    (
        _compile(
            rf"(?<![\w:./-]){_FROM}(?:the{_S})?{_ORDINAL}(?:(?:{_S}of)?{_S}(?P<mon>{_MONTH}))?{_TO}(?:the{_S})?{_ORDINAL_2}"
            rf"(?:{_S}of)?{_S}(?P<mon2>{_MONTH})(?:,?{_S}{_YEAR})?"
        ),
        days_of_month,
    ),
    (_compile(rf"\b{_FROM}(?P<mon>{_MONTH}){_TO}(?P<mon2>{_MONTH}),?{_S}(?:of{_S})?{_YEAR}"), months_of_year),
    (_compile(rf"{_BESIDE}(?P<mon>{_MONTH}){_S}{_ORDINAL}(?:,?{_S}{_YEAR})?"), relative_weekday),
    (_compile(rf"{_BESIDE}{_ORDINAL}{_S}(?P<mon>{_MONTH})(?:,?{_S}{_YEAR})?"), relative_weekday),
    (_compile(rf"\b(?:(?P<part>early|mid|late)[\s-]{{1,3}})?(?P<mon>{_MONTH}),?{_S}(?:of{_S})?{_YEAR}"), month_of_year),
    (_compile(rf"\b(?P<before>last|next|this|{IN_TIME})[\s-]{{1,3}}(?P<mon>{_MONTH})(?!\s{{0,3}}\d)"), month_alone),
    (
        _compile(
            rf"\b(?:the{_S}day{_S}(?:before{_S}yesterday|after{_S}tomorrow)|yesterday|today|tomorrow|tonight|last{_S}night"
            rf"|this{_S}(?:morning|afternoon|evening))\b"
        ),
        near_day,
    ),
    (_compile(rf"\b{_COUNT}{_S}(?P<unit>day|week|month|year|decade)s?{_S}ago\b(?P<ahead>\Z\A)?"), ago),
    (_compile(rf"\b(?P<ahead>in){_S}{_COUNT}{_S}(?P<unit>day|week|month|year|decade)s?\b(?!['\u2019])"), ago),
    (_compile(rf"\b{_COUNT}{_S}(?P<unit>day|week|month|year)s?{_S}(?P<ahead>from{_S}now)\b"), ago),
    (
        _compile(
            rf"\b(?P<which>last|past|previous|this|next|coming|following){_S}"
            rf"(?P<unit>weekend|week|month|year|spring|summer|autumn|fall|winter)\b"
        ),
        unit_beside,
    ),
    (_compile(rf"\b(?:(?P<which>last|past|previous|this|next|coming|on){_S})?(?P<wd>{_LONG_WEEKDAY})\b"), weekday),
    (_compile(rf"\b(?:on{_S})?(?P<wd>{_LONG_WEEKDAY}){_S}(?:of{_S})?(?P<wk>last|this|next){_S}week\b"), weekday_of_week),
    (_compile(rf"\b(?P<wk>last|this|next){_S}week{_S}(?:on{_S})?(?P<wd>{_LONG_WEEKDAY})\b"), weekday_of_week),
    (
        _compile(
            rf"\b(?:on|by|until|till|before){_S}the{_S}(?P<d>[0-3]?\d)(?:st|nd|rd|th)\b"
            r"(?=\s{0,3}(?:[.,;:!?)]|$)|\s{1,3}(?:at|and|but|so|because|for|with|i|we|he|she|they|it|after|to)\b)"
        ),
        day_alone,
    ),
    (
        _compile(
            rf"\b(?:in|during|by|until|till|since){_S}(?:the{_S})?(?P<season>spring|summer|autumn|fall|winter)\b"
            rf"(?!,?{_S}(?:of{_S})?\d)"
        ),
        season_alone,
    ),
    (_compile(rf"\b(?P<which>last|past|this|next|on){_S}(?P<wd>{_WEEKDAY})(?![\w'\u2019-])"), weekday),
    (
        _compile(rf"\b(?:{IN_TIME}|year|(?P<season>spring|summer|autumn|fall|winter)(?:{_S}of)?)[\s-]{{1,3}}{_YEAR}(?![-/\w%])"),
        year_alone,
    ),
    (_compile(r"\b(?:the\s{1,3})(?P<y>(?:1[5-9]|20)\d0|[1-9]0)['\u2019]?s\b"), decade),
    (_compile(rf"\b(?:(?P<which>last|next|this){_S})?(?P<name>{_HOLIDAY})\b(?:,?{_S}{_YEAR})?"), holiday),
    (_compile(r"(?:(?P<y>\d{4})\s?[年년])(?:\s?(?P<m>\d{1,2})\s?[月월])?(?:\s?(?P<d>\d{1,2})\s?[日号號일])?"), cjk_date),
    (_compile(r"(?<![\d年])(?P<y>\Z\A)?(?P<m>\d{1,2})\s?[月월]\s?(?P<d>\d{1,2})\s?[日号號일]"), cjk_date),
    (_compile(r"(?<![\w.])\d{1,2}\.?\s{1,2}(?:de\s{1,2})?[^\W\d_]{3,12}\.?\s{1,2}(?:del?\s{1,2})?\d{4}\b"), other_language),
)  # fmt: skip

# Those that can match a text without a digit, and those that need the name of a month.
_WORDS = (month_alone, near_day, ago, unit_beside, weekday, weekday_of_week, season_alone, holiday)
_OF_MONTHS = (day_of_month, days_of_month, months_of_year, relative_weekday, month_of_year, month_alone)
MONTH_HINTS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TABLES = {
    (digits, months): tuple((p, r) for p, r in RULES if (digits or r in _WORDS) and (months or r not in _OF_MONTHS))
    for digits in (True, False)
    for months in (True, False)
}
_DIGIT = re.compile(r"\d")
BY_TENSE = (  # without more, these mean the last or the coming one: see `reason.tense`
    cjk_date, day_alone, day_of_month, days_of_month, holiday, month_alone, relative_weekday, season_alone, weekday,
)  # fmt: skip
_DATED = (iso_date, slashed_date, day_of_month, days_of_month)
_WEEKDAY_BEFORE = _compile(
    rf"\b(?:(?:last|past|previous|this|next|coming|on){_S})?"
    rf"(?:{_LONG_WEEKDAY}|(?-i:Mon|Tues?|Wed|Thu|Thurs|Fri|Sat|Sun)\.?),?[ \t\xa0]{{1,3}}(?:the{_S})?\Z"
)


def rules_for(text: str) -> tuple[tuple[re.Pattern[str], Rule], ...]:
    """Return the rules that can match a text; most texts need few."""
    lowered = text.lower()
    return _TABLES[_DIGIT.search(text) is not None, any(name in lowered for name in MONTH_HINTS)]


def with_weekday(rule: Rule, text: str, start: int) -> int:
    """Return the start of a date found at `start`, with its weekday: "Sunday, May 7" begins at "Sunday"."""
    before = _WEEKDAY_BEFORE.search(text, max(0, start - 40), start) if rule in _DATED else None
    return start if before is None else before.start()
