"""The time in which a statement holds, as far as its header, its dates and its words tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mnemos.cube import MemCube, to_micros
from mnemos.store.values import DateRow

EVER = -(2**62)  # a beginning that is not known
_READ = 40  # characters before a date in which its preposition stands
_SINCE = re.compile(
    r"\b(?:since|from|as of|starting|seit|ab|desde|depuis|d[eè]s|dal(?:la|l['’])?|da|sinds|vanaf|с|со)\s+(?:the\s+)?\W*$"
    r"|自从|自|から",
    re.IGNORECASE,
)
_UNTIL = re.compile(
    r"\b(?:until|till|up to|through|to|ended in|left in|bis|hasta|até|jusqu['’]?(?:en|à|au)?|fino (?:a|al)|tot|до|по)\s+"
    r"(?:the\s+)?(?:(?:end|start|beginning|middle)\s+(?:of\s+)?)?\W*$|[\d\w]\s?[-\u2013]\s?$",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"\b(?:before|prior to|vor|antes de|avant|prima del?|voor|перед)\s+(?:the\s+)?\W*$", re.IGNORECASE)
# Said of a time that is over, and of no longer than that.
_STILL = re.compile(
    r"\b(?:back (?:in|then|when|at)|still|used to|in those days|at the time|those were|was|were|wasn't|weren't|had|lived|worked"
    r"|drove|rented|shared|studied|played|rode|noch|damals|war|hatte|wohnte|arbeitete|todav[ií]a|a[uú]n|entonces|estaba|viv[ií]a"
    r"|trabajaba|ten[ií]a|encore|habitais?|habitait|travaillais?|avais|étais|ancora|abitavo|lavoravo|avevo|ero|ainda|morava"
    r"|trabalhava|tinha|estava|toen|nog|woonde|werkte|ещё|еще|тогда|жила?|работала?|был[аи]?)\b|还在|還在|当时|當時|那时|まだ|当時",
    re.IGNORECASE,
)
# What begins then and goes on.
_BEGINS = re.compile(
    r"\b(?:moved|started|joined|began|became|switched|changed|bought|got|adopted|signed|married|left|quit|born|sold|swapped|traded"
    r"|transferred|took|picked up|opened|founded|hired|promoted|since)\b",
    re.IGNORECASE,
)
_BEGINS_SOON = re.compile(
    r"\b(?:from|starting|start|starts|moving|move|moves|joining|as of|begin|begins|will|ab|a partir)\b", re.IGNORECASE
)
_YEAR = r"(?:19[3-9]\d|20[0-4]\d)|['\u2019][3-9]\d"
_YEARS = re.compile(
    rf"(?<![\w.,:/$€£#-])(?P<y>{_YEAR})"
    rf"(?:\s?(?:to|till|until|through|and|bis|a|al|à|até|hasta|e|y|tot|до|по|-|\u2013|\u2014)\s?(?P<z>{_YEAR}))?(?![\d/:%€$-])"
)
_RANGE = re.compile(r"^(?:from|between)\s.*(?:\b(?:to|through|thru|until|till|and)\b|[-\u2013\u2014])", re.IGNORECASE)
_LONG_PAST = re.compile(
    r"\b(?:used to|back then|back when|in those days|at the time|previously|formerly|years ago|as a (?:kid|child|student)"
    r"|as a teenager|when i was|before that|until then|damals|früher|antes|autrefois|à l['’]époque|una volta|vroeger"
    r"|раньше|тогда)\b|以前|过去|当时|昔|かつて",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Held:
    """When a statement holds: [start, end) in microseconds since 1970; without an end until another of its kind begins."""

    start: int
    end: int | None = None
    named: bool = False  # whether the statement names this time itself


def held(cube: MemCube, dates: Sequence[DateRow]) -> Held:
    """Return when a statement holds: what its header says, else what its dates say, else from when it was told.

    "Back in 2019 I was still at Acme" holds in 2019 whenever it is told; "I moved to Ghent in May" from May on, and
    "used to" before it was told. Costs a few microseconds.
    """
    at = to_micros(cube.at)
    if cube.valid_from is not None:
        end = None if cube.valid_to is None else to_micros(cube.valid_to)
        return Held(to_micros(cube.valid_from), end, named=True)
    end = None if cube.valid_to is None else to_micros(cube.valid_to)
    past = [d for d in dates if d.start < at and not _is_day_of_telling(d, at)]
    years = _years(cube)
    if years is not None and (years[1] or not past):
        return years[0]
    if past:
        found = _by_date(cube.text, past, at)
        return found if end is None or found.end is not None else Held(found.start, max(end, found.start), found.named)
    coming = [d for d in dates if d.start > at]
    if coming and _BEGINS_SOON.search(cube.text):
        return Held(coming[0].start, end, named=True)
    if end is None and _LONG_PAST.search(cube.text):
        return Held(EVER, at)
    return Held(at, end)


def _years(cube: MemCube) -> tuple[Held, bool] | None:
    """Return the years that a text names by numbers alone, and whether they are a range: "2017 to 2021", "the 2018 photos"."""
    for match in _YEARS.finditer(cube.text):
        first, last = _number(match["y"]), _number(match["z"] or match["y"])
        if first <= last < cube.at.year:
            start, end = (to_micros(datetime(y, 1, 1, tzinfo=cube.at.tzinfo)) for y in (first, last + 1))
            return Held(start, end, named=True), match["z"] is not None
    return None


def _number(year: str) -> int:
    """Return the year of "2019" or "'97"."""
    return int(year) if len(year) == 4 else 1900 + int(year[1:])


def _is_day_of_telling(date: DateRow, at: int) -> bool:
    """Tell whether a date is the day on which it is mentioned, or spans it: "today", "this year"."""
    return date.start <= at < date.end


def _by_date(text: str, dates: Sequence[DateRow], at: int) -> Held:
    first = dates[0]
    before = text[max(0, first.span_start - _READ) : first.span_start] + first.phrase[: _leading(first.phrase)]
    if _UNTIL.search(before):
        return Held(EVER, first.start, named=True)
    if _BEFORE.search(before):
        return Held(EVER, first.start, named=True)
    for other in dates[1:]:
        between = text[first.span_end : other.span_start] + other.phrase[: _leading(other.phrase)]
        if len(between) < _READ and _UNTIL.search(between):
            return Held(first.start, other.end, named=True)
    if _RANGE.search(first.phrase):
        return Held(first.start, first.end, named=True)
    if _SINCE.search(before):
        return Held(first.start, None, named=True)
    if _STILL.search(text) and not _BEGINS.search(text):
        return Held(first.start, first.end, named=True)
    return Held(first.start, None, named=True)


def _leading(phrase: str) -> int:
    """Return how many characters of a date phrase are its preposition: "since 2019" has six."""
    match = re.match(r"[^\W\d_]+\s", phrase)
    return match.end() if match else 0
