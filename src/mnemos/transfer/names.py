"""The names of conversations and messages in a space: the same for what was imported before, others for what was not.

Ids of a source may be unique within a chat only (1, 2, msg-0), and chats may have none. A message's id begins with its
conversation then. A conversation without an id of its own is recognised by its messages: a newer, longer export finds the
session of the older one, and another chat that begins alike gets another session.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import SequenceMatcher
from itertools import chain, count

from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.encode.messages import MAX_NAME, clean
from mnemos.transfer.source import Conversation, Item, Message, stable_id
from mnemos.transfer.times import dated

PAGE = 1_000
MOST = 5_000  # messages of a session that are compared
SHOWN = 300  # characters of an edited message that are compared
ALIKE = 0.6  # of which this much is the same
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


@dataclass(slots=True)
class _Held:
    """What a session holds: stored before, or by an earlier file of this import."""

    said: Counter[Said] = field(default_factory=Counter)
    texts: dict[str, str] = field(default_factory=dict)  # by id


class Names:
    """Names of one import into a space. `seen` returns a text as the space stores it."""

    def __init__(self, store: Store, seen: Callable[[str], str]) -> None:
        self._store, self._seen = store, seen
        self._held: dict[str, _Held] = {}  # by session
        self._used: set[str] = set()  # sessions that conversations of this file have

    def next_file(self) -> None:
        """Begin another file: it may hold a newer export of the same conversations."""
        self._used = set()

    def name(self, conversation: Conversation) -> Iterator[Named | Item]:
        """Yield the messages of a conversation, named and dated; what is no message as it is."""
        said = [i.message for i in conversation.items if i.message is not None]
        session = self._session(conversation, said) if conversation.session and said else None
        edits = bool(session) or self._continues(said)
        copies: Counter[tuple[str, ...]] = Counter()
        for item in dated(conversation.items, conversation.at):
            if item.message is None:
                yield item
                continue
            message = {**item.message, "session": session or item.message.get("session")}
            raw, before = _raw(message), ""
            if not raw:
                key = (session or conversation.product, *_words(message), str(message.get("speaker") or ""))
                copies[key] += 1  # the same words said again in one conversation are another message
                message["id"] = stable_id(*key, copies[key])
            elif session and not unique(raw):
                message["id"], before = f"{session}/{raw}"[-MAX_NAME:], raw
            yield Named(item, message, edits or unique(raw), before)

    def _session(self, conversation: Conversation, said: list[Message]) -> str:
        """Return the session of a conversation: a stored one that it continues, or a free one."""
        own = clean(conversation.id)[:MAX_NAME] if conversation.id else None
        ours = [(role, self._seen(text)) for role, text in map(_words, said)]
        if own and unique(own):
            session = own
        else:
            at = said[0].get("at")  # not the conversation's own time, which may be that of its last change
            began = at.astimezone(UTC).isoformat() if isinstance(at, datetime) else ""
            start = stable_id(conversation.product, *ours[0], began)
            session = self._best(own, f"{own}~{start[:8]}" if own else f"{conversation.product}-{start}", said, ours)
        self._used.add(session)
        if session in self._held:
            held = self._held[session]
            held.said |= Counter(ours)
            held.texts |= {f"{session}/{_raw(m)}": text for m, (_, text) in zip(said, ours, strict=True) if _raw(m)}
        return session

    def _best(self, own: str | None, other: str, said: list[Message], ours: list[Said]) -> str:
        """Return the stored session that has the most of a conversation, or the first that is free.

        It continues one whose first message it has, or more than half of the shorter one's. Under the source's own id, an
        edited message counts as the same.
        """
        best, share, counts = "", 0.0, Counter(ours)
        for candidate in chain([own] if own else [], [other], (f"{other}~{n}" for n in count(2))):
            held = self._read(candidate)
            if candidate in self._used:
                continue
            if not held.said:
                return best or candidate
            common = (held.said & counts).total()
            if candidate == own:
                common += sum(
                    self._is_edit(held, f"{own}/{_raw(m)}", text) for m, (_, text) in zip(said, ours, strict=True)
                )
            alike = common / max((held.said | counts).total(), 1)
            enough = 2 * common > min(held.said.total(), counts.total()) or (common and ours[0] in held.said)
            if enough and alike > share:
                best, share = candidate, alike
        return best

    def _is_edit(self, held: _Held, name: str, text: str) -> bool:
        old = held.texts.get(name)
        return (
            old is not None
            and old != text
            and SequenceMatcher(None, old[:SHOWN], text[:SHOWN], autojunk=False).ratio() >= ALIKE
        )

    def _continues(self, said: list[Message]) -> bool:
        """Tell whether a list of separate texts is one that was imported before: then a new text under an id is an edit."""
        texts = {_raw(m): self._seen(_words(m)[1]) for m in said if _raw(m)}
        known = self._store.get(list(texts))
        return 2 * sum(cube.text == texts[name] for name, cube in known.items()) >= len(known)

    def _read(self, session: str) -> _Held:
        if session not in self._held:
            held = self._held[session] = _Held()
            after = 0
            while len(held.texts) < MOST:
                rows = self._store.select(Filter(session=session, state=None), after=after, limit=PAGE)
                if not rows:
                    break
                held.said.update((cube.role or "", cube.text) for _, cube in rows)
                held.texts |= {cube.id: cube.text for _, cube in rows}
                after = rows[-1][0]
        return self._held[session]


def _raw(message: Message) -> str:
    return clean(str(message["id"])) if message.get("id") else ""


def _words(message: Message) -> Said:
    return clean(str(message.get("role") or "")), clean(str(message.get("content")))
