"""Words inside longer words, where a language writes them as one: found in the vocabulary, without n-grams in the index."""

from __future__ import annotations

from collections.abc import Callable, Container

from mnemos.registry import Paper, register

LANGUAGES = frozenset({"de", "nl", "sv", "da", "no", "fi", "et", "hu"})  # whose compounds are one word
LONG = 8  # letters from which a word may be a compound
PART, REST = 4, 3  # letters of a part that is looked for, and of what may stand beside it, at least
JOINED_PART, JOINED_REST = 2, 2  # the same in Thai, Lao, Khmer and Burmese, whose words are what a dictionary knows
MOST = 200  # words that one part leads to
HEAD = 6  # letters of a last part that is enough alone
_LINKS = ("", "s", "es", "n", "en", "er", "e")  # letters between the parts of a compound


class Compounds:
    """The long words of an index, in one text that a part is looked for in. 1 byte a letter; 10 us for 10,000 words."""

    def __init__(self, *, joined: bool = False) -> None:
        self.part, self.rest = (JOINED_PART, JOINED_REST) if joined else (PART, REST)
        self.long = self.part + self.rest if joined else LONG
        self._words: list[str] = []
        self._text: str | None = None

    def add(self, word: str) -> None:
        """Add a word that is not there yet; short ones are left out."""
        if len(word) >= self.long:
            self._words.append(word)
            self._text = None

    def around(self, part: str) -> list[str]:
        """Return the words that begin or end with a part, at most 200. One pass over the vocabulary."""
        if len(part) < self.part or not self._words:
            return []
        if self._text is None:
            self._text = "\n" + "\n".join(self._words) + "\n"
        found: list[str] = []
        text, at = self._text, 0
        while len(found) < MOST and (at := text.find(part, at)) >= 0:
            start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
            word = text[start:end]  # what is found first may stand inside, and the part again at its end
            if len(word) - len(part) >= self.rest and (at == start or word.endswith(part)):
                found.append(word)
            at = end
        return found


@register(
    "compounds",
    papers=(Paper("Empirical Methods for Compound Splitting"),),
    unmeasured="the benchmarks at hand are in English, which has no such words",
)
def split(
    word: str,
    stem: Callable[[str], str],
    known: Container[str],
    part: int = PART,  # letters of a part, at least
) -> list[str]:
    """Return the parts of a compound that are `known` words: both, or a last one of 6 letters; the longest wins.

    Deviation: the paper chooses by frequency; here the head of the compound, which comes last, decides.
    """
    for i in range(part, len(word) - part + 1):
        last = stem(word[i:])
        if last not in known:
            continue
        for link in _LINKS:
            first = word[:i].removesuffix(link) if word[:i].endswith(link) else ""
            if len(first) >= part and (found := stem(first)) in known:
                return [found, last]
        if len(word) - i >= HEAD:
            return [last]
    return []
