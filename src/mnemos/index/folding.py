"""Folding of a text: what is left when letter case, the form of a character and the width of a space are ignored."""

from __future__ import annotations

import re
import unicodedata

from mnemos.index.segment import characters

# joiners, directions, soft hyphens, variation selectors: nobody sees them. A joiner before a picture makes one picture.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]"
    "|\u200d(?=[\\w\\s]|$)"
)
_SAME_SIGN = str.maketrans(
    dict.fromkeys("’‘ʼʻ′׳", "'") | dict.fromkeys("“”„״", '"') | dict.fromkeys("\u2010\u2011\u2212\u05be", "-")
    | {i: chr(i - 0xFEE0) for i in range(0xFF01, 0xFF5F)}
)  # fmt: skip
_TURKIC = str.maketrans({"I": "ı", "İ": "i"})
_DOTLESS = re.compile("[ıİ]")


def visible(text: str) -> str:
    """Return a text without what is invisible, with one sign for typographic variants: ’ is ', and − is -."""
    return text if text.isascii() else _INVISIBLE.sub("", text).translate(_SAME_SIGN)


def fold(text: str, *, turkic: bool = False) -> str:
    """Return what is compared of a text: NFKC and full case folding (ß is ss, ς is σ), runs of spaces as one space.

    İ is i, and with `turkic` I is ı, as it is in Turkish. Linear: 5 ns a character of ASCII, 50 ns of others.
    """
    return " ".join(_folded(visible(text), turkic).split())


def has_dotless(text: str) -> bool:
    """Tell whether a text has letters that only Turkish and its relatives have: their case is folded otherwise."""
    return not text.isascii() and _DOTLESS.search(text) is not None


def fold_in_place(text: str, *, turkic: bool = False) -> tuple[str, list[tuple[int, int]]]:
    """Fold a visible text; return it, and for each of its characters where the character that it comes from stands.

    About 1 us a character, 0.1 us of ASCII.
    """
    folded: list[str] = []
    places: list[tuple[int, int]] = []
    for start, end in ((i, i + 1) for i in range(len(text))) if text.isascii() else characters(text):
        for c in _folded(text[start:end], turkic):
            space = c.isspace()
            if space and (not folded or folded[-1] == " "):
                continue
            folded.append(" " if space else c)
            places.append((start, end))
    return "".join(folded), places


def _folded(text: str, turkic: bool) -> str:
    if text.isascii() and not turkic:
        return text.lower()
    text = unicodedata.normalize("NFKC", text)
    text = unicodedata.normalize("NFKC", (text.translate(_TURKIC) if turkic else text).casefold())
    return text.replace("i\u0307", "i").replace("\u2013", "-").translate(_SAME_SIGN)
