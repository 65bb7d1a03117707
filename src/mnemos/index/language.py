"""The language of a text by script: the script first, then function words and letters that few languages have."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping

from mnemos.index.function_words import ARABIC, CYRILLIC, DEVANAGARI, HEBREW, LATIN, foreign, letters, votes

LATIN_SCRIPT = "Latn"
_RANGES = (  # first characters of blocks, and the script of each
    (0x0000, LATIN_SCRIPT), (0x0370, "Grek"), (0x0400, "Cyrl"), (0x0530, "Armn"), (0x0590, "Hebr"), (0x0600, "Arab"),
    (0x0700, ""), (0x0750, "Arab"), (0x0780, ""), (0x0870, "Arab"), (0x0900, "Deva"), (0x0980, ""), (0x0B80, "Taml"),
    (0x0C00, ""), (0x1C80, "Cyrl"), (0x1C90, ""), (0x1E00, LATIN_SCRIPT), (0x1F00, "Grek"), (0x2000, ""),
    (0x2C60, LATIN_SCRIPT), (0x2C80, ""), (0x2DE0, "Cyrl"), (0x2E00, ""), (0xA640, "Cyrl"), (0xA6A0, ""),
    (0xA720, LATIN_SCRIPT), (0xA800, ""), (0xAB30, LATIN_SCRIPT), (0xAB70, ""), (0xFB00, ""),
)  # fmt: skip
_STARTS = [start for start, _ in _RANGES]
_CANDIDATES = {
    LATIN_SCRIPT: ("en", *LATIN), "Cyrl": tuple(CYRILLIC), "Arab": tuple(ARABIC), "Deva": tuple(DEVANAGARI),
    "Hebr": tuple(HEBREW), "Grek": ("el",), "Armn": ("hy",), "Taml": ("ta",),
}  # fmt: skip


def script(word: str) -> str:
    """Return the script of a normalised word by its first character, in ISO 15924; "" for one of no known language."""
    return LATIN_SCRIPT if word[0] < "\u0370" else _RANGES[bisect_right(_STARTS, ord(word[0])) - 1][1]


def is_english(words: Iterable[str]) -> bool:
    """Tell whether words are all ASCII and none is a function word of another language: a quick sign of English."""
    return "".join(words).isascii() and foreign().isdisjoint(words)


def languages(words: Iterable[str]) -> dict[str, str]:
    """Return the language of each script that words of a text are in, ISO 639-1; "" for a script of no known language.

    The language with the most distinct function words and telling letters; the first in a tie, which is English, Russian,
    Arabic or Hindi. Words of two languages in one script get the one that says more. About 0.1 us a word.
    """
    known, telling, found = votes(), letters(), defaultdict[str, dict[str, int]](lambda: defaultdict(int))
    for word in set(words):
        counts = found[script(word)]
        for language in known.get(word, ()):
            counts[language] += 1
        for letter in () if word.isascii() else {*word}:
            for language in telling.get(letter, ()):
                counts[language] += 1
    return {name: _best(name, counts) for name, counts in found.items()}


def _best(script: str, counts: Mapping[str, int]) -> str:
    candidates = _CANDIDATES.get(script)
    return "" if candidates is None else max(candidates, key=lambda language: counts.get(language, 0))
