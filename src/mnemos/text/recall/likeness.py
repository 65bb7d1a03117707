"""How a cube may resemble a phrase that it does not have as it is written, in words for a person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from mnemos.cube import MemCube
from mnemos.index.normalise import normalise
from mnemos.index.phrase import Phrase
from mnemos.index.segment import words
from mnemos.index.terms import stop_terms, terms

STEM = 3  # letters that two forms of a word have in common at least
ENDING = 3  # letters in which they may differ at their ends
_SIGNS = re.compile(r"[\W_]+")
_KANA = str.maketrans({chr(i): chr(i + 0x60) for i in range(0x3041, 0x3097)})  # hiragana to katakana


class Likeness:
    """A phrase, and the ways of resembling it. About 60 us a cube."""

    def __init__(self, phrase: str) -> None:
        self.phrase = Phrase(phrase)
        self._bare = _bare(phrase)
        self._letters = _SIGNS.sub("", self._bare)
        self._words = [self._bare[start:end] for start, end in words(self._bare)]
        self._terms = set(terms(phrase)) - stop_terms() or set(terms(phrase))
        self._starts = [word[:STEM] for word in self._words]

    def of(self, cube: MemCube) -> tuple[int, str] | None:
        """Return a rank and a reason, or None; the lowest rank is the nearest."""
        return self._of_text(cube.text) or self._of_header(cube)

    def _of_text(self, text: str) -> tuple[int, str] | None:
        if self.phrase.within(text):
            return 0, "has it inside a longer word, number or address"
        bare = _bare(text)
        letters = _SIGNS.sub("", bare)
        if self._letters and self._letters in letters:
            if self._bare in bare:
                return 1, "has it in another spelling: accents, vowel points or another form of the letters"
            if len(self._letters) > STEM:
                return 2, "has its letters with other spaces or signs"
        if not self._starts or not all(start in letters for start in self._starts):
            return None
        if self._terms and self._terms <= set(terms(text)):
            return 3, "has all its words, in another form, order or place"
        others = [bare[start:end] for start, end in words(bare)]
        if all(any(_same_stem(word, other) for other in others) for word in self._words):
            return 4, "has its words with other endings"
        return None

    def _of_header(self, cube: MemCube) -> tuple[int, str] | None:
        for name in ("speaker", "session", "source"):
            value = getattr(cube, name)
            if value and self.phrase.within(value):
                return 5, f"its {name} is {value!r:.60}"
        if cube.metadata and any(self.phrase.within(text) for text in _texts(cube.metadata)):
            return 5, "its metadata has it"
        return None


def _bare(text: str) -> str:
    """Return a text without case, accents, vowel points and the difference of hiragana and katakana."""
    folded = normalise(text)
    if folded.isascii():
        return " ".join(folded.split())
    apart = unicodedata.normalize("NFD", folded.translate(_KANA))
    return " ".join("".join(c for c in apart if unicodedata.category(c) != "Mn").split())


def _same_stem(word: str, other: str) -> bool:
    """Tell whether two words differ at their ends only: Kowalska and Kowalski."""
    if word == other:
        return True
    common = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    return common >= max(STEM, len(word) - 2) and len(other) - common <= ENDING


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
