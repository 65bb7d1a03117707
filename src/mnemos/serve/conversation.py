"""Chat requests and responses as the proxy reads them: headers, the question, where memory is added, what to store."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from mnemos.errors import InvalidInput
from mnemos.serve.chat_format import text_of
from mnemos.space import Space
from mnemos.text.context import Packing, context
from mnemos.text.encode.messages import MAX_NAME
from mnemos.text.recall.context import without
from mnemos.text.recall.filters import Filters
from mnemos.zones import check_zone

Field = Literal["messages", "input"]  # chat completions, responses
FIRST = ("system", "developer")
USERS = ("user", "safety_identifier")  # fields that tell the users of one client apart
SESSIONS = ("conversation_id", "session_id", "thread_id", "chat_id")  # keys in `metadata` that name a conversation
MAX_QUESTION = 4_000  # characters: the end of a longer message is the question
HEADERS = (
    "x-mnemos-space", "x-mnemos-session", "x-mnemos-mode", "x-mnemos-tokens", "x-mnemos-timezone", "x-mnemos-answers",
)  # fmt: skip
MODES, MAX_TOKENS = ("off", "read", "read-write"), 1_000_000


@dataclass(frozen=True)
class Options:
    """Options of one chat, from its headers."""

    space: str
    session: str | None
    mode: str  # one of MODES
    tokens: int  # budget of what is recalled
    retried: bool  # whether the client says that it sends the request again
    timezone: str | None  # of the user: where "today" begins and ends; None: that of the space
    answers: str | None = None  # the category of a cached answer, or "off"

    @property
    def filters(self) -> Filters:
        """What narrows or places the recall."""
        return {} if self.timezone is None else {"timezone": self.timezone}

    @staticmethod
    def of(headers: Mapping[str, str], space: str, tokens: int) -> Options:
        """Read the headers. Raises InvalidInput for a mistyped one, which must not store a chat that was not to be."""
        for name in headers:
            if name.lower().startswith("x-mnemos-") and name.lower() not in HEADERS:
                raise InvalidInput(f"there is no header {name!r:.60}: use {', '.join(HEADERS)}.")
        mode = headers.get("x-mnemos-mode", "").strip().lower() or "read-write"
        if mode not in MODES:
            raise InvalidInput("X-Mnemos-Mode must be off, read or read-write.")
        given = headers.get("x-mnemos-tokens", "").strip() or str(tokens)
        if not (given.isascii() and given.isdigit() and len(given) < 8 and int(given) <= MAX_TOKENS):
            raise InvalidInput(f"X-Mnemos-Tokens must be a whole number from 0 to {MAX_TOKENS:,}.")
        session = _name(headers, "X-Mnemos-Session") or _name(headers, "X-OpenWebUI-Chat-Id")
        retried = headers.get("x-stainless-retry-count", "0").strip() not in ("", "0")
        zone = _name(headers, "X-Mnemos-Timezone")
        if zone is not None:
            zone = check_zone(zone, "X-Mnemos-Timezone")
        answers = _name(headers, "X-Mnemos-Answers")
        return Options(_name(headers, "X-Mnemos-Space") or space, session, mode, int(given), retried, zone, answers)


def _name(headers: Mapping[str, str], header: str) -> str | None:
    """Return a name from a header, where characters other than ASCII may be percent-encoded, as in a path."""
    try:
        name = unquote_to_bytes(headers.get(header.lower(), "").strip().encode("latin-1")).decode("utf-8")
    except UnicodeError as error:
        raise InvalidInput(f"{header} must be UTF-8, percent-encoded.") from error
    if len(name) > MAX_NAME:
        raise InvalidInput(f"{header} is longer than {MAX_NAME:,} characters.")
    return name or None


@dataclass(frozen=True)
class Turn:
    """A message with text, and a keyed hash of it and everything said before it."""

    chain: str
    role: str
    text: str
    item: int = -1  # its index in the request, -1 for an answer that is no part of one


@dataclass(frozen=True)
class Exchange:
    """A parsed chat request: what was said, and where it stands in its conversation."""

    space: str
    session: str | None  # that the request names
    start: str  # a hash of what conversations are kept apart by
    turns: tuple[Turn, ...]
    last_user: int | None  # index of the last user message, if it has text
    continues_turn: bool  # whether more than instructions follow the last user message: the results of tools
    before: str | None  # a hash of the response that the request continues
    chain: str  # of everything said
    hash: Callable[..., str]  # a keyed hash of texts

    @staticmethod
    def read(data: Any, field: Field, secret: bytes, space: str, session: str | None) -> Exchange:
        """Read the JSON of a request. Raises ValueError if it is none.

        The session is `session`, else the body's `conversation`, else the id of a conversation in its `metadata`. Users
        that the body tells apart (`user`, `safety_identifier`) have separate conversations.
        """
        if not isinstance(data, dict):
            raise ValueError("the body is not an object")
        name = partial(_hash, secret)
        session = session or _session(data)
        before = data.get("previous_response_id")
        before = name("response", space, before) if isinstance(before, str) and before else None
        user = next((value for key in USERS if isinstance(value := data.get(key), str) and value), None)
        turns: list[Turn] = []
        last_user: int | None = None
        continues = False
        start = chain = name(space, user, session, before)
        for index, item in enumerate(_items(data.get(field))):
            role = _role(item)
            if role == "user":
                last_user, continues = None, False  # a later one without text, such as an image, is not a question
            elif role not in FIRST:
                continues = True
            if role not in ("user", "assistant") or not (text := text_of(item)):
                continue
            chain = name(chain, role, text)
            if role == "user":
                last_user = len(turns)
            turns.append(Turn(chain, role, text, index))
        return Exchange(space, session, start, tuple(turns), last_user, continues, before, chain, name)

    @property
    def last_text(self) -> str:
        """The last user message, or empty."""
        return "" if self.last_user is None else self.turns[self.last_user].text

    @property
    def question(self) -> str:
        """The end of the last user message, or empty: what to ask the memory."""
        return self.last_text[-MAX_QUESTION:]

    @property
    def prior(self) -> tuple[Turn, ...]:
        """What was said before the last user message."""
        return self.turns if self.last_user is None else self.turns[: self.last_user]

    @property
    def opens(self) -> bool:
        """Whether nothing was said before: the message opens a conversation, or its history is not sent."""
        return not self.prior and self.before is None

    @property
    def turn_key(self) -> str | None:
        """The place after the last user message."""
        return None if self.last_user is None else self.turns[self.last_user].chain

    @property
    def earlier_keys(self) -> list[str]:
        """The place before the last user message, surest first. The last exchange alone is one, for a history that was cut."""
        keys = [self.before] if self.before else []
        if self.prior:
            keys.append(self.prior[-1].chain)
            if self.before is None and [turn.role for turn in self.prior[-2:]] == ["user", "assistant"]:
                keys.append(self.hash("pair", self.start, *(turn.text for turn in self.prior[-2:])))
        return keys

    @property
    def unanswered_key(self) -> str | None:
        """The place after the user message before the last one: its answer may have been cut off."""
        return next((turn.chain for turn in reversed(self.prior) if turn.role == "user"), None)

    @property
    def keys(self) -> list[str]:
        """All places to look up."""
        return [key for key in (self.turn_key, *self.earlier_keys, self.unanswered_key) if key is not None]

    def later_keys(self, answer: str, response_id: str | None) -> list[str]:
        """Return the places after the answer."""
        keys = [self.hash("response", self.space, response_id)] if response_id else []
        if answer:
            keys.append(self.hash(self.chain, "assistant", answer))
            if self.last_user is not None and not self.before:
                keys.append(self.hash("pair", self.start, self.turns[self.last_user].text, answer))
        return keys

    def ids(self, root: str) -> list[str]:
        """Return the ids of the turns in the conversation with this root."""
        return [self.hash(root, turn.chain) for turn in self.turns]

    def to_store(
        self, root: str, answer: str, asked: datetime, answered: datetime, timezone: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Return the last user message and the answer as messages for `Space.add_many`, told in a time zone."""
        turns = [] if self.last_user is None else [self.turns[self.last_user]]
        if answer:
            turns.append(Turn(self.hash(self.chain, "assistant", answer), "assistant", answer))
        at, session = {"user": asked, "assistant": answered}, self.session or f"chat-{root}"
        return [
            {
                "id": self.hash(root, t.chain),
                "role": t.role,
                "content": t.text,
                "session": session,
                "at": at[t.role],
                "timezone": timezone,
                "metadata": metadata,
            }
            for t in turns
        ]


