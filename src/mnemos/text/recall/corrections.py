"""Corrections: what somebody says right after a statement to put it right ("No, I meant 9:40"), in a dozen languages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from mnemos.cube import Hit, MemCube
from mnemos.index.terms import stop_terms, terms
from mnemos.store.base import Store

AMONG = 40  # hits among which a correction of the first is looked for
SOON = timedelta(hours=1)  # after what it corrects
BETWEEN = 3  # cubes between the two at most, none of them by the same voice
WORDS, FEW = 25, 6  # of a correction that says that it is one, and of one that only begins like it, at most
_SAYS = re.compile(
    r"\b(?:i meant|i mean to say|correction|scratch that|strike that|i misspoke|typo"
    r"|(?<=[,.!-] )make that|^make that|that should (?:be|have been|read)"
    r"|ich meinte|ich meine nat\u00fcrlich|korrektur|berichtigung|vertippt|verschrieben|(?:muss|sollte) hei\u00dfen"
    r"|quise decir|quer\u00eda decir|me refer\u00eda|correcci\u00f3n|corrijo|me equivoqu\u00e9"
    r"|je voulais dire|je rectifie|rectification|erratum|je me suis tromp\u00e9e?"
    r"|volevo dire|intendevo|correzione|mi sono sbagliat[oa]|quis dizer|queria dizer|corre\u00e7\u00e3o|enganei-me|me enganei"
    r"|ik bedoel(?:de)?|correctie|typfout|jag menade|r\u00e4ttelse|jeg mente|rettelse"
    r"|mia\u0142[ae]m na my\u015bli|chodzi\u0142o mi o|poprawka|sprostowanie"
    r"|\u0438\u043c\u0435\u043b\u0430? \u0432 \u0432\u0438\u0434\u0443|\u043f\u043e\u043f\u0440\u0430\u0432\u043a\u0430"
    r"|\u043e\u043f\u0435\u0447\u0430\u0442\u043a\u0430|\u043e\u0448\u0438\u0431\u0441\u044f|\u043e\u0448\u0438\u0431\u043b\u0430\u0441\u044c"
    r"|demek istedim|kastetti[mn]|d\u00fczeltme|yanl\u0131\u015f yazd\u0131m)\b"
    r"|\u6211\u662f\u8bf4|\u6211\u7684\u610f\u601d\u662f|\u66f4\u6b63|[\u8bf4\u5199\u6253]\u9519\u4e86|\u8a02\u6b63|\u9593\u9055\u3048\u307e\u3057\u305f|\u8a00\u3044\u305f\u304b\u3063\u305f|\uc815\uc815",
    re.IGNORECASE,
)
_BEGINS = re.compile(
    r"\W*(?:no|nope|sorry|oops|wait|actually|i mean|rather|nein|ach|stimmt nicht|perd\u00f3n|ups|non|pardon|scusa|n\u00e3o"
    r"|desculpa|nee|nej|nie|przepraszam|\u043d\u0435\u0442|\u0442\u043e\u0447\u043d\u0435\u0435|hay\u0131r)(?:\s*[,:;.!\u2026\u2013-]|\s+(?=\d))"
    r"|\W*(?:\u4e0d\u5bf9|\u4e0d\u662f|\u3044\u3084|\u3044\u3048|\uc544\ub2c8)|\*\w",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"(?:^|[,;\u2013-])\s*(?:not|nicht|no|pas|non|n\u00e3o|niet|nie|\u043d\u0435)\s+(?:(?:the|an?|in|to|at)\s+)?(\w{3,})",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d")
_NAME = re.compile(r"(?<=[\w,:*] )[^\W\d_a-z]\w+|(?<=\*)[^\W\d_a-z]\w+")  # a capital that does not begin the text


def corrected(store: Store, hits: Sequence[tuple[int, Hit]]) -> int:
    """Return the place of the hit that corrects the first one, the last such; 0 where none does.

    It is by the same voice in the same session, soon after, with nothing of its own in between, and says that it is a
    correction; or it is a few words that begin like one and have another number or name. O(hits), and one read of the
    cubes between where there is one.
    """
    (first, hit), found = hits[0], 0
    place, key, cube = 0, first, hit.cube
    for i, (other, found_hit) in sorted(enumerate(hits[:AMONG]), key=lambda row: row[1][0]):
        if i != place and _follows(cube, key, found_hit.cube, other) and puts_right(cube.text, found_hit.cube.text):
            between = store.by_key(range(key + 1, other)) if other - key > 1 else {}
            if any(_voice(c) == _voice(cube) for c in between.values()):
                continue
            place = found = i
            key, cube = other, found_hit.cube
    return found


def puts_right(said: str, text: str) -> bool:
    """Tell whether a text corrects what was said just before it, by its words."""
    words = len(text.split())
    if words > WORDS or text.rstrip().endswith("?"):
        return False
    if _SAYS.search(text[:120]):
        return True
    told = frozenset(terms(said)) - stop_terms()
    if any(told & set(terms(word)) for word in _NOT.findall(text)):  # "walnuts, not peanuts"
        return True
    if words > FEW or not _BEGINS.match(text):
        return False
    return bool(_NUMBER.search(said) and _NUMBER.search(text)) or bool(_NAME.search(said) and _NAME.search(text))


def _follows(cube: MemCube, key: int, other: MemCube, other_key: int) -> bool:
    """Tell whether a cube was told by the same voice in the same session, soon after another one."""
    near = 0 < other_key - key <= BETWEEN + 1 and timedelta() <= other.at - cube.at <= SOON
    return near and _voice(other) == _voice(cube)


def _voice(cube: MemCube) -> tuple[str | None, ...]:
    return cube.speaker, cube.role, cube.source, cube.session
