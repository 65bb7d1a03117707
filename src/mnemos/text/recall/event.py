"""Events that a question names, found in the space: "the move to Ghent", "Tim was born", "I was at Acme"; and birthdays."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from mnemos.cube import Hit, MemCube, from_micros, to_micros
from mnemos.index.terms import stop_terms, terms
from mnemos.reason.past_words import Side
from mnemos.store.base import Store
from mnemos.text.recall.held import EVER, Held, held
from mnemos.text.recall.topic import Floats

Search = Callable[[str], Sequence[tuple[int, Hit]]]
Judge = Callable[[str, Sequence[MemCube]], Floats]
CLEAR = 1.0  # of the probability and the share of words in common, from which a cube without a name is the event
SURE = 1.5  # the same for an event of one word
HALF = 0.5  # share of the best one's that another cube of the event has
DAY = 86_400_000_000
_MORE = 3  # content words by which a cube tells more than its event
_YEAR = timedelta(days=366)
_BORN = re.compile(
    r"\b(?:born|birthday|date of birth|geboren|geburtstag|naci[oó]|nací|cumpleaños|née?|anniversaire|nasci|aniversário|nat[oa]"
    r"|compleanno)\b|родил|рождени|生まれ|出生|生日|誕生日",
    re.IGNORECASE,
)
_AGED = re.compile(
    r"\b(?:i['\u2019]?m|i am|turn(?:ed|ing)?|ich bin|tengo|tenho|j['\u2019]ai|ho) (?P<n>\d{1,2})\b"
    r"(?!\s?(?:%|km|kg|min|week|month|day|hour))",
    re.IGNORECASE,
)
_BARE_YEAR = re.compile(r"\b(19\d\d|20[0-4]\d)\b")
_SIDES = {"before": "before|prior to|until", "after": "after|following", "during": "while|when|during"}


@dataclass(frozen=True, slots=True)
class Event:
    """The cube of an event, and when it was, half-open in microseconds since 1970."""

    key: int
    cube: MemCube
    start: int
    end: int
    bare: bool  # whether the cube tells nothing else


def find_event(phrase: str, side: Side, store: Store, search: Search, judge: Judge) -> Event | None:
    """Return the event that a phrase names; None unless a cube clearly is of it: with all its names, or very alike.

    Where several cubes have its names it begins with the first of them ("Started at Acme") and ends with the last ("Quit
    Acme"). Costs one search.
    """
    found = search(phrase)
    names = _names(phrase)
    content = frozenset(terms(phrase)) - stop_terms()
    near = judge(phrase, [hit.cube for _, hit in found]) if found else np.zeros(0)
    chances = near + [len(content & _words(hit.cube.text)) / max(len(content), 1) for _, hit in found]
    clear = {
        key: (float(chance), hit.cube)
        for (key, hit), chance in zip(found, chances, strict=True)
        if (names <= _words(hit.cube.text) if names else chance >= (CLEAR if len(content) > 1 else SURE))
    }
    if not clear:
        return None
    dates = store.dates(list(clear))
    times = {key: held(cube, dates.get(key, ())) for key, (_, cube) in clear.items()}
    best = max(chance for chance, _ in clear.values())
    likely = [key for key, (chance, _) in clear.items() if chance >= HALF * best]
    key = (
        min(likely, key=lambda k: _start(times[k], clear[k][1]))
        if names and side != "after"
        else max(likely, key=lambda k: clear[k][0])
    )
    start, time = _start(times[key], clear[key][1]), times[key]
    end = time.end if time.end is not None and time.named else start + DAY
    if names and side == "during":
        end = max(end, *(_start(times[k], clear[k][1]) for k in likely))
    return Event(key, clear[key][1], start, end, len(_words(clear[key][1].text) - stop_terms() - content) < _MORE)


def _start(time: Held, cube: MemCube) -> int:
    return to_micros(cube.at) if time.start == EVER else time.start


def find_birth(age: int, store: Store, search: Search) -> tuple[int, int] | None:
    """Return the year of life at an age, by a birthday or an age that a cube tells; None where none does."""
    for key, hit in search("When was I born? My birthday, how old I am."):
        cube = hit.cube
        if _BORN.search(cube.text) and (born := _birthday(cube, [d.start for d in store.dates([key]).get(key, ())])):
            return _years_on(born, age)
        if match := _AGED.search(cube.text):
            return _years_on(cube.at.replace(day=1, year=cube.at.year - int(match["n"])), age)
    return None


def says_so(text: str, phrase: str, side: Side) -> bool:
    """Tell whether a text itself says "before Ghent" or "while at Acme"."""
    names = _names(phrase)
    clauses = re.finditer(rf"\b(?:{_SIDES[side]})\b([^.;!?,]{{2,60}})", text, re.IGNORECASE)
    return bool(names) and any(names <= _words(clause[1]) for clause in clauses)


def _birthday(cube: MemCube, dates: Sequence[int]) -> datetime | None:
    years = [day for day in map(from_micros, dates) if day < cube.at - 5 * _YEAR]
    if years:
        return years[0]
    match = _BARE_YEAR.search(cube.text)
    return cube.at.replace(year=int(match[1]), month=1, day=1) if match else None


def _years_on(born: datetime, age: int) -> tuple[int, int]:
    day = born.replace(day=min(born.day, 28))
    return to_micros(day.replace(year=day.year + age)), to_micros(day.replace(year=day.year + age + 1))


def _words(text: str) -> frozenset[str]:
    return frozenset(terms(text[:1_000]))


def _names(phrase: str) -> frozenset[str]:
    """Return the terms of the names and numbers of a phrase."""
    found = re.findall(r"\b(?!I\b)[A-Z\d][\w'\u2019-]*", phrase)
    return frozenset(t for name in found for t in terms(name) if not _BARE_YEAR.fullmatch(t)) - stop_terms()
