"""Marks of citations, which products write into texts for their own pages to show."""

from __future__ import annotations

import json
import re

# ChatGPT: begin U+E200, a name, parts after U+E202, end U+E201; older ones: 【4†source】
_MARK = re.compile("([ \t]{0,8})\ue200([^\ue200\ue201]*)\ue201")
_STRAY = re.compile("[\ue200-\ue2ff]")
_OLD = re.compile("[ \t]{0,8}\u3010[\\d:]{1,12}\u2020[^\u3011\n]{0,300}\u3011")
_GEMINI = re.compile(r"[ \t]{0,8}\[cite_start\]|[ \t]{0,8}\[cite: ?[\d, ]{1,60}\]")


def without_marks(text: str) -> str:
    """Return a text of ChatGPT without marks; what a mark names for the reader is kept."""
    if "\ue200" not in text and "\u3010" not in text:
        return _STRAY.sub("", text)
    return _STRAY.sub("", _OLD.sub("", _MARK.sub(_shown, text)))


def without_citations(text: str) -> str:
    """Return a text of Gemini without the numbers of its sources."""
    return _GEMINI.sub("", text)


def _shown(match: re.Match[str]) -> str:
    name, *parts = match[2].split("\ue202")
    shown = ""
    if name == "entity" and parts:
        try:
            shown = str(json.loads(parts[0])[1])
        except (ValueError, IndexError, KeyError, TypeError, RecursionError):
            shown = parts[0] if not parts[0].startswith("[") else ""
    elif name in ("url", "link") and parts:
        shown = parts[0]
    return match[1] + shown if shown else ""
