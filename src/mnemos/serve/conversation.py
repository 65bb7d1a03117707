"""Chat requests and responses as the proxy reads them: headers, the question, where memory is added, what to store."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from mnemos.errors import InvalidInput, StoreError
from mnemos.serve.chat_format import text_of
from mnemos.serve.keys import FOLDER
from mnemos.space import Space
from mnemos.text.encode.messages import MAX_NAME
from mnemos.text.recall.context import cited, estimate_tokens, without

Field = Literal["messages", "input"]  # chat completions, responses
FIRST = ("system", "developer")
MAX_QUESTION = 4_000  # characters: the end of a longer message is the question
MODES, MAX_TOKENS = ("off", "read", "read-write"), 1_000_000
MAX_HITS = 40  # that may be added to a prompt
MAX_REPEATED = 200  # further hits to retrieve, since the prompt may already contain some


@dataclass(frozen=True)
class Options:
    """Options of one chat, from its headers."""

    space: str
    session: str | None
    mode: str  # one of MODES
    tokens: int  # budget of what is recalled

    @staticmethod
    def of(headers: Mapping[str, str], space: str, tokens: int) -> Options:
        """Read the headers. Raises InvalidInput for a mistyped one, which must not store a chat that was not to be."""
        mode = headers.get("x-mnemos-mode", "").strip().lower() or "read-write"
        if mode not in MODES:
            raise InvalidInput("X-Mnemos-Mode must be off, read or read-write.")
        given = headers.get("x-mnemos-tokens", "").strip() or str(tokens)
        if not (given.isascii() and given.isdigit() and len(given) < 8 and int(given) <= MAX_TOKENS):
            raise InvalidInput(f"X-Mnemos-Tokens must be a whole number from 0 to {MAX_TOKENS:,}.")
        session = _name(headers, "X-Mnemos-Session")
        return Options(_name(headers, "X-Mnemos-Space") or space, session, mode, int(given))


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
    """A message with text. Its id is derived from the session and everything said so far, so that it is stored once."""

    id: str
    role: str
    text: str


@dataclass(frozen=True)
class Exchange:
    """A parsed chat request."""

    data: Mapping[str, Any]  # its body
    field: Field  # where the body has its messages
    session: str | None
    turns: tuple[Turn, ...]
    last_user: int | None  # index of the last user message, if it has text
    answer_id: Callable[[str], str]  # gives the id of an answer, from its text

    @staticmethod
    def read(body: bytes, field: Field, secret: bytes, session: str | None) -> Exchange:
        """Parse a request. Raises ValueError or RecursionError for an invalid one.

        The session is `session`, else the body's `conversation`, else derived from the first user message.
        """
        name = partial(_hash, secret)
        data = json.loads(body)
        if not isinstance(data, dict):
            raise ValueError("the body is not an object")
        items = _items(data.get(field))
        before = data.get("previous_response_id")
        conversation = data.get("conversation")
        conversation = conversation.get("id") if isinstance(conversation, dict) else conversation
        session = session or (conversation if isinstance(conversation, str) and conversation else None)
        if session is None and not before:
            start = next((text for item in items if item["role"] == "user" and (text := text_of(item))), None)
            session = None if start is None else "chat-" + name(start)
        turns: list[Turn] = []
        last_user: int | None = None
        chain = name(session, before)
        for item in items:
            role = item["role"]
            if role == "user":
                last_user = None  # a later one without text, such as an image, is not a question
            if role not in ("user", "assistant") or not (text := text_of(item)):
                continue
            chain = name(chain, role, text)
            if role == "user":
                last_user = len(turns)
            turns.append(Turn(chain, role, text))
        return Exchange(data, field, session, tuple(turns), last_user, partial(name, chain, "assistant"))

    @property
    def question(self) -> str:
        """The end of the last user message, or empty: what to ask the memory."""
        return "" if self.last_user is None else self.turns[self.last_user].text[-MAX_QUESTION:]

    def with_memory(self, block: str) -> bytes:
        """Return the body with a further system message after the leading ones of the caller."""
        given = self.data[self.field]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
        index = next((i for i, item in enumerate(items) if _role(item) not in FIRST), len(items))
        role = items[index - 1]["role"] if index else FIRST[0]  # models accept only one of the two roles in a request
        items.insert(index, {"role": role, "content": block})
        return json.dumps({**self.data, self.field: items}, separators=(",", ":")).encode("ascii")

    def to_store(self, answer: str, asked: datetime, answered: datetime) -> list[dict[str, Any]]:
        """Return the last user message and the answer as messages for `Space.add_many`."""
        turns = [] if self.last_user is None else [self.turns[self.last_user]]
        if answer:
            turns.append(Turn(self.answer_id(answer), "assistant", answer))
        at, session = {"user": asked, "assistant": answered}, self.session
        return [{"id": t.id, "role": t.role, "content": t.text, "session": session, "at": at[t.role]} for t in turns]


def recall(space: Space, exchange: Exchange, tokens: int) -> str:
    """Return the block for the prompt, or "". Memories that the prompt itself contains are left out and cost no budget."""
    in_prompt = {turn.id for turn in exchange.turns}

    block = space.context(
        exchange.question, tokens=tokens, k=MAX_HITS + min(len(in_prompt), MAX_REPEATED),
        count=lambda text: 0 if cited(text) in in_prompt else estimate_tokens(text),
    )  # fmt: skip
    return without(block, in_prompt)


def store(space: Space, messages: Sequence[Mapping[str, Any]]) -> None:
    """Store the messages that are new; never those that were erased on purpose."""
    erased = space.store.was_erased([message["id"] for message in messages])
    space.add_many(message for message in messages if message["id"] not in erased)


def secret_of(root: Path) -> bytes:
    """Return the secret from which a root's message ids are derived; it is created on first use. Raises StoreError.

    Without a secret, anybody could test guesses of an erased text against the ids in an archive.
    """
    path = root / FOLDER / "chats.key"
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            temporary.touch(mode=0o600)
            temporary.write_bytes(secrets.token_bytes(32))
            with suppress(FileExistsError):  # another process was first
                os.link(temporary, path)
            temporary.unlink()
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot use {path} ({error.strerror}). Check that its folder is writable.") from error


def _hash(secret: bytes, *parts: str | None) -> str:
    digest = hashlib.blake2b(json.dumps(parts).encode("ascii"), digest_size=10, key=secret, person=b"mnemos exchange")
    return base64.b32encode(digest.digest()).decode("ascii").lower()


def _role(item: Any) -> Any:
    return item.get("role") if isinstance(item, dict) else None


def _items(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [item for item in given if isinstance(_role(item), str)] if isinstance(given, list) else []
