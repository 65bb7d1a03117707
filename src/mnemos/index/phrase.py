"""A phrase as a person writes it, and the texts in which exactly it occurs: whole words, nothing wider."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from mnemos.errors import InvalidInput
from mnemos.index.edges import Edges
from mnemos.index.folding import fold, fold_in_place, has_dotless, visible


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
        return any(True for _ in self._ways(text))

    def occurs(self, text: str) -> bool:
        """Tell whether the phrase occurs in a text, with the edge of a word on both sides.

        As `within`, and 2 us a character for a text that contains it.
        """
        for turkic in self._ways(text):
            shown = visible(text)
            folded, places = fold_in_place(shown, turkic=turkic)
            edges = Edges(shown)
            if any(edges.around(*span) for span in _spans(folded, places, self._turkic if turkic else self.folded)):
                return True
        return False

    def _ways(self, text: str) -> Iterator[bool]:
        """Yield whether to fold as in Turkish, for each folding under which the text contains the phrase."""
        if self.folded in fold(text):
            yield False
        if (self._dotless or has_dotless(text)) and self._turkic in fold(text, turkic=True):
            yield True


def _spans(folded: str, places: list[tuple[int, int]], phrase: str) -> Iterator[tuple[int, int]]:
    """Yield where the phrase stands in the visible text; a part of a character that a reader sees is not meant."""
    at = folded.find(phrase)
    while at >= 0:
        end = at + len(phrase)
        whole = (at == 0 or places[at - 1] != places[at]) and (end == len(folded) or places[end - 1] != places[end])
        if whole:
            yield places[at][0], places[end - 1][1]
        at = folded.find(phrase, at + 1)
