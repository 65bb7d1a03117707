"""Who of the senders in chats of people, and in mail, is the owner of the space: what he sent are the user's own words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mnemos.cube import MemCube
from mnemos.errors import InvalidInput
from mnemos.transfer.roles import DOCUMENT, USER
from mnemos.transfer.source import Message

SHOWN = 8  # senders that an error names
OWN = "own-messages"  # the source of one's own: to "whatsapp" or "mail" anybody can write; `via` in the metadata has it


class Senders:
    """The senders of an import, and the names of the owner among them.

    Names are compared as a whole, without case. The name of the space is one of them, unless names are given.
    """

    def __init__(self, space: str, me: Sequence[str]) -> None:
        self._given = {_plain(name) for name in me} - {""}
        self._me = self._given or {_plain(space)}
        self._seen: Counter[str] = Counter()
        self._met: set[str] = set()

    def told(self, message: Message) -> Message:
        """Return a message, the user's where its sender is the owner."""
        who, address = message.get("speaker"), _address(message)
        if not isinstance(who, str) or not who:
            return message  # what is no name is refused where the message is stored
        if message.get("role") not in (None, DOCUMENT) or message.get("source") is None:
            return message  # a role of its own: an assistant's, a note's, the user's
        if message.get("role") == DOCUMENT and not address:
            return message  # what was forwarded
        names = {_plain(who), _plain(address)} - {""}
        self._seen[who] += 1
        if names.isdisjoint(self._me):
            return message
        self._met |= names & self._me
        via = "mail" if address else message["source"]
        return {**message, "role": USER, "source": OWN, "metadata": {**(message.get("metadata") or {}), "via": via}}

    def check(self) -> None:
        """Raise InvalidInput where a name that was given is no sender's: nothing is imported as somebody else's."""
        if lost := sorted(self._given - self._met):
            known = ", ".join(repr(name[:80]) for name, _ in self._seen.most_common(SHOWN)) or "none"
            raise InvalidInput(
                f"nobody who wrote here is called {', '.join(map(repr, lost))}. The senders: {known}. Nothing was imported."
            )


def role_as_read(cube: MemCube) -> str:
    """Return the role with which the message of a cube was read: that of one's own was changed afterwards."""
    if cube.source != OWN:
        return cube.role or ""
    return DOCUMENT if cube.metadata.get("via") == "mail" else ""


def _address(message: Message) -> str:
    """Return the address of a mail's sender; "" for another message."""
    found: Any = message.get("metadata")
    source = str(message.get("source") or "")
    return str(found.get("from", "")) if source.startswith("mailto:") and isinstance(found, dict) else ""


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
