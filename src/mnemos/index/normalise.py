"""One spelling for what readers take for the same letters: case, width, vowel points, and variants of a letter."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

_LATIN = re.compile(r"[\x00-\x7f\xa0-\xac\xae-\u02ff\u2010-\u2027\u2030-\u205e\u20a0-\u20cf]*")
_POINTS = (
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0640"  # Arabic vowels, hamza, tatweel
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew vowels and accents
    "\u093c\u09bc\u0a3c\u0abc\u0b3c\u0c3c\u0cbc"  # the Indic nukta
    "\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff"  # joiners, directions, variants
)
_POINT = re.compile(f"[{_POINTS}]")
_GREEK = re.compile("([\u0370-\u03ff])[\u0300-\u036f]+")  # decomposed
_STRESSED = re.compile("(?<=[аеиоуыэюяі])[\u0300\u0301]|(?<=е)\u0308")  # ё is е, й stays
_NASAL = re.compile("ङ्(?=[क-ङ])|ञ्(?=[च-ञ])|ण्(?=[ट-ण])|न्(?=[त-न])|म्(?=[प-म])")  # before a letter of its own row
_APOSTROPHES = ("’", "‘", "ʼ", "ʻ", "′")
_VARIANTS = str.maketrans(
    {
        "׳": "'", "״": '"', "־": " ",
        "ى": "ي", "ی": "ي", "ے": "ي", "ې": "ي", "ک": "ك", "ڪ": "ك", "ة": "ه", "ۀ": "ه", "ہ": "ه", "ھ": "ه", "ە": "ه",
        "ۃ": "ه", "ٱ": "ا", "ٲ": "ا", "ٳ": "ا",
        "ँ": "ं", "ঁ": "ং", "ઁ": "ં", "ਁ": "ਂ", "ੰ": "ਂ", "ৎ": "ত্",
        "ൺ": "ണ്", "ൻ": "ന്", "ർ": "ര്", "ൽ": "ല്", "ൾ": "ള്", "ൿ": "ക്",
    }
)  # fmt: skip
_WHOLE = (("\u0e4d\u0e32", "\u0e33"), ("\u0ecd\u0eb2", "\u0eb3"))  # Thai and Lao AM, which NFKC takes apart


def normalise(text: str) -> str:
    """Return a text in the spelling that words are compared in; spaces and punctuation stay.

    NFKC and casefold for all; digits of all scripts are 0 to 9; Arabic and Hebrew lose their vowel points, and Arabic
    and Persian letters that look alike are one; Indic letters lose nukta and joiners; Greek and Cyrillic lose their
    accents, but not й; the Turkish dotless i is an i. Latin accents stay. Idempotent, and linear: 5 ns a character of
    ASCII, 30 ns of Latin, 200 ns of others.
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    if text.isascii():
        return text
    text = text.replace("i\u0307", "i").replace("ı", "i")  # casefold makes the former of İ
    text = text.replace("ș", "ş").replace("ț", "ţ")  # Romanian has been written with both
    for apostrophe in _APOSTROPHES:
        text = text.replace(apostrophe, "'")
    return unicodedata.normalize("NFKC", text if _LATIN.fullmatch(text) else _bare(text))


def _bare(text: str) -> str:
    """Return a folded text without vowel points and accents of scripts that can be written without them."""
    text = _POINT.sub("", unicodedata.normalize("NFKD", text))
    text = _STRESSED.sub("", _GREEK.sub(r"\1", text))
    text = unicodedata.normalize("NFC", text).translate(_VARIANTS).translate(_digits())
    for apart, whole in _WHOLE:
        text = text.replace(apart, whole)
    return _NASAL.sub("ं", text)


@cache
def _digits() -> dict[int, str]:
    """Return the decimal digits of all scripts, and which of 0 to 9 each is."""
    digits = (chr(i) for i in range(128, sys.maxunicode + 1))
    return {ord(c): str(unicodedata.decimal(c)) for c in digits if unicodedata.category(c) == "Nd"}
