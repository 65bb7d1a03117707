"""Stems of words by language: Snowball where it has the language, light rules or the beginning of the word elsewhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial

from Stemmer import Stemmer

ANY = "**"  # the tag of languages without a stemmer: their words are cut
CUT = 4  # characters that are kept of them
_SNOWBALL = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "cs": "czech", "da": "danish", "nl": "dutch",
    "et": "estonian", "fi": "finnish", "fr": "french", "de": "german", "el": "greek", "hi": "hindi", "hu": "hungarian",
    "id": "indonesian", "ga": "irish", "it": "italian", "lt": "lithuanian", "ne": "nepali", "no": "norwegian",
    "fa": "persian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
_ROMANCE = frozenset({"ca", "es", "fr", "it", "pt", "ro"})
ISOLATING = frozenset({"vi"})  # languages whose words do not change
_HEBREW_PREFIX, _HEBREW_END = "והבלמשכ", re.compile("(?:ים|ות)$")
_PERSIAN = str.maketrans("يك", "یک")  # the stemmer has its own letters
_LATIN_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ħ": "h"})
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_MARKS = re.compile("[\u0300-\u036f]+")


def stemmer(language: str) -> Callable[[str], str]:
    """Return the function that stems normalised words of a language. A thread needs its own; making one is free."""
    if language == "he":
        return _hebrew
    if language in _ROMANCE:
        return partial(_bare, Stemmer(_SNOWBALL[language], 0).stemWord)
    if language not in _SNOWBALL:
        return _beginning
    stem: Callable[[str], str] = Stemmer(_SNOWBALL[language], 0).stemWord
    if language in ("fa", "ar"):
        return partial(_persian if language == "fa" else _arabic, stem)
    return stem


def tag(language: str) -> str:
    """Return the tag under which the stems of a language are indexed; "" where words are indexed as they are."""
    if language == "en" or language in ISOLATING:
        return ""
    return language if language in _SNOWBALL or language == "he" else ANY


def plain(word: str) -> list[str]:
    """Return spellings of a Latin word without its accents: "muller" and "mueller" for "müller"."""
    bare = _MARKS.sub("", unicodedata.normalize("NFD", word)).translate(_LATIN_LETTERS)
    return list(dict.fromkeys(form for form in (bare, word.translate(_UMLAUTS)) if form.isascii() and form != word))


def _beginning(word: str) -> str:
    return word[:CUT]


def _hebrew(word: str) -> str:
    """Take the plural and up to three one-letter prefixes off, such as ה (the), ב (in) and ו (and)."""
    for _ in range(3):
        if len(word) > 3 and word[0] in _HEBREW_PREFIX:
            word = word[1:]
    return _HEBREW_END.sub("", word) if len(word) > 4 else word


def _bare(stem: Callable[[str], str], word: str) -> str:
    """Stem a word and take its accents off, which many leave out."""
    found = stem(word)
    return found if found.isascii() else _MARKS.sub("", unicodedata.normalize("NFD", found))


def _arabic(stem: Callable[[str], str], word: str) -> str:
    """Stem a word and take off the feminine ending, which `normalise` spells as the letter that the stemmer keeps."""
    found = stem(word)
    return found[:-1] if len(found) > 3 and found.endswith("ه") else found


def _persian(stem: Callable[[str], str], word: str) -> str:
    return stem(word.translate(_PERSIAN))
