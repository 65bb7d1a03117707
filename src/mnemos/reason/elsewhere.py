"""Relative dates of other languages than English: "la semana pasada", "vor drei Tagen", "先週の金曜日".

`relative_words.json` (written by tools/build_relative_words.py) has the words. A phrase is looked for only around its
longest word, so that a text costs its own words and not those of all languages. A weekday alone names no date: its tense
is not known here.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, partial
from importlib.resources import files
from typing import Any, Literal

from mnemos.reason.calendar import DAY, Span, day, month, week, year

Found = tuple[re.Match[str], Callable[[re.Match[str], date], tuple[Span, bool] | None]]
_AROUND = 60  # characters on both sides of a word in which its phrase is looked for
WORD = re.compile(r"[^\s\d.,;:!?¿¡()\"'«»„“”‘’\[\]{}/\\|–—-]+")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SPACE = r"[\s\xa0]{1,3}"
# Words that are a day unless they stand behind some others; "morgen" is "tomorrow" only in small letters.
_TOMORROW = (
    r"(?<!heute )(?<!gestern )(?<!guten )(?<!goede )(?<!jeden )(?<!elke )(?<!diesen )(?<!am )(?<!der )(?<!den )(?<!'s )"
)
_MAÑANA = r"(?<!\bla )(?<!\besta )(?<!\bde )(?<!\bcada )(?<!\buna )(?<!\bpasado )"
_ALONE = {
    "hier": (re.compile(r"\bhier\b(?!-)", re.IGNORECASE), -1),
    "mañana": (re.compile(_MAÑANA + r"\bmañana\b", re.IGNORECASE), 1),
    "morgen": (re.compile(_TOMORROW + r"\bmorgen\b"), 1),
}
_FRENCH = re.compile(
    r"\b(?:je|j|nous|vous|elles?|ils?|on|ai|est|suis|était|étais|avec|chez|mon|ma|mes|les?|une|du|des|aux|et|à)\b"
)
_NOT_FRENCH = re.compile(r"\b(?:ich|ist|und|wir|der|die|das|sind|nicht|ik|het|een|er|van|zijn|wij|niet|here)\b")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a phrase says: a unit some steps away, as many of them as its number says, or a weekday."""

    kind: Literal["unit", "count", "weekday", "weekday of week"]
    unit: str = "day"
    step: int = 0  # of "count" and "weekday" only its sign counts
    weekday: int = 0  # 0: Monday


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases that are looked for together: what each means, by its text, and those with a number."""

    pattern: re.Pattern[str] | None  # of those without a number
    meanings: dict[str, Meaning]  # by text, as `plain` has it, without spaces
    counted: tuple[tuple[re.Pattern[str], Meaning, dict[str, int]], ...]  # the number is a group; the words of numbers

    def find(self, text: str, start: int = 0, end: int | None = None) -> Iterator[Found]:
        """Yield the phrases in a part of a text, with the rules that read them."""
        end = len(text) if end is None else end
        for m in self.pattern.finditer(text, start, end) if self.pattern else ():
            meaning = self.meanings.get(plain(m[0]).replace(" ", ""))
            if meaning is not None and not _is_name(m):
                yield m, partial(_read, meaning)
        for pattern, meaning, numbers in self.counted:
            for m in pattern.finditer(text, start, end):
                number = next(group for group in m.groups() if group).lower()
                count = int(number) if number.isdecimal() else numbers.get(number, 0)
                yield m, partial(_read_counted, meaning, count)


def number_words(language: str) -> dict[str, int]:
    """Return the numbers from one to ten by their words in a language."""
    return dict(_source()["numbers"].get(language, {}))


def has_words(text: str) -> bool:
    """Tell whether a text may have a phrase of another language; a microsecond for each three words."""
    return not _words().isdisjoint(WORD.findall(text.lower())) or _UNSPACED.search(text) is not None


def find_phrases(text: str, most: int) -> Iterator[Found]:
    """Yield phrases of other languages in a text, each with the rule that reads it, given its match and the anchor's day.

    `most` words are looked at. O(characters), and some us for each of these words.
    """
    known, looked_at = _words(), 0
    for at in WORD.finditer(text):
        word = at[0].lower()
        if word not in known:
            continue
        looked_at += 1
        if looked_at > most:
            break
        start, end = max(0, at.start() - _AROUND), at.end() + _AROUND
        if word in _ALONE and (word != "hier" or _is_french(text[:2_000])):
            pattern, step = _ALONE[word]
            yield from (
                (m, partial(_read, Meaning("unit", "day", step))) for m in pattern.finditer(text, at.start(), at.end())
            )
        for m, rule in _phrases(word).find(text, start, end):
            if m.start() <= at.start() and at.end() <= m.end():
                yield m, rule
    if _UNSPACED.search(text):
        yield from _phrases("").find(text)


def _is_french(text: str) -> bool:
    lowered = text.lower()
    return _FRENCH.search(lowered) is not None and _NOT_FRENCH.search(lowered) is None


def _is_name(m: re.Match[str]) -> bool:
    """Tell whether a single word is written like a name in the middle of a sentence."""
    before = m.string[max(0, m.start() - 8) : m.start()].rstrip()
    return m[0][:1].isupper() and m[0].isalpha() and bool(before) and before[-1] not in ".!?…\"'“«¿¡:;-–—(),"


def _read(meaning: Meaning, m: re.Match[str], anchor: date) -> tuple[Span, bool]:
    if meaning.kind == "unit":
        return _unit(meaning.unit, meaning.step, anchor), True
    if meaning.kind == "weekday of week":
        return day(week(anchor + 7 * meaning.step * DAY).start + meaning.weekday * DAY), True
    ahead = (meaning.weekday - anchor.weekday()) % 7
    return day(anchor + ((ahead or 7) if meaning.step > 0 else -((7 - ahead) % 7 or 7)) * DAY), True


def _read_counted(meaning: Meaning, count: int, m: re.Match[str], anchor: date) -> tuple[Span, bool]:
    """Return some units before or after the anchor: weeks are a day, and three days on both sides."""
    if meaning.unit != "week":
        return _unit(meaning.unit, meaning.step * count, anchor), True
    middle = anchor + timedelta(weeks=meaning.step * count)
    return Span(middle - 3 * DAY, middle + 4 * DAY, "week"), True


def _unit(unit: str, step: int, anchor: date) -> Span:
    if unit == "day":
        return day(anchor + step * DAY)
    if unit == "week":
        return week(anchor + 7 * step * DAY)
    return month(anchor.year, anchor.month + step) if unit == "month" else year(anchor.year + step)


# -- the words


@cache
def _source() -> Any:
    return json.loads(files("mnemos.reason").joinpath("relative_words.json").read_text(encoding="utf-8"))


@cache
def _words() -> frozenset[str]:
    """Return the words that phrases are looked for by: of each its longest one."""
    return frozenset(_source()["words"]) | _ALONE.keys()


@cache
def _phrases(word: str) -> Phrases:
    """Return the phrases that are looked for by a word; "" for those of scripts without spaces."""
    known = _source()["words"].get(word, ()) if word else _source()["unspaced"]
    meanings: dict[str, Meaning] = {}
    counted: dict[tuple[Meaning, str], list[str]] = defaultdict(list)
    for phrase, kind, unit, step, weekday, language in known:
        meaning = Meaning(kind, unit, step, weekday)
        if kind == "count":
            counted[meaning, language].append(phrase)
        else:
            meanings[plain(phrase).replace(" ", "")] = meaning
    listed = sorted((p for p, kind, *_ in known if kind != "count"), key=len, reverse=True)
    pattern = "|".join(_pattern(p, word) for p in listed) if word else _by_first(listed)
    flags = re.IGNORECASE if word else re.NOFLAG
    with_number = tuple(
        (re.compile(_with_number(found, language, word), flags), meaning, _source()["numbers"].get(language, {}))
        for (meaning, language), found in counted.items()
    )
    return Phrases(re.compile(pattern, flags) if pattern else None, meanings, with_number)


def _with_number(phrases: list[str], language: str, word: str) -> str:
    """Return a pattern of phrases with a number, "#": in scripts without spaces they all begin with it."""
    numbers = sorted(map(re.escape, _source()["numbers"].get(language, ())), key=len, reverse=True)
    number = "(" + "|".join((r"\d{1,4}", *numbers)) + ")"
    if word:
        return "|".join(_pattern(phrase, word).replace("#", number) for phrase in phrases)
    return rf"(?<![月\d]){number}\s?(?:{'|'.join(_pattern(phrase[1:].strip(), '') for phrase in phrases)})"


def _by_first(phrases: list[str]) -> str:
    """Return a pattern of phrases, grouped by their first letter: most places of a text are passed after one look."""
    found: dict[str, list[str]] = defaultdict(list)
    for phrase in phrases:
        found[phrase[0]].append(_pattern(phrase, "")[1:])
    return "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in found.items())


def _pattern(phrase: str, word: str) -> str:
    if not word:
        return r"\s?".join(map(re.escape, phrase.split()))
    inner = _SPACE.join(re.escape(part).replace("'", "['\u2019]").replace(r"\#", "#") for part in phrase.split())
    return rf"(?<!\w){inner}(?!\w)"


def plain(text: str) -> str:
    """Return a text in small letters, with plain spaces and apostrophes."""
    return " ".join(unicodedata.normalize("NFC", text).lower().replace("\u2019", "'").split())
