"""The names of conversations and messages in a space: the same for what was imported before, others for what was not.

Ids of a source may be unique within a chat only (1, 2, msg-0), and chats may have none. A message's id begins with its
conversation then. A conversation without an id of its own is recognised by its messages: a newer, longer export finds the
session of the older one, and another chat that begins alike gets another session.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.encode.messages import MAX_NAME, clean
from mnemos.transfer.source import Conversation, Item, Message, stable_id
from mnemos.transfer.times import dated

PAGE = 1_000
MOST = 5_000  # messages of a session that are compared
_CHANGES = re.compile(r"(?<=\d)[a-z]|(?<=[a-z])\d", re.IGNORECASE)
Said = tuple[str, str]  # role and text


@dataclass(frozen=True, slots=True)
class Named:
    """A message with its id in the space, and whether another text under this id is its edit."""

    item: Item
    message: Message
    edits: bool = True
    before: str = ""  # the id that it may have had before, in the same session


def unique(name: str) -> bool:
    """Tell whether an id looks as if it were unique everywhere, such as a UUID: long, and letters and digits mixed."""
    return len(name) >= 16 and len(_CHANGES.findall(name)) >= 3


class Names:
    """Names of one import into a space."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._said: dict[str, Counter[Said]] = {}  # by session: what is stored, and what this import adds
        self._used: set[str] = set()  # sessions that conversations of this file have

    def next_file(self) -> None:
        """Begin another file: it may hold a newer export of the same conversations."""
        self._used = set()

    def name(self, conversation: Conversation) -> Iterator[Named | Item]:
        """Yield the messages of a conversation, named and dated; what is no message as it is."""
        items = dated(conversation.items, conversation.at)
        said = [i for i in items if i.message is not None]
        session = self._session(conversation, said) if conversation.session and said else None
        ids = {clean(str(m["id"])): m.get("content") for i in said if (m := i.message) and m.get("id")}
        theirs = {} if session else self._store.get(list(ids))
        kept = sum(cube.text == ids[name] for name, cube in theirs.items())
        copies: Counter[tuple[object, ...]] = Counter()
        for item in items:
            if item.message is None:
                yield item
                continue
            message = {**item.message, "session": session or item.message.get("session")}
            raw = clean(str(message["id"])) if message.get("id") else ""
            before = ""
            if not raw:
                mark = [session or conversation.product, *(str(message.get(k) or "") for k in ("role", "speaker"))]
                mark += [] if session else [str(message.get("at") or "")]
                key = (*mark, str(message.get("content")))
                copies[key] += 1  # the same words said again in one conversation are another message
                message["id"] = stable_id(*key, copies[key])
            elif session and not unique(raw):
                message["id"], before = f"{session}/{raw}"[-MAX_NAME:], raw
            edits = bool(session) or unique(raw) or 2 * kept >= len(theirs)
            yield Named(item, message, edits, before)

    def _session(self, conversation: Conversation, said: list[Item]) -> str:
        """Return the session of a conversation: a stored one that it continues, or a free one."""
        ours = Counter((str(m.get("role") or ""), str(m.get("content"))) for i in said if (m := i.message))
        first = said[0].message or {}
        at = first.get("at")
        began = at.astimezone(UTC).isoformat() if isinstance(at, datetime) else ""
        start = stable_id(conversation.product, first.get("role") or "", first.get("content"), began)
        own = clean(conversation.id)[:MAX_NAME] if conversation.id else None
        if own and unique(own):
            self._add(own, ours)
            return own
        best, share, free = "", 0.0, ""
        for candidate in self._candidates(own, f"{conversation.product}-{start}" if not own else f"{own}~{start[:8]}"):
            theirs = self._stored(candidate)
            if not theirs and candidate not in self._used:
                free = candidate
                break
            common = (theirs & ours).total()
            alike = common / max((theirs | ours).total(), 1)
            if candidate not in self._used and 2 * common >= min(theirs.total(), ours.total()) and alike > share:
                best, share = candidate, alike
        session = best or free
        self._used.add(session)
        self._add(session, ours)
        return session

    def _candidates(self, own: str | None, other: str) -> Iterator[str]:
        """Yield the names that a conversation may have, without end."""
        if own:
            yield own
        yield other
        yield from (f"{other}~{n}" for n in count(2))

    def _add(self, session: str, said: Counter[Said]) -> None:
        if session in self._said:
            self._said[session] |= said

    def _stored(self, session: str) -> Counter[Said]:
        if session not in self._said:
            found: Counter[Said] = Counter()
            after = 0
            while found.total() < MOST:
                rows = self._store.select(Filter(session=session, state=None), after=after, limit=PAGE)
                if not rows:
                    break
                found.update((cube.role or "", cube.text) for _, cube in rows)
                after = rows[-1][0]
            self._said[session] = found
        return self._said[session]
