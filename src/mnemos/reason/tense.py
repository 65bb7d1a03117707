"""Tense: whether the clause around a date speaks of the past or of the future, by its verbs and other cue words.

"My flight is on Friday" means the coming one, "we met on Friday" the last one. Where the words do not show it, or show both,
the answer is None, and the date stays unread: better unknown than wrong. English; Chinese, Japanese, Korean by particles.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal

from mnemos.reason.tense_words import (
    ANNOUNCING,
    ASKING,
    BE,
    BOOKING,
    DO,
    GOES_ON,
    HABIT,
    HAVE,
    HINTS_AHEAD,
    HINTS_BACK,
    MODALS,
    NO_PAST,
    NO_VERB,
    PARTICIPLES,
    PAST,
    RESERVED,
    UNSURE,
    WAS,
)

Tense = Literal["past", "future"]
BEFORE, AFTER = 240, 160  # characters around a date that are read
_SHORT = [
    "Dr", "Mr", "Mrs", "Ms", "St", "vs", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun",
    "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec",
]  # fmt: skip
_SENTENCE = re.compile("".join(rf"(?<!\b{w})" for w in _SHORT) + r"[.!?;](?=\s|$)|[\n\u3002\uff01\uff1f]")
_CLAUSE = re.compile(
    r"[,:()\u2013\u2014\uff0c]|\b(?:and|but|so|because|while|although|though|whereas|which|who)\b", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_PLACED = re.compile(  # what follows "is" in "is on Friday", "is early in June", "is at nine on Friday"
    r"\s*(?:(?:not|now|still|probably|already|also|early|late|only|just|back|free|busy|off|away|out|home|available|there|here|closed"
    r"|open)\s+)*(?:"
    r"(?:on|in|at|by|until|till|from|this|the|due|for|set|my|our|his|her|their|your|a|an|going|about)\b|$)",
    re.IGNORECASE,
)
_TODAY = re.compile(r"\b(?:today\s+is|it['\u2019]?s|it\s+is|happy)\s*$", re.IGNORECASE)
_IS = re.compile(r"['\u2019]s\s*$")
_CJK = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_CJK_PAST = re.compile(
    r"了|过|過|ました|でした|だった|った[。、！]?$|んだ[。、！]?$|いた[。、！]?$|した[。、！]?$"
    r"|[었았였했갔왔봤됐샀줬났렸졌](?:습|다|어|고|는|던|지|을|네|요|나|니|는데)"
)
_CJK_FUTURE = re.compile(
    r"将|將|要|会|會|打算|计划|計劃|准备|準備|つもり|予定|でしょう|ます(?!か。?$)|はず|たい"
    r"|겠|예정|계획|[갈할올볼될살줄날] (?:거|것)|[갈할올볼]게"
)


def tense_of(text: str, start: int, end: int) -> Tense | Literal["now"] | None:
    """Return the tense of the clause with the date text[start:end]; "now" for "It's Friday"; None where it is unclear.

    The verb of the same clause decides, the nearest one before the date first; then other cue words of the clause, then
    the clauses beside it. Reads 400 characters at most, in about 0.1 ms.
    """
    low, high = max(0, start - BEFORE), min(len(text), end + AFTER)
    low = max((m.end() for m in _SENTENCE.finditer(text, low, start)), default=low)
    stop = _SENTENCE.search(text, end, high)
    high = stop.end() if stop else high
    before, phrase, after = text[low:start], text[start:end], text[end:high]
    if phrase.endswith("."):  # "in June." ends its sentence
        after = ""
    if _CJK.search(phrase):
        return _of_particles(before + after)
    first = phrase.split(None, 1)[0].lower() if phrase else ""
    if _TODAY.search(before) and first not in ("on", "in", "by", "until") and not after.strip(" .!?\u2026"):
        return "now"
    if first == "since" or before.rstrip().lower().endswith("since"):
        return "past"
    if _booked(before, first):
        return "future"
    return _of_clauses(before, phrase, after)


def _of_clauses(before: str, phrase: str, after: str) -> Tense | None:
    """Return the tense of the clause around a date, or else of those beside it."""
    left = [0, *(m.end() for m in _CLAUSE.finditer(before)), len(before)]
    right = [0, *(m.start() for m in _CLAUSE.finditer(after)), len(after)]
    heads = [before[a:b] for a, b in pairwise(left)]
    tails = [after[a:b] for a, b in pairwise(right)]
    words = {*_words(heads[-1]), *_words(tails[0]), *_words(phrase)}
    if words & HABIT:
        return None
    if phrase[:3].lower() in ("on ", "in ") and _IS.search(heads[-1]):
        return "future"  # "my flight's on Friday"
    verbs = [*reversed(_verbs(heads[-1])), *_verbs(tails[0])]
    if verbs:
        return verbs[0]
    ahead, back = bool(words & HINTS_AHEAD), bool(words & HINTS_BACK)
    if ahead != back:
        return "future" if ahead else "past"
    beside = [verb for head in reversed(heads[:-1]) for verb in reversed(_verbs(head))]
    beside += [verb for tail in tails[1:] for verb in _verbs(tail)]
    return beside[0] if beside else None


def _words(text: str) -> list[str]:
    return [w.lower().replace("\u2019", "'") for w in _WORD.findall(text)]


def _booked(before: str, first: str) -> bool:
    """Tell whether a date is what something was booked for: "I bought tickets for Friday"."""
    words = _words(before)
    last = words[-1] if words else ""
    return (first == "for" or last == "for") and any(w in BOOKING for w in words[-8:])


def _verbs(clause: str) -> list[Tense | None]:
    """Return the tenses of the verbs of a part of a clause, in its order; None for one that shows neither."""
    matches = list(_WORD.finditer(clause))
    words = [m[0].lower().replace("\u2019", "'") for m in matches]
    found: list[Tense | None] = []
    i = 0
    while i < len(words):
        tense, length = _be(words, i, clause[matches[i].end() :]) if words[i] in BE else _verb(words, i)
        if matches[i][0] == "Will" and (i > 0 or _verb(words[:3], 1)[0] == "past"):
            length = 0  # a name: "Will went to Porto"
        if length:
            found.append(tense)
        i += length or 1
    return found


def _be(words: list[str], i: int, behind: str) -> tuple[Tense | None, int]:
    """Return the tense of "is" and its like at word i, and how many words belong to it; `behind` is the text after it.

    "is" announces with a place in time, as a question, or with another verb; "it is hot in June" says nothing of when.
    """
    word, rest = words[i], words[i + 1 : i + 4]
    if word.endswith("'s") and rest and (rest[0] in PARTICIPLES or rest[0] == "had"):
        return "past", 2  # "he's gone"
    doing = next((j for j, w in enumerate(rest) if w.endswith("ing") and len(w) > 4 and w not in NO_VERB), None)
    if doing is not None:
        return "future", doing + 2
    if rest and rest[0].endswith("ed"):
        return "future", 2  # "is scheduled"
    asks = (i == 0 and "'" not in word) or words[max(0, i - 1)] in ASKING or word.split("'")[0] in ASKING
    return ("future" if asks or _PLACED.match(behind) else None), 1


def _verb(words: list[str], i: int) -> tuple[Tense | None, int]:
    """Return the tense of the verb that begins with word i, and how many words it has; 0 where there is none."""
    word, rest = words[i], words[i + 1 : i + 4]
    if word in WAS:
        return (None, 4) if rest[:1] and rest[0] in GOES_ON and rest[1:2] in (["to"], ["for"]) else ("past", 1)
    if word in HAVE:
        perfect = next((j for j, w in enumerate(rest) if w in PARTICIPLES or w in PAST or _past(w)), None)
        if perfect is None or rest[0] in ("got", "to"):
            return "future", 1 + (rest[:1] == ["got"])
        return "past", perfect + 2
    if word in ("did", "didn't"):
        return "past", 1 + min(len(rest), 3)
    if word == "had" and rest[:1] == ["better"]:
        return "future", 2
    if word == "used" and rest[:1] == ["to"]:
        return None, 2
    if word == "see" and rest[:1] in (["you"], ["ya"], ["u"]):
        return "future", 2
    if word in RESERVED and i > 0:  # "I booked it on Friday": of either day
        return None, 1
    if word in UNSURE:
        polite = rest[:1] in (["like"], ["love"]) or (
            word in ("could", "would") and rest[:1] in (["you"], ["we"], ["it"])
        )
        return ("future" if polite else None), 2
    if word in PAST or _past(word):
        return "past", 1
    if word in DO or word in MODALS or word in ANNOUNCING:
        return "future", 1
    starts = i == 0 and word.endswith("ing") and len(word) > 4 and word not in NO_VERB
    return ("future", 1) if starts else (None, 0)  # "Flying to Oslo on Friday"


def _past(word: str) -> bool:
    return word.endswith("ed") and len(word) > 3 and word not in NO_PAST


def _of_particles(sentence: str) -> Tense | None:
    """Return the tense of a sentence in Chinese or Japanese; None where its particles show none, or both."""
    clean = sentence.strip().rstrip("\u3002\uff01.!")
    past, future = _CJK_PAST.search(clean) is not None, _CJK_FUTURE.search(clean) is not None
    return None if past == future else "past" if past else "future"