def with_memory(data: Mapping[str, Any], field: Field, block: str) -> bytes:
    """Return the body of a request with a further system message after the leading ones of the caller."""
    given = data[field]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    index = next((i for i, item in enumerate(items) if _role(item) not in FIRST), len(items))
    role = items[index - 1]["role"] if index else FIRST[0]  # models accept only one of the two roles in a request
    items.insert(index, {"role": role, "content": block})
    return json.dumps({**data, field: items}, separators=(",", ":")).encode("ascii")


def recall(space: Space, exchange: Exchange, root: str, tokens: int, filters: Filters) -> str:
    """Return the block for the prompt, or "". Memories that the prompt itself contains are left out and cost no budget."""
    in_prompt = set(exchange.ids(root))
    return without(context(space.text, exchange.question, Packing.beside(in_prompt, tokens, filters)), in_prompt)


def store(space: Space, messages: Sequence[Mapping[str, Any]]) -> None:
    """Store the messages that are new; never those that were erased on purpose."""
    erased = space.store.was_erased([message["id"] for message in messages])
    space.add_many(message for message in messages if message["id"] not in erased)


def _hash(secret: bytes, *parts: str | None) -> str:
    digest = hashlib.blake2b(json.dumps(parts).encode("ascii"), digest_size=15, key=secret, person=b"mnemos exchange")
    return base64.b32encode(digest.digest()).decode("ascii").lower()


def _session(data: Mapping[str, Any]) -> str | None:
    """Return the conversation that a body names."""
    given = data.get("conversation")
    metadata = data.get("metadata")
    named = [given.get("id") if isinstance(given, dict) else given]
    named += [metadata.get(key) for key in SESSIONS] if isinstance(metadata, dict) else []
    return next((name for name in named if isinstance(name, str) and 0 < len(name) <= MAX_NAME), None)


def _role(item: Any) -> Any:
    return item.get("role") if isinstance(item, dict) else None


def _items(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
