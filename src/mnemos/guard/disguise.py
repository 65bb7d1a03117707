"""Disguises of a text: invisible characters, look-alike letters, codes, and letters set apart."""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

LONGEST_CODE = 20_000  # characters of a base64 or hexadecimal run that are decoded at most

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
HIDING = re.compile(
    "(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0020-\U000e007e]{4}|[\u200b-\u200d\u2060-\u2064\ufeff]{12}"
)
REVERSED = re.compile("[\u202d\u202e][^\u202c\n]{0,9}[a-zA-Z]{2}")
CONFUSABLE = str.maketrans(
    "авеёкмнорстухѕіјԁһԛԝѵүӏАВЕЁКМНОРСТУХЅІЈԚԜҮ" "αβεικνορτυχγωΑΒΕΖΗΙΚΜΝΟΡΤΥΧıȷɡɑℓ’‘“”",
    "aBeekMHopcTyxsijdhqwvylABEEKMHOPCTYXSIJQWY" "aBeiKvoptuxywABEZHIKMNOPTYXijgal''\"\"",
)  # fmt: skip
SPACED = re.compile(r"(?:\b[^\W\d_][ ._*·-]){6}")
GAPS = re.compile(r"(?<=\b[^\W_])[ ._*·-](?=[^\W_]\b)")
LEET = re.compile(r"[a-zA-Z][013457@$][a-zA-Z]")
LEETS = str.maketrans("013457@$", "oieastas")
MIXED = re.compile(r"[A-Za-z][\u0370-\u03ff\u0400-\u052f]|[\u0370-\u03ff\u0400-\u052f][A-Za-z]")
CUT = re.compile("[A-Za-z][\u00ad\u200b-\u200d\u2060-\u2064\ufeff]+[A-Za-z]")
PROSE = re.compile(r"(?:[A-Za-z][A-Za-z'’,.;:!?-]* +){3}[A-Za-z]")
FUNCTION = re.compile(r"\b(?:the|and|of|to|a|in|is|for|with|you|your|on|it|not)\b", re.IGNORECASE)
NAMED_CODE = re.compile(r"rot[- ]?13|c(?:ae|e)sar|backwards|revers", re.IGNORECASE)
ESCAPES = re.compile(r"(?:%[0-9a-fA-F]{2}[\w.-]*){4}|(?:\\u[0-9a-fA-F]{4}){4}|(?:\\x[0-9a-fA-F]{2}){4}")
CODE = re.compile(r"[A-Za-z0-9+/_-]{24,}+={0,2}|(?:[0-9a-fA-F]{2}[ :]?){16,}+")


def hides(text: str) -> bool:
    """Tell whether a text hides something: invisible or reversed letters, words in two scripts, or prose in a code."""
    if not text.isascii():
        if HIDING.search(text) or REVERSED.search(text) or len(CUT.findall(text)) > 1:
            return True
        if sum(MIXED.search(word) is not None for word in unicodedata.normalize("NFKC", text).split()) > 1:
            return True
    return any(PROSE.search(decoded) for decoded in _codes(text))


def versions(text: str) -> Iterator[str]:
    """Yield what a text says to those who look closely: as it is read, and decoded. O(characters)."""
    plain = as_read(text)
    yield plain
    if SPACED.search(plain):
        yield re.sub(r"\s{2,}", " ", GAPS.sub("", plain))
    if LEET.search(plain):
        yield plain.translate(LEETS)
    if ESCAPES.search(plain):
        yield unquote(re.sub(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1] or m[2], 16)), plain))
    if len(plain) > 30 and plain.isascii() and (not FUNCTION.search(plain) or NAMED_CODE.search(plain)):
        yield codecs.decode(plain, "rot13")
        yield plain[::-1]
    yield from map(as_read, _codes(plain))


def as_read(text: str) -> str:
    """Return a text as a reader sees it: without invisible characters and accents, in one script, entities resolved."""
    if "&" in text:
        text = html.unescape(text)
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text))
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)).translate(CONFUSABLE)


def _codes(text: str) -> Iterator[str]:
    for run in CODE.finditer(text):
        if (decoded := _decoded(run[0][:LONGEST_CODE])) is not None:
            yield decoded


def _decoded(run: str) -> str | None:
    compact = re.sub("[ :]", "", run)
    try:
        if re.fullmatch("(?:[0-9a-fA-F]{2})+", compact):
            return bytes.fromhex(compact).decode()
        core = compact.rstrip("=").translate(str.maketrans("-_", "+/"))
        return base64.b64decode(core[: len(core) // 4 * 4]).decode("utf-8", "ignore")
    except (ValueError, binascii.Error):
        return None
