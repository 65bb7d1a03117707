"""Edges of words in a text: whether a part of it stands there as words of its own, or is cut out of a longer one.

Words are those of UAX 29 and of ICU's dictionaries. Beyond them, a reader takes some signs for a part of a word ("C++",
"C#", ".NET", "$5", "7:30", "Anne-Marie", "AT&T", an address) and some letters for a word attached to it ("Jane's",
"l'Aquila", "Ankara'da", "서울에서").
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

from mnemos.index.attached import HONORIFIC, attached_after, attached_before
from mnemos.index.korean import is_hangul, particle
from mnemos.index.segment import words
from mnemos.index.unspaced import breaks_kana, counted, longer_name, straddled, takes_kana, thai_name_goes_on

# Thai, Lao, Myanmar, Khmer, Han, kana, Hangul: words without spaces
_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
_NO_SPACES += "\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
_UNSPACED = re.compile(f"[{_NO_SPACES}]")
_KATAKANA = re.compile("[\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_WORD = f"(?:(?![{_NO_SPACES}])\\w)"
# Characters, at most: without a bound each place of a long run, such as base64, would be read to its end.
_SCHEME = 40
_MAILBOX = 64
_ADDRESS = re.compile(
    rf"(?:[a-zA-Z][a-zA-Z0-9+.-]{{0,{_SCHEME}}}://|\bwww\.)(?:{_WORD}|[!#$%&'()*+,./:;=?@\[\]~-])+"
    rf"|(?:{_WORD}|[.+%-]){{1,{_MAILBOX}}}@(?:{_WORD}|-)+(?:\.(?:{_WORD}|-)+)+"
)
_AFTER_ADDRESS = ".,;:!?'\")]}"  # ends the sentence, not the address
_BEFORE_HOST = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*://)?(?:www\.)?")
_HOST = re.compile(r"\.[a-z]{2,}$", re.IGNORECASE)
_STICKY = frozenset("+#*%&@/\\=~^_.-°")  # a phrase that ends in one of them goes on with a letter that follows
_HYPHENS = frozenset("-\u058a\u05be")
_IN_NUMBERS = frozenset(".,:/'\u2013")  # between two digits, beside the hyphens


class Edges:
    """The edges of words of one text. Linear: about 0.3 us a word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._words = words(text)
        self._starts = [start for start, _ in self._words]
        self._addresses = [(m.start(), m.start() + len(m[0].rstrip(_AFTER_ADDRESS))) for m in _ADDRESS.finditer(text)]

    def around(self, start: int, end: int) -> bool:
        """Tell whether text[start:end] has the edge of a word on both sides."""
        return (
            self._before(start)
            and self._after(end)
            and not self._in_address(start, end)
            and not straddled(self.text, start, end)
            and not longer_name(self.text, start, end, self._word(end))
            and not thai_name_goes_on(self.text, self._word(start - 1), self._word(end))
        )

    def _word(self, place: int) -> tuple[int, int] | None:
        """Return the word that covers a place."""
        i = bisect_right(self._starts, place) - 1
        return self._words[i] if i >= 0 and self._words[i][1] > place else None

    def _before(self, at: int) -> bool:
        if at == 0:
            return True
        text = self.text
        left, first = text[at - 1], text[at]
        word = self._word(at)
        if word is None:  # the phrase begins with a sign
            return not ((_sticky(first) and _joins(left)) or (left == first and first in "+#"))
        if word[0] < at:
            if left == ":" or (left == "." and text.endswith("www.", 0, at)):  # UAX 29 joins "name:Ana"
                return True
            return (
                attached_before(text[word[0] : at], first) or _scripts_differ(left, first) or counted(text, word[0], at)
            )
        if _katakana(left, first):
            return False
        return not _glued_before(text[at - 2] if at > 1 else "", left, first)

    def _after(self, at: int) -> bool:
        text = self.text
        if at == len(text):
            return True
        last, right = text[at - 1], text[at]
        if is_hangul(right):
            return particle(text, at)
        inside = self._word(at - 1)
        if inside is None:  # the phrase ends with a sign
            return not ((_sticky(last) and _joins(right)) or (last == right and last in "+#"))
        if inside[1] > at:
            tail = text[at : inside[1]]
            return right == ":" or attached_after(last, tail) or _scripts_differ(last, right) or takes_kana(last, tail)
        if _katakana(last, right) or breaks_kana(last, text, self._word(at)):
            return False
        return not _glued_after(text, at)

    def _in_address(self, start: int, end: int) -> bool:
        """Tell whether a part lies in an e-mail or web address without being all of it."""
        for first, last in self._addresses:
            if start < last and end > first and (start > first or end < last):
                head, tail = self.text[first:start], self.text[end:last]
                if not (start >= first and tail in ("", "/") and _BEFORE_HOST.fullmatch(head)) and end <= last:
                    return True
        return False


def _joins(c: str) -> bool:
    """Tell whether a character is of a word that is written without gaps: a letter, mark or digit of a spaced script."""
    return c != "" and (c.isalnum() or unicodedata.category(c)[0] == "M") and not _UNSPACED.match(c)


def _sticky(sign: str) -> bool:
    return sign in _STICKY or unicodedata.category(sign) == "Sc"


def _katakana(left: str, right: str) -> bool:
    """Tell whether both are katakana: a foreign word goes on to the end of the run."""
    return bool(_KATAKANA.match(left) and _KATAKANA.match(right))


def _scripts_differ(left: str, right: str) -> bool:
    """Tell whether a script without spaces meets one with them."""
    return bool(_UNSPACED.match(left)) != bool(_UNSPACED.match(right)) and right not in "_'"


def _glued_before(far: str, sign: str, first: str) -> bool:
    """Tell whether a sign before a word belongs to it; `far` is what stands before the sign."""
    if first.isdigit() and (unicodedata.category(sign) == "Sc" or sign in "+-"):
        return True
    if sign in _HYPHENS or sign in "&@":
        return _joins(far)
    if sign in _IN_NUMBERS and far.isdigit() and first.isdigit():
        return True
    return sign == "." and (not far or far.isspace() or far in "([{\"'")


def _glued_after(text: str, at: int) -> bool:
    """Tell whether signs after a word belong to it."""
    last, sign, far = text[at - 1], text[at], text[at + 1 : at + 2]
    if sign in _HYPHENS:
        return _joins(far) and not HONORIFIC.match(text, at + 1)
    if last.isdigit():
        if sign in _IN_NUMBERS and far.isdigit():
            return True
        if sign in "%‰°" or unicodedata.category(sign) == "No":
            return True
    if not _joins(last):
        return False
    if sign in "&@":
        return _joins(far)
    if sign == "/":
        return _joins(far) and _HOST.search(text, max(0, at - 64), at) is not None
    if sign == "#":
        return not _joins(far)
    if sign == "+":
        return not far.isalpha()
    return unicodedata.category(sign) == "Sc"
