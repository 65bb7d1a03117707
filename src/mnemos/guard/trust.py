"""Trust: how far a cube is believed, by the role and the source it came with.

The least trusted of both counts:

| | TRUSTED | NORMAL | UNTRUSTED |
| --- | --- | --- | --- |
| role | user, or none | assistant, system and any other | tool, function, and what else names a program's answer |
| source | none | a plain label, an own note (`.md`, `.txt`, `.org`) | an address of any kind, a channel, a document |
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from enum import IntEnum
from fnmatch import fnmatchcase


class Trust(IntEnum):
    """How far a source is believed: anyone can write to it, it is known but not the user, it is the user."""

    UNTRUSTED = 0
    NORMAL = 1
    TRUSTED = 2


PEOPLE = ("", "user", "human")
PROGRAMS = re.compile(
    r"tool|function|observ|brows|search|web|retriev|plugin|document|ipython|result|response|environment"
)
NOTES = re.compile(r"\.(?:md|markdown|txt|org|rst|adoc)(?:#.*)?$")  # what people write for themselves
ADDRESS = re.compile(
    r"://|^[a-z][a-z0-9+.-]+:"  # a scheme; one letter is a drive
    r"|^(?:www\.|//|\\\\|[#@])"  # www.a.example, another machine, #channel, @handle
    r"|[^\s@]@[^\s@]"  # an e-mail address
    r"|^\+\d[\d ()./-]{5,}$|^\d{1,3}(?:\.\d{1,3}){3}"  # a telephone number, an IP address
    r"|^(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?[/?#]"  # a.example/page
)
NAMED = re.compile(r"\w\.[a-z][a-z0-9]{0,9}(?:#.*)?$")  # scan.pdf, mail.eml, a.example
ELSEWHERE = re.compile(
    r"(?<![^\W_])(?:tool|web|website|internet|online|search|browser|e-?mails?|g?mail|inbox|newsletter|rss|feed|forum"
    r"|slack|discord|telegram|whatsapp|signal|sms|teams|messenger|twitter|reddit|facebook|instagram|chat ?room|channel"
    r"|stranger|unknown)(?![^\W_])"
)
UNSEEN = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\s]+")


def trust_of(role: str | None, source: str | None, rules: Mapping[str, int] | None = None) -> Trust:
    """Return the trust in a cube's role and source: the lesser of both, see the table above.

    `rules` map patterns (`fnmatch`) of sources, or of `role:NAME`, to tiers; the first that matches decides alone. Costs
    a few microseconds. Raises ValueError for a tier that is not 0, 1 or 2.
    """
    for pattern, tier in (rules or {}).items():
        if fnmatchcase(source or "", pattern) or fnmatchcase(f"role:{role or ''}", pattern):
            return Trust(tier)
    return min(trust_of_role(role), trust_of_source(source))


def trust_of_role(role: str | None) -> Trust:
    """Return the trust in a role alone. An unknown one is somebody's, and not the user's."""
    name = _plain(role)
    if name in PEOPLE:
        return Trust.TRUSTED
    return Trust.UNTRUSTED if PROGRAMS.search(name) else Trust.NORMAL


def trust_of_source(source: str | None) -> Trust:
    """Return the trust in a source alone: an address can be written to by anyone, a document is often another's."""
    name = re.sub(r"^file:/*", "/", _plain(source))
    if not name:
        return Trust.TRUSTED
    if ADDRESS.search(name):
        return Trust.UNTRUSTED
    if NOTES.search(name):
        return Trust.NORMAL
    path = "/" in name or "\\" in name
    return Trust.UNTRUSTED if NAMED.search(name) or (not path and ELSEWHERE.search(name)) else Trust.NORMAL


def _plain(name: str | None) -> str:
    return UNSEEN.sub(" ", unicodedata.normalize("NFKC", name or "")).casefold().strip(" <>()'\"")
