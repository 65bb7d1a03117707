"""Events that a question names, found in the space: "the move to Ghent", "Tim was born", "I was at Acme"; and birthdays."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from mnemos.cube import Hit, MemCube, from_micros, to_micros
from mnemos.index.terms import stop_terms, terms
from mnemos.reason.past_words import STUDENT, Side
from mnemos.store.base import Store
from mnemos.text.recall.chain import Reader
from mnemos.text.recall.held import EVER, Held, held
from mnemos.text.recall.judgement import OVER
from mnemos.text.recall.telling import read_telling

Search = Callable[[str], Sequence[tuple[int, Hit]]]
CLEAR = 1.0  # of the probability and the share of words in common, from which a cube without a name is the event
SURE = 1.5  # the same for an event of one word
ALIKE, APART = 0.3, 0.05  # cosine of a cube that is the event, and how far behind the next one is
HALF = 0.5  # share of the best one's that another cube of the event has
DAY = 86_400_000_000
LASTS = 45 * DAY  # how long what lasts is taken to, where its end is not told
_GENERIC = frozenset(
    terms("work worked working live lived living start started begin join joined get got be go went have had do did")
)
_MORE = 3  # content words by which a cube tells more than its event
_ENDS = re.compile(
    r"\b(?:last (?:day|shift|lesson|night)|gave back|handed (?:back|in)|returned the keys|until|till)\b", re.IGNORECASE
)
MOST_OF_IT, SOME_OF_IT, AHEAD = 0.6, 0.4, 0.15  # shares of a phrase that one text has, and how far behind the next is
FORMS, SHARED = 4, 0.55  # letters that forms of one word share, at least, and their share of the shorter one
STUDIES = 4 * 365 * DAY
_STUDYING = (
    "student university college studies degree Studium Universität études université estudios universidad студент университет"
    " 大学"
)
_STUDY = re.compile(
    r"\b(?:students?|study|studie[sd]|studying|degree|universit\w*|uni|college|undergrad\w*|freshers?|bachelor\w*|studi[aeou]\w*"
    r"|hochschule|étud\w+|fac|faculté|estudi\w+|carrera|facultad|facoltà|faculdade|universid\w+|opleiding|универ\w+|студен\w+"
    r"|институт\w*|üniversite\w*|öğrenci\w*|fakülte\w*|yliopisto\w*|egyetem\w*)\b|大学|大學|学生|대학",
    re.IGNORECASE,
)
_GRADUATED = re.compile(
    r"\b(?:graduat\w+|finished|dropped out|abschluss|fertig|abgebrochen|licenci\w+|terminé|acabé|diplôm\w+|laurea\w*|formei"
    r"|afgestudeerd|закончил\w*|окончил\w*|ukończ\w+|mezun\w*)\b|毕业|畢業|卒業|졸업",
    re.IGNORECASE,
)
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]{2}")
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
_ARRIVED = re.compile(
    r"\bborn\b(?!.{0,20}\b(?:in|on)\b)|geboren|est née?\b|nació|nasceu|è nat[oa]|родил", re.IGNORECASE
)  # just now
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


def find_event(phrase: str, side: Side, lasting: bool, store: Store, search: Search, reader: Reader) -> Event | None:
    """Return the event that a phrase names; None unless a cube clearly is of it: with all its names, or very alike.

    Where several cubes have its words, one that lasts ("I was at Acme") begins with the first of them ("Started at Acme") and
    ends with the last ("Quit Acme"); an event of which no end is told lasts for `LASTS`. Costs one search.
    """
    if STUDENT.fullmatch(phrase):
        return _studies(store, search)
    found = search(phrase)
    if not found:
        return None
    names, content = _names(phrase), (frozenset(terms(phrase)) - stop_terms() - _GENERIC) or frozenset(terms(phrase))
    words = [_words(hit.cube.text) for _, hit in found]
    near = reader.likely(phrase, [hit.cube for _, hit in found]) if _LATIN.search(phrase) else np.zeros(len(found))
    chances = near + [len(content & said) / max(len(content), 1) for said in words]
    whole = [content <= said for said in words]
    clear = [
        i
        for i, said in enumerate(words)
        if (names <= said if names else chances[i] >= (CLEAR if len(content) > 1 else SURE) or (lasting and whole[i]))
    ]
    if not clear:
        i = _rarest(content, words, MOST_OF_IT)
        i = _alone(phrase, [hit.cube for _, hit in found], reader) if i is None else i
        i = _rarest(content, words, SOME_OF_IT) if i is None else i
        if i is None:
            return None
        clear = [i]
    dates = store.dates([key for key, _ in found])
    times = [held(hit.cube, dates.get(key, ())) for key, hit in found]
    starts = [_start(time, hit.cube) for time, (_, hit) in zip(times, found, strict=True)]
    clear = [i for i in clear if whole[i]] or clear
    best = max(chances[i] for i in clear)
    likely = [i for i in clear if chances[i] >= HALF * best]
    first = lasting or (bool(names) and side != "after")
    i = min(likely, key=lambda i: starts[i]) if first else max(likely, key=lambda i: chances[i])
    key, cube, time = found[i][0], found[i][1].cube, times[i]
    end = time.end if time.end is not None and time.named else starts[i] + DAY
    if first and side == "during":
        end = max(end, *(starts[k] for k in likely))
    if lasting and end <= starts[i] + DAY:
        end = starts[i] + LASTS
    return Event(key, cube, starts[i], end, len(words[i] - stop_terms() - content - _GENERIC) < _MORE)


def find_end(phrase: str, found: Sequence[tuple[int, Hit]]) -> int | None:
    """Return the place of the hit that tells that a phrase was over: the last with its words that tells of an end, else of
    several the last. None where none does."""
    content = _names(phrase) or (frozenset(terms(phrase)) - stop_terms() - _GENERIC)
    having = [i for i, (_, hit) in enumerate(found) if content and content <= _words(hit.cube.text)]
    over = [i for i in having if read_telling(found[i][1].cube.text).cues[OVER] or _ENDS.search(found[i][1].cube.text)]
    if not over and len(having) < 2:
        return None
    return max(over or having, key=lambda i: found[i][1].cube.at)


def _studies(store: Store, search: Search) -> Event | None:
    """Return the time of the studies that a space tells of, from the first statement on; None where it tells of none.

    They last until one tells of their end, else for `STUDIES`.
    """
    found = [(key, hit.cube) for key, hit in search(_STUDYING) if _STUDY.search(hit.cube.text)]
    if not found:
        return None
    dates = store.dates([key for key, _ in found])
    times = {key: held(cube, dates.get(key, ())) for key, cube in found}
    key, cube = min(found, key=lambda one: _start(times[one[0]], one[1]))
    start, time = _start(times[key], cube), times[key]
    ends = [_start(times[k], c) for k, c in found if _GRADUATED.search(c.text) and _start(times[k], c) > start]
    end = time.end if time.named and time.end is not None else min([start + STUDIES, *ends])
    more = [w for w in _words(cube.text) - stop_terms() - _GENERIC if not _STUDY.fullmatch(w)]
    return Event(key, cube, start, end, len(more) < _MORE)


def _rarest(content: frozenset[str], words: Sequence[frozenset[str]], least: float) -> int | None:
    """Return which text alone has most of a phrase, its words weighed by how few of the texts have them; else None.

    Words count as the same from their first letters on: "Übernahme" and "übernommen", "student" and "studies".
    """
    having = {term: [any(_same(term, said) for said in text) for text in words] for term in content}
    weight = {term: 1 / sum(has) if any(has) else 1.0 for term, has in having.items()}
    total = sum(weight.values())
    shares = [sum(weight[term] for term in content if having[term][i]) / total for i in range(len(words))]
    order = sorted(range(len(words)), key=lambda i: -shares[i])
    ahead = len(order) == 1 or shares[order[0]] - shares[order[1]] >= AHEAD
    return order[0] if shares[order[0]] >= least and ahead else None


def _same(a: str, b: str) -> bool:
    """Tell whether two words are the same, or begin with the same letters as forms of one word do."""
    if a == b:
        return True
    shared = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return shared >= FORMS and shared >= SHARED * min(len(a), len(b))


def _alone(phrase: str, cubes: Sequence[MemCube], reader: Reader) -> int | None:
    """Return which cube is alike to a phrase, and no other one nearly as much; None where there is none."""
    cosines = reader.cosines(phrase, cubes)
    order = np.argsort(-cosines)
    second = cosines[order[1]] if len(order) > 1 else 0.0
    return int(order[0]) if cosines[order[0]] >= ALIKE and cosines[order[0]] - second >= APART else None


def _start(time: Held, cube: MemCube) -> int:
    return to_micros(cube.at) if time.start == EVER else time.start


def find_birth(age: int, years: int, who: str, store: Store, search: Search) -> tuple[int, int] | None:
    """Return the `years` of life from an age on, by a birthday or an age that a cube tells; None where none does.

    `who` is whose age it is, "" for the asker.
    """
    for key, hit in search(
        f"When was {who} born? {who}'s birthday." if who else "When was I born? My birthday, how old I am."
    ):
        cube = hit.cube
        if who and not _names(who) <= _words(f"{cube.text} {cube.speaker or ''}"):
            continue
        if _BORN.search(cube.text) and (born := _birthday(cube, [d.start for d in store.dates([key]).get(key, ())])):
            return _years_on(born, age, years)
        if match := _AGED.search(cube.text):
            return _years_on(cube.at.replace(day=1, year=cube.at.year - int(match["n"])), age, years)
    return None


def says_so(text: str, phrase: str, side: Side) -> bool:
    """Tell whether a text itself says "before Ghent" or "while at Acme"."""
    names = _names(phrase)
    clauses = re.finditer(rf"\b(?:{_SIDES[side]})\b([^.;!?,]{{2,60}})", text, re.IGNORECASE)
    return bool(names) and any(names <= _words(clause[1]) for clause in clauses)


def tells_of(text: str, phrase: str) -> bool:
    """Tell whether a text has all names of a phrase: "Left Acme on Friday" tells of "I was at Acme"."""
    names = _names(phrase)
    return bool(names) and names <= _words(text)


def _birthday(cube: MemCube, dates: Sequence[int]) -> datetime | None:
    years = [day for day in map(from_micros, dates) if day < cube.at - 5 * _YEAR]
    if years:
        return years[0]
    match = _BARE_YEAR.search(cube.text)
    if match:
        return cube.at.replace(year=int(match[1]), month=1, day=1)
    return cube.at if _ARRIVED.search(cube.text) else None


def _years_on(born: datetime, age: int, years: int) -> tuple[int, int]:
    day = born.replace(day=min(born.day, 28))
    return to_micros(day.replace(year=day.year + age)), to_micros(day.replace(year=day.year + age + years))


def _words(text: str) -> frozenset[str]:
    return frozenset(terms(text[:1_000]))


def _names(phrase: str) -> frozenset[str]:
    """Return the terms of the names and numbers of a phrase."""
    found = re.findall(r"\b(?!I\b)[A-Z\d][\w'\u2019-]*", phrase)
    return frozenset(t for name in found for t in terms(name) if not _BARE_YEAR.fullmatch(t)) - stop_terms()
