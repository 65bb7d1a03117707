"""Escape untrusted text for a terminal: characters that move the cursor, hide or reorder text are shown, not obeyed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

# C0 and C1 controls except tab and newline, DEL, line and paragraph separators, bidirectional embeddings, overrides
# and isolates, byte order mark, lone surrogates, and the invisible tag characters
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def escape(char: str) -> str:
    r"""Return the Python escape of one character, such as `\x1b` or `\u202e`."""
    return char.encode("ascii", "backslashreplace").decode() if ord(char) > 0x7F else f"\\x{ord(char):02x}"


def safe(text: str) -> str:
    """Return the text with every dangerous character replaced by its escape. O(n)."""
    return UNSAFE.sub(lambda match: escape(match[0]), text)


def one_line(text: str) -> str:
    """Return `safe` text with tabs and line breaks as single spaces, for a table cell or a message."""
    return safe(" ".join(re.split(r"\s*[\r\n\t]+\s*", text.strip())))


def styled(text: str, style: str = "") -> Text:
    """Return the text as rich `Text` (never parsed as markup), with escapes in reverse video."""
    from rich.text import Text

    result = Text(style=style)
    done = 0
    for match in UNSAFE.finditer(text):
        result.append(text[done : match.start()])
        result.append(escape(match[0]), "reverse")
        done = match.end()
    return result.append(text[done:])
