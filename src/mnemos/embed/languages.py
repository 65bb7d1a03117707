"""Languages that an embedder knows, and the share of a text that is in one of them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

from mnemos.embed.base import Embedder
from mnemos.index.function_words import CYRILLIC, LATIN
from mnemos.index.language import LATIN_SCRIPT, is_english, languages, script
from mnemos.index.terms import FORM, PLAIN

_UNSPACED = (  # first characters of blocks whose script is of one language, and the language; "" is any other
    (0x0000, ""), (0x0980, "bn"), (0x0A00, "pa"), (0x0A80, "gu"), (0x0B00, "or"), (0x0B80, ""), (0x0C00, "te"),
    (0x0C80, "kn"), (0x0D00, "ml"), (0x0D80, "si"), (0x0E00, "th"), (0x0E80, "lo"), (0x0F00, ""), (0x1000, "my"),
    (0x10A0, "ka"), (0x1100, "ko"), (0x1200, "am"), (0x1400, ""), (0x1780, "km"), (0x1800, "mn"), (0x18B0, ""),
    (0x1C90, "ka"), (0x1CC0, ""), (0x2D00, "ka"), (0x2D30, ""), (0x3005, "zh"), (0x3008, ""), (0x3040, "ja"),
    (0x3100, "zh"), (0x3130, "ko"), (0x3190, ""), (0x31F0, "ja"), (0x3200, ""), (0x3400, "zh"), (0xA000, ""),
    (0xA960, "ko"), (0xA980, ""), (0xAC00, "ko"), (0xD800, ""), (0xF900, "zh"), (0xFB00, ""), (0x20000, "zh"),
    (0x323B0, ""),
)  # fmt: skip
_LATIN, _CYRILLIC = frozenset({*LATIN, "*", "**"}), frozenset({*CYRILLIC, "el"})
_STARTS = [start for start, _ in _UNSPACED]


@runtime_checkable
class KnowsLanguages(Protocol):
    """An embedder that says what it was trained on. One that does not is taken to know every language."""

    @property
    def languages(self) -> frozenset[str]:
        """The languages of its training texts, ISO 639-1."""


def known_share(embedder: Embedder | None, words: Iterable[str]) -> float:
    """Return the share of words (of `index.terms.words_of`) in a language that the embedder knows, 0 to 1.

    It is 1 for an embedder that does not say what it knows, and where there are no words. About 0.2 us a word.
    """
    if not isinstance(embedder, KnowsLanguages):
        return 1.0
    spoken = spoken_in(words)
    if not spoken:
        return 1.0
    return sum(n for language, n in spoken.items() if language in embedder.languages) / spoken.total()


def spoken_in(words: Iterable[str]) -> Counter[str]:
    """Return how many words of a text are in each language, ISO 639-1; "" is one that is not recognised.

    Kana make the Han characters beside them Japanese. Numbers count as the language of the Latin script.
    """
    words = list(words)
    if is_english(words):
        return Counter({"en": len(words)} if words else {})
    of_script = languages(words)
    found = Counter(of_script[name] if (name := script(word)) else _unspaced(word) for word in words)
    if found["ja"] and found["zh"]:
        found["ja"] += found.pop("zh")
    return +found


def _unspaced(word: str) -> str:
    return _UNSPACED[bisect_right(_STARTS, ord(word[0])) - 1][1]


def fluency_of(embedder: Embedder | None) -> Callable[[str], float]:
    """Return a function that tells how well an embedder knows a language, 0 (not at all) to 1.

    One that it was not trained on is known by the words that it shares: MiniLM finds half as many paragraphs of XQuAD in
    Spanish and German as in English, a quarter in Russian, and hardly any in Arabic.
    """
    if not isinstance(embedder, KnowsLanguages):
        return lambda language: 1.0
    known = embedder.languages

    def fluency(language: str) -> float:
        if language in known:
            return 1.0
        return 0.5 if language in _LATIN else 0.25 if language in _CYRILLIC else 0.1

    return fluency


def language_of_terms(found: Sequence[str]) -> str:
    """Return the language of a text from its terms and forms (of `index_terms`), ISO 639-1. A few microseconds.

    "" where none is recognised; "*" for one of the Latin script that only its accents tell.
    """
    accents = 0
    for form in reversed(found):
        if not form.startswith(FORM):
            break
        label = form[1:].partition(":")[0]
        if label != PLAIN:
            return label
        accents += 1
    if 10 * accents > len(found) - accents:
        return "*"
    middle = found[(len(found) - accents) // 2] if found else "a"
    return "en" if (name := script(middle)) == LATIN_SCRIPT else "" if name else _unspaced(middle)
