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
from mnemos.transfer.people import role_as_read
from mnemos.transfer.source import Conversation, Item, Message, stable_id
from mnemos.transfer.times import dated

PAGE = 1_000
MOST = 5_000  # messages of a session that are compared
SHOWN = 300  # characters of an edited message that are compared
GAPS = 3  # names in a row that are free, after which no more are looked for: one may have been erased
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
        self._first: dict[str, int] = {}  # the number of the first variant of a name that may be free

    def next_file(self) -> None:
        """Begin another file: it may hold a newer export of the same conversations."""
        self._used, self._first = set(), {}

    def name(self, conversation: Conversation) -> Iterator[Named | Item]:
        """Yield the messages of a conversation, named and dated; what is no message as it is."""
        said = [i.message for i in conversation.items if i.message is not None]
        session = self._session(conversation, said) if conversation.session and said else None
        edits = bool(session) or self._continues(said)
        names = iter(_names(session or "", conversation.product, said))
        for item in dated(conversation.items, conversation.at):
            if item.message is None:
                yield item
                continue
            raw, name = _raw(item.message), next(names)
            message = {**item.message, "id": name, "session": session or item.message.get("session")}
            yield Named(item, message, edits or unique(raw), raw if raw != name else "")

    def _session(self, conversation: Conversation, said: list[Message]) -> str:
        """Return the session of a conversation: a stored one that it continues, or a free one."""
        own = clean(conversation.id)[:MAX_NAME] if conversation.id else None
        ours = [(role, self._seen(text)) for role, text in map(_words, said)]
        if own and unique(own):
            session = own
        else:
            at = said[0].get("at")  # not the conversation's own time, which may be that of its last change
            began = at.astimezone(UTC).isoformat() if isinstance(at, datetime) else ""
            asked = next((said for said in ours if said[0] == "user"), ours[0])  # many begin with one system prompt
            start = stable_id(conversation.product, *ours[0], *(asked if asked != ours[0] else ()), began)
            other = f"{own}~{start[:8]}" if own else f"{conversation.product}-{start}"
            session = self._best(own, other, conversation.product, said, ours)
        self._used.add(session)
        if session in self._held:
            held = self._held[session]
            held.said |= Counter(ours)
            held.texts |= {f"{session}/{_raw(m)}": text for m, (_, text) in zip(said, ours, strict=True) if _raw(m)}
        return session

    def _best(self, own: str | None, other: str, product: str, said: list[Message], ours: list[Said]) -> str:
        """Return the stored session that has the most of a conversation, or the first that is free.

        It continues one when one of both has all messages of the other, those that were erased included. Under the
        source's own id it is enough to begin alike, or to have more than half of the shorter one's messages, where an
        edited message counts as the same.
        """
        best, share, counts = "", 0.0, Counter(ours)
        free: list[str] = []
        for candidate in chain([own] if own else [], self._numbered(other)):
            if candidate in self._used:
                continue
            held = self._read(candidate)
            common, theirs = (held.said & counts).total(), held.said.total()
            if common < counts.total():
                names = _names(candidate, product, said)
                common = min(counts.total(), common + len(self._store.was_erased(names)))
            whole = common == counts.total() or (0 < theirs == (held.said & counts).total())
            if candidate == own and not whole:
                common += sum(
                    self._is_edit(held, f"{own}/{_raw(m)}", text) for m, (_, text) in zip(said, ours, strict=True)
                )
                whole = 2 * common > min(theirs, counts.total()) > 0 or (common > 0 and ours[0] in held.said)
            alike = common / max(counts.total(), theirs)
            if whole and alike > share:
                best, share = candidate, alike
            if share == 1:
                break
            if not theirs and not common:
                free.append(candidate)
                if len(free) == GAPS:
                    break
        return best or free[0]

    def _numbered(self, name: str) -> Iterator[str]:
        """Yield a name and its numbered variants, from the first that this file has not used."""
        for n in count(self._first.get(name, 1)):
            candidate = name if n == 1 else f"{name}~{n}"
            if candidate in self._used and self._first.get(name, 1) == n:
                self._first[name] = n + 1
            yield candidate

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
                held.said.update((role_as_read(cube), cube.text) for _, cube in rows)
                held.texts |= {cube.id: cube.text for _, cube in rows}
                after = rows[-1][0]
        return self._held[session]


def _names(session: str, product: str, said: list[Message]) -> list[str]:
    """Return the ids of messages in a session, or of separate texts: their own where these are unique."""
    copies: Counter[tuple[str, ...]] = Counter()
    names = []
    for message in said:
        raw = _raw(message)
        if raw:
            names.append(f"{session}/{raw}"[-MAX_NAME:] if session and not unique(raw) else raw)
            continue
        key: tuple[str, ...] = (session or product, *_words(message), clean(str(message.get("speaker") or "")))
        key += () if session else (str(message.get("at") or ""),)
        copies[key] += 1  # the same words said again in one conversation are another message
        names.append(stable_id(*key, copies[key]))
    return names


def _raw(message: Message) -> str:
    return clean(str(message["id"])) if message.get("id") else ""


def _words(message: Message) -> Said:
    return clean(str(message.get("role") or "")), clean(str(message.get("content")))
