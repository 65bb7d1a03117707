"""A fence round data in a prompt: a tag that nobody can guess, and texts in which nothing resembles a tag.

The token of the tag is a keyed hash of what is inside, under a secret of the space. Who writes a memory cannot know it:
he does not have the secret, and a block that was seen once tells nothing about another one, since its content differs.
The same content gives the same token, so that a prompt with the same block is the same prompt, and stays cached.
"""

from __future__ import annotations

import base64
import html
import json
import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2b

from mnemos.guard.disguise import CONFUSABLE

BREAK = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
INDENT = "    "  # before the further lines of a text: a record begins at the left edge
# What a reader does not see: controls, overrides of direction, tags, fillers; joiners are seen in scripts other than ours.
HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e0fff]+"
)
OPENERS = "<\u2039\u2329\u27e8\u3008\u276e\u276c\u2770\u227a\u1438\u16b2\u02c2\u29fc\u27ea\u300a\u00ab\u226a\u22d6\ufe64\uff1c"
MAYBE = re.compile(rf"[{OPENERS}]|[\[{{](?=\s*[/\\])|&|%[0-9a-f]|\\[ux]|\[/?inst", re.IGNORECASE)
SIGNS = frozenset("<[{&%\\")  # what a match of MAYBE begins with, in ASCII
UNIT = re.compile(
    r"&(?:amp;?)*#?\w{1,10};?|%(?:25)*[0-9a-f]{2}|\\u\{?[0-9a-f]{2,6}\}?|\\x[0-9a-f]{2}|.", re.IGNORECASE | re.DOTALL
)
TAG = re.compile(
    r"(?:<|[\[{](?=\s*[/\\]))(?P<gap>[\W_]{0,30}?)"
    r"(?:m[\W_]{0,4}e[\W_]{0,4}m[\W_]{0,4}o[\W_]{0,4}r|r[\W_]{0,4}e[\W_]{0,4}c[\W_]{0,4}o[\W_]{0,4}r[\W_]{0,4}d)"
    r"|<(?=\|)|<(?=[<\s]{0,4}/?\s{0,4}sys)|\[(?=/?inst\])|<(?=/?(?:start|end)_of_turn)"  # those of chat templates
)
PLAIN = re.compile(r"[^\W_](?:[^\x00-\x1f|\[\]<>{}\"\\\x7f\s]| (?! ))*(?<! )")
ACCENTS = dict.fromkeys((*range(0x300, 0x370), *range(0xFE00, 0xFE10)))


def token(key: bytes, parts: Iterable[str]) -> str:
    """Return the token of a block: 8 characters (40 bits) that depend on every part and on the secret."""
    digest = blake2b(digest_size=5, key=key, person=b"mnemos fence")
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return base64.b32encode(digest.digest()).decode("ascii").lower()


def text(value: str) -> str:
    """Return a text as it is shown: without what readers do not see, and with its tags opened by a parenthesis.

    Its further lines are indented. O(characters), a regex where it has no bracket that may open a tag.
    """
    if _is_simple(value):
        return value.strip()
    value = HIDDEN.sub("", value).strip()
    if MAYBE.search(value):
        value = _open(value)
    return BREAK.sub("\n" + INDENT, value)


def field(value: str | None) -> str:
    """Return the value of a field on one line: as it is if it is a plain name, quoted as in JSON otherwise; None is -.

    Quoted values have no bracket, bar or line break, and nothing that looks like another character.
    """
    if value is None:
        return "-"
    if PLAIN.fullmatch(value) and (
        _is_simple(value) or (unicodedata.normalize("NFKC", value) == value and not HIDDEN.search(value))
    ):
        return value
    return '"' + "".join(c if _shown(c) else _escaped(c) for c in json.dumps(value, ensure_ascii=False)[1:-1]) + '"'


def unquote(value: str) -> str | None:
    """Return the value that `field` wrote."""
    if value == "-":
        return None
    read: str = json.loads(value) if value.startswith('"') else value
    return read


def _is_simple(value: str) -> bool:
    """Tell whether a text is a line of ASCII in which nothing can open a tag: most are, and need no closer look."""
    return value.isascii() and value.isprintable() and SIGNS.isdisjoint(value)


def _shown(char: str) -> bool:
    return char == " " or (
        char not in "|[]<>{}&" and char.isprintable() and not HIDDEN.match(char)
        and unicodedata.normalize("NFKC", char) == char
    )  # fmt: skip


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) > 126 else f"\\u{ord(char):04x}"


def _open(value: str) -> str:
    """Replace what opens something like a tag by a parenthesis, however it is written."""
    skeleton, places = _skeleton(value)
    parts, done = [], 0
    for match in TAG.finditer(skeleton):
        gap = match["gap"] or ""
        if gap and not gap.strip(" \t\n") and value[slice(*places[match.start()])] == "<":
            continue  # "used < memory"
        for at in range(match.start(), match.start() + 1 + len(gap)):
            start, end = places[at]
            if skeleton[at] in "<[{" and start >= done:
                parts += [value[done:start], "("]
                done = end
    return "".join([*parts, value[done:]])


def _skeleton(value: str) -> tuple[str, list[tuple[int, int]]]:
    """Return a text as it looks, in small Latin letters, and for each of its characters where it stands."""
    found, places = [], []
    for unit in UNIT.finditer(value):
        for char in _look(unit[0]):
            found.append(char)
            places.append(unit.span())
    return "".join(found), places


def _look(unit: str) -> str:
    if len(unit) > 1:
        unit = _decoded(unit)
    if unit.isascii():
        return unit.lower()
    unit = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", HIDDEN.sub("", unit)))
    unit = unit.translate(ACCENTS).translate(CONFUSABLE)
    return "".join("<" if c in OPENERS else c for c in unit).lower()


def _decoded(unit: str) -> str:
    if unit[0] == "&":
        while (plain := html.unescape(unit if unit.endswith(";") else f"{unit};")) != unit and "&" in plain:
            unit = plain
        return plain
    number = int(unit[-2:] if unit[0] == "%" else unit[2:].strip("{}"), 16)
    return chr(number) if number < 0x110000 else unit
