"""Merging texts into a state of bounded size by rules: what has a name keeps its last value."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mnemos.reason.condense import sentences
from mnemos.text.compress.base import Count

_KEYED = re.compile(r"\s*(?:[-*]\s*)?(\w[^:=\n]{0,60}?)\s*(?::|=|\bis now\b|\bis\b|\bare\b)\s+\S")


def merge_lines(state: str, texts: Sequence[str], tokens: int, count: Count) -> str:
    """Return the state with what texts add to it, a statement a line, the newest last, in at most `tokens`.

    A line that gives a name a value ("code: 4711", "The code is 4711.") replaces the earlier one of that name. Where there
    is no room, statements without a name go first, then the oldest. Nothing is said that is not in the texts.
    """
    lines: dict[str, str] = {}
    for line in (*state.splitlines(), *(s for text in texts for _, s in sentences(text))):
        line = line.strip()
        if line:
            key = key_of(line)
            lines.pop(key, None)
            lines[key] = line
    chosen: set[str] = set()
    left = tokens
    newest = list(reversed(lines.items()))
    for key, line in sorted(newest, key=lambda item: item[0] == item[1]):  # named ones first, each the newest first
        if (cost := count(line + "\n")) <= left:
            chosen.add(key)
            left -= cost
    return "\n".join(line for key, line in lines.items() if key in chosen)


def key_of(line: str) -> str:
    """Return the name that a statement gives a value to, in small letters; the line itself where it names nothing."""
    match = _KEYED.match(line)
    return " ".join(match[1].casefold().split()) if match else line
