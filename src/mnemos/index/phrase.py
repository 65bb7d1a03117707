"""A phrase as a person writes it, and the texts in which exactly it occurs: whole words, nothing wider."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from mnemos.errors import InvalidInput
from mnemos.index.edges import Edges
from mnemos.index.folding import fold, fold_in_place, has_dotless, visible

PIECE = (
    4_000  # characters that are folded and cut into words at once: a long text costs no more memory than a short one
)
CONTEXT = 400  # characters at the ends of a piece that are left to the next one: what is beside a place decides
EXPANSION = 8  # characters of a text for one of what it folds to, at most, marks upon marks aside
_SPACES = re.compile(r"\s+")


class Phrase:
    """A phrase to be found as it is written.

    Letter case, the form of a character (NFKC) and the width of spaces make no difference. Accents, vowel points,
    inflections and the order of words do.
    """

    def __init__(self, text: str) -> None:
        """Take a phrase with a letter, a digit or a picture. Raises InvalidInput: punctuation alone names nothing."""
        self.folded = fold(text)
        self._turkic = fold(text, turkic=True)
        self._dotless = has_dotless(text)
        if not any(c.isalnum() or unicodedata.category(c) == "So" for c in self.folded):
            raise InvalidInput(f"the phrase {text!r:.60} has no letter, digit or emoji to look for.")

    def within(self, text: str) -> bool:
        """Tell whether a text contains the phrase, also inside of longer words. Linear: about 1 us for 100 characters."""
        return any(wanted in fold(text, turkic=turkic) for turkic, wanted in self._ways(text))

    def occurs(self, text: str) -> bool:
        """Tell whether the phrase occurs in a text, with the edge of a word on both sides.

        As `within`; about 1 us a character more for a text that contains it.
        """
        text = _SPACES.sub(" ", visible(text)).strip()
        return any(_occurs(text, wanted, turkic) for turkic, wanted in self._ways(text))

    def _ways(self, text: str) -> Iterator[tuple[bool, str]]:
        """Yield whether to fold as in Turkish, and the phrase folded so, for the foldings that make a difference."""
        yield False, self.folded
        if self._dotless or has_dotless(text):
            yield True, self._turkic


def _occurs(text: str, phrase: str, turkic: bool) -> bool:
    """Tell whether a visible text folds to a phrase somewhere between edges of words."""
    reach = EXPANSION * len(phrase) + 2 * CONTEXT
    for first in range(0, len(text), PIECE):
        piece = text[first : first + PIECE + reach]
        if phrase not in fold(piece, turkic=turkic):
            continue
        least, most = CONTEXT if first else 0, len(piece)
        most -= CONTEXT if first + most < len(text) else 0
        edges = Edges(piece)
        if any(least <= a and b <= most and edges.around(a, b) for a, b in _places(piece, phrase, turkic)):
            return True
    return False


def _places(text: str, phrase: str, turkic: bool) -> Iterator[tuple[int, int]]:
    """Yield where a visible text folds to a phrase; a part of a character that a reader sees is not meant."""
    folded, places = fold_in_place(text, turkic=turkic)
    at = folded.find(phrase)
    while at >= 0:
        (start, _), (_, end), last = places[at], places[at + len(phrase) - 1], at + len(phrase)
        if (at == 0 or places[at - 1][0] < start) and (last == len(folded) or places[last][0] >= end):
            yield start, end
        at = folded.find(phrase, at + 1)
