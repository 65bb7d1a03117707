"""Dates of a question about the past that are no dates of a message: a season, the end of a year, a decade, any language.

"El otoño pasado" and "two summers ago" are seasons, "Ende 2019" is a part of a year, "in den Neunzigern" a decade, and "six
years ago" asks for what was so about that long ago, not for a year of the calendar.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from mnemos.reason.dates import find_dates
from mnemos.reason.past_numbers import number_in
from mnemos.reason.past_words import MONTHS_ELSEWHERE, SEASONS_ELSEWHERE, SMALL, YEARS

Spanned = tuple[tuple[datetime, datetime], list[tuple[int, int]]]  # a time, and the characters that name it
_ENGLISH = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_UNSPACED = {"春": 3, "夏": 6, "秋": 9, "冬": 12, "봄": 3, "여름": 6, "가을": 9, "겨울": 12}
_STEMS = {**_ENGLISH, **SEASONS_ELSEWHERE}
_SEASON = "|".join(sorted(_STEMS, key=len, reverse=True))
_LAST = (
    r"last|letzte[nmrs]?|vergangene[nmrs]?|vorige[nmrs]?|pasad[oa]|passad[oa]|scors[oa]|passat[oa]|derni[eè]re?|pass[ée]e?"
    r"|vorige?|afgelopen|прошл\w+|минул\w+|zeszł\w+|ubiegł\w+|minul\w+|geçen|förra|sidste|forrige|viime|trecut\w?|múlt"
)
_LAST_SEASON = re.compile(
    rf"(?:\b(?:in|im|el|la|en|l['’]|no|na|nel|nell['’]|på|w)\s*)?"
    rf"(?:\b(?:{_LAST})\s+(?P<a>{_SEASON})\w{{0,3}}|\b(?P<b>{_SEASON})\w{{0,3}}\s+(?:{_LAST}))\b",
    re.IGNORECASE,
)
_AGO = re.compile(rf"\b(?P<n>two|three|four|five|\d)\s+(?P<s>{'|'.join(_ENGLISH)})s\s+ago\b", re.IGNORECASE)
_BEFORE_LAST = re.compile(rf"\bthe (?P<s>{'|'.join(_ENGLISH)}|year) before last\b", re.IGNORECASE)
_SEASON_BESIDE = re.compile(rf"\b(?P<s>{_SEASON})\w{{0,3}}\b|(?P<u>{'|'.join(_UNSPACED)})(?:天|季)?の?", re.IGNORECASE)
_THIS_TIME = re.compile(
    r"\b(?:(?:at |around |about )?this time(?: of (?:the )?year)?|um diese zeit|por estas fechas|à (?:la même|cette) époque"
    r"|di questi tempi|a quest['’]ora|por esta altura|rond deze tijd|в это (?:же )?время|o tej porze)\b|这个?时候|今ごろ|の今頃",
    re.IGNORECASE,
)
# The first, middle or last part of what follows: "zu Beginn von 2020", "the end of last year", "2019年末"
_OF = r"(?:of|von|des|der|den|dem|vom|im|de|del|do|della?|dell['’]|van|d['’])?\s*(?:the|l['’]|le|los|las|lo|gli)?\s*$"
_EDGES = (  # words in front, and words behind in other scripts
    (r"beginning|start|early|anfang|beginn|principios?|inicios?|comienzos?|d[ée]but|inizio|inizi|in[ií]cio|começo|princ[ií]pio"
     r"|begin|начал\w+|początk\w+|början", r"年?初|の?初め|初头|başı\w*"),
    (r"middle|mid|mitte|mediados|milieu|met[àa]|meados|midden|середин\w+|połow\w+|mitten", r"中旬|半ば|ortası\w*"),
    (r"end|late|ende|fin|finales|final|fine|finais|fim|eind|einde|конц\w+|końc\w+|slutet", r"年?底|年?末|の?終わり|sonu\w*"),
)  # fmt: skip
_PARTS = tuple(
    (part, re.compile(rf"\b(?:{words})\b[\s-]*{_OF}|^\s*的?の?(?:{behind})", re.IGNORECASE))
    for part, (words, behind) in enumerate(_EDGES)
)
_NAMED_YEAR = re.compile(r"(?:19|20)\d\d")
_COUNTED = re.compile(r"[^\W\d_]+|\d+")
_CJK_COUNT = re.compile(r"[一二两兩三四五六七八九十\d]\s?年前|\d\s?년\s?전")
_DECADE = re.compile(
    r"\b(?P<g>[a-zäöüß]{3,}zig|drei(?:ß|ss)ig)er(?:n|\s?jahren?)?\b"
    r"|(?:\b(?:in|en|im|dans|w|nos?|de|nei|i)\s+)?\b(?:(?:los|las|les|gli|negli|nos|os|de)\s+)?(?:a[ñn]os|ann[ée]es|anni|anos|jaren|lata\w*)\s+['’]?"
    r"(?P<c>19|20)?(?P<n>\d0|[^\W\d_]{4,}(?:-[^\W\d_]{3,}){0,2})\b"
    r"|\b(?:en\s+)?(?:los|nos|negli)\s+(?P<m>\d0|[^\W\d_]{5,})\b(?!\s+(?:a[ñn]os|anos|anni)\b)"
    r"|\b(?P<c2>19|20)?(?P<r>\d0)(?:-?(?:х|е)(?:\s+год\w+)?|er(?:n|\s?jahren?)?|年代)|(?P<z>[二三四五六七八九]十)年代"
    r"|\b(?P<f>девяност|восьмидесят|семидесят|шестидесят)[ыо]\w+",
    re.IGNORECASE,
)
_RUSSIAN = {"девяност": 90, "восьмидесят": 80, "семидесят": 70, "шестидесят": 60}
_MONTHS = 12
SEASON = 3  # months
A_YEAR = (365, 366)  # days
FEW = 2  # years ago that are a moment; what is longer ago is a year of the calendar
AROUND, NEARLY = timedelta(days=30), timedelta(days=120)  # before and after "this time last year", and "a year ago"


def season_of(question: str, asked_at: datetime) -> Spanned | None:
    """Return the season that a question names by how long ago it was: "last winter", "l'été dernier", "two summers ago"."""
    if match := _AGO.search(question):
        first = _ENGLISH[match["s"].lower()]
        return _season(first, asked_at, (SMALL.get(match["n"].lower()) or int(match["n"])) - 1), [match.span()]
    if match := _BEFORE_LAST.search(question):
        name = match["s"].lower()
        if name == "year":
            start = _midnight(asked_at, asked_at.year - 2, 1)
            return (start, _midnight(asked_at, asked_at.year - 1, 1)), [match.span()]
        return _season(_ENGLISH[name], asked_at, 1), [match.span()]
    if match := _LAST_SEASON.search(question):
        return _season(_STEMS[(match["a"] or match["b"]).lower()], asked_at, 0), [match.span()]
    return None


def _season(first: int, asked_at: datetime, back: int) -> tuple[datetime, datetime]:
    """Return the last season that was over, or the one `back` years before that."""
    year = asked_at.year
    while _months(asked_at, year, first, SEASON)[1] > asked_at:
        year -= 1
    return _months(asked_at, year - back, first, SEASON)


def year_of(question: str, asked_at: datetime) -> Spanned | None:
    """Return the year of a question, with the month or the season beside it, in the words of another language."""
    match = YEARS.search(question)
    if match is None:
        return None
    year, word = int(match["y"]), (match["word"] or "").lower()
    first, months = next(
        ((n, 1) for name, n in MONTHS_ELSEWHERE.items() if word.startswith(name)),
        next(((n, 3) for name, n in SEASONS_ELSEWHERE.items() if word.startswith(name)), (1, 12)),
    )
    return _months(asked_at, year, first, months), [match.span()]


def decade_elsewhere(question: str, asked_at: datetime) -> Spanned | None:
    """Return the decade that a question names in another language than English: "en los noventa", "90年代"."""
    for match in _DECADE.finditer(question):
        if match["g"]:
            number = number_in(match["g"])
        elif match["f"]:
            number = _RUSSIAN[match["f"].lower()]
        else:
            number = number_in(match["r"] or match["z"] or match["n"] or match["m"])
        if number is None or number % 10 or not 0 <= number <= 90:
            continue
        century = match["c"] or match["c2"]
        start = (int(century) * 100 if century else 1900 if number > asked_at.year % 100 else 2000) + number
        if number < 20 and not century:
            continue
        return (_midnight(asked_at, start, 1), _midnight(asked_at, start + 10, 1)), [match.span()]
    return None


def narrowed(question: str, found: Spanned, asked_at: datetime) -> Spanned:
    """Return a time with what stands beside it taken into account: a part of it, a season of the year, "this time".

    A year or two ago is the time around that moment.
    """
    (start, end), phrases = found
    if len(phrases) != 1:
        return found
    first, last = phrases[0]
    before, after = question[:first], question[last:]
    if (end - start).days in A_YEAR and (nearer := _of_year(start.year, question, phrases[0], asked_at)) is not None:
        return nearer
    year = _NAMED_YEAR.search(question[first:last])
    inside = question[first : first + year.start()] if year else ""
    third = (end - start) / 3
    for part, pattern in _PARTS:
        if (edge := pattern.search(before)) is not None:
            first = edge.start()
        elif (edge := pattern.match(after)) is not None:
            last += edge.end()
        elif not pattern.search(inside):
            continue
        return (start + part * third, start + (part + 1) * third), [(first, last)]
    return found


def _of_year(year: int, question: str, phrase: tuple[int, int], asked_at: datetime) -> Spanned | None:
    """Return the part of a year that is meant by what stands beside it, or by how it is told; None where all of it is."""
    first, last = phrase
    before, after = question[:first], question[last:]
    middle = asked_at.replace(year=year, day=min(asked_at.day, 28))
    if (beside := _THIS_TIME.search(before)) is not None:
        return (middle - AROUND, middle + AROUND), [(beside.start(), last)]
    if (beside := _THIS_TIME.match(after.lstrip())) is not None:
        return (middle - AROUND, middle + AROUND), [(first, len(question) - len(after.lstrip()) + beside.end())]
    if (season := _season_beside(before, after)) is not None:
        month, left, right = season
        return _months(asked_at, year, month, SEASON), [(first - left, last + right)]
    if asked_at.year - year <= FEW and _is_counted(question[first:last]):
        return (middle - NEARLY, middle + NEARLY), [phrase]
    return None


def _season_beside(before: str, after: str) -> tuple[int, int, int] | None:
    """Return the first month of a season right before or behind a year, and how many characters it takes on each side."""
    for match in _SEASON_BESIDE.finditer(before):
        if not re.sub(r"\b(?:of|de[ls]?|des|von|di|do|van|в)\b", "", before[match.end() :]).strip():
            return _first(match), len(before) - match.start(), 0
    behind = _SEASON_BESIDE.match(after.lstrip(" 的の"))
    if behind is None:
        return None
    return _first(behind), 0, len(after) - len(after.lstrip(" 的の")) + behind.end()


def _first(match: re.Match[str]) -> int:
    return _UNSPACED[match["u"]] if match["u"] else _STEMS[match["s"].lower()]


def _is_counted(phrase: str) -> bool:
    """Tell whether a phrase says how many years ago: "vor fünf Jahren", "a year ago", "三年前", and not "last year", "2019"."""
    if _NAMED_YEAR.search(phrase):
        return False
    if _CJK_COUNT.search(phrase):
        return True
    words = [word.lower() for word in _COUNTED.findall(phrase)]
    return len(words) > 1 and any(number_in(w) is not None or w in SMALL for w in words)


def dates_in(question: str, asked_at: datetime) -> list[tuple[int, int]]:
    """Return the characters of the dates of a question."""
    return [(m.span_start, m.span_end) for m in find_dates(question, asked_at)]


def _months(asked_at: datetime, year: int, first: int, count: int) -> tuple[datetime, datetime]:
    """Return so many months from one on, which may end in the next year."""
    last = first - 1 + count
    return _midnight(asked_at, year, first), _midnight(asked_at, year + last // _MONTHS, last % _MONTHS + 1)


def _midnight(asked_at: datetime, year: int, month: int) -> datetime:
    return datetime(year, month, 1, tzinfo=asked_at.tzinfo)
