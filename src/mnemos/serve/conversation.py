"""What a request to the proxy and its answer say: headers, the question, the place for the memory, what to remember."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from mnemos.errors import InvalidInput, StoreError
from mnemos.serve.keys import FOLDER
from mnemos.space import Space
from mnemos.text.encode.messages import MAX_NAME, clean
from mnemos.text.recall.context import estimate_tokens

Field = Literal["messages", "input"]  # chat completions, responses
FIRST = ("system", "developer")
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
CALLS = frozenset({"function_call", "custom_tool_call"})  # of responses: the client answers them, so it is no end yet
QUESTION = 4_000  # characters that are asked for: of a longer message its end
MODES, MOST_TOKENS = ("off", "read", "read-write"), 1_000_000
FOUND = 40  # hits that may come into a prompt
SEEN = 200  # hits more that are looked at, since the prompt may have them already
RECORD = re.compile(r"\[([^\]\s]+)\] ")  # how a line of `Space.context` begins
MNEMOS_KEY = re.compile(rb"\bmnk_[a-z2-7]{8}_")
HOP = {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
       b"transfer-encoding", b"upgrade", b"content-length"}  # fmt: skip
NOT_UP = HOP | {b"host", b"accept-encoding", b"cookie", b"expect", b"forwarded", b"origin", b"referer"}
NOT_DOWN = HOP | {b"content-encoding", b"date", b"server", b"set-cookie", b"alt-svc", b"strict-transport-security"}
Headers = Sequence[tuple[bytes, bytes]]
LINES = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Choice:
    """What the headers of a request choose."""

    space: str
    session: str | None
    mode: str
    tokens: int

    @staticmethod
    def of(headers: Mapping[str, str], space: str, tokens: int) -> Choice:
        """Read the headers. Raises InvalidInput: what is mistyped must not store what was not to be stored."""
        mode = headers.get("x-mnemos-mode", "").strip().lower() or "read-write"
        if mode not in MODES:
            raise InvalidInput("X-Mnemos-Mode is none of off, read and read-write.")
        given = headers.get("x-mnemos-tokens", "").strip() or str(tokens)
        if not (given.isascii() and given.isdigit() and len(given) < 8 and int(given) <= MOST_TOKENS):
            raise InvalidInput(f"X-Mnemos-Tokens is not a whole number of 0 to {MOST_TOKENS:,}.")
        session = _name(headers, "X-Mnemos-Session")
        return Choice(_name(headers, "X-Mnemos-Space") or space, session, mode, int(given))


def _name(headers: Mapping[str, str], header: str) -> str | None:
    """Return a name from a header, in which all that is not ASCII may be percent-encoded, as in a path."""
    try:
        name = unquote_to_bytes(headers.get(header.lower(), "").strip().encode("latin-1")).decode("utf-8")
    except UnicodeError as error:
        raise InvalidInput(f"{header} is not UTF-8.") from error
    if len(name) > MAX_NAME:
        raise InvalidInput(f"{header} has more than {MAX_NAME:,} characters.")
    return name or None


@dataclass(frozen=True)
class Said:
    """A message with a text. Its id follows from the session and all that was said up to it, so it is stored once."""

    id: str
    role: str
    text: str


@dataclass(frozen=True)
class Exchange:
    """A request, read. `question` is the text of the last user message, or empty."""

    data: Mapping[str, Any]
    field: Field
    session: str | None
    said: tuple[Said, ...]
    asked: int | None
    answered: Callable[[str], str]

    @staticmethod
    def read(body: bytes, field: Field, secret: bytes, session: str | None) -> Exchange:
        """Read a request. Raises ValueError or RecursionError when it is none.

        Without a session, that of the body's `conversation` is taken, else one that follows from its first user message.
        """
        name = partial(_name_of, secret)
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
        said: list[Said] = []
        asked: int | None = None
        chain = name(session, before)
        for item in items:
            role = item["role"]
            if role == "user":
                asked = None  # a later one without a text, such as an image, is no question
            if role not in ("user", "assistant") or not (text := text_of(item)):
                continue
            chain = name(chain, role, text)
            if role == "user":
                asked = len(said)
            said.append(Said(chain, role, text))
        return Exchange(data, field, session, tuple(said), asked, partial(name, chain, "assistant"))

    @property
    def question(self) -> str:
        """What to ask the memory."""
        return "" if self.asked is None else self.said[self.asked].text[-QUESTION:]

    def with_memory(self, block: str) -> bytes:
        """Return the body with one system message more, after those with which the caller begins."""
        given = self.data[self.field]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
        n = next((i for i, item in enumerate(items) if _role(item) not in FIRST), len(items))
        role = items[n - 1]["role"] if n else FIRST[0]  # models want only one of the two roles in a request
        items.insert(n, {"role": role, "content": block})
        return json.dumps({**self.data, self.field: items}, separators=(",", ":")).encode("ascii")

    def to_remember(self, answer: str, asked: datetime, answered: datetime) -> list[dict[str, Any]]:
        """Return the last user message and the answer as messages for `Space.add_many`."""
        chosen = [] if self.asked is None else [self.said[self.asked]]
        if answer:
            chosen.append(Said(self.answered(answer), "assistant", answer))
        at, where = {"user": asked, "assistant": answered}, self.session
        return [{"id": s.id, "role": s.role, "content": s.text, "session": where, "at": at[s.role]} for s in chosen]


def recalled(space: Space, exchange: Exchange, tokens: int) -> str:
    """Return the block for the prompt, or "": without what the prompt says itself, which takes nothing of the budget."""
    here = {said.id for said in exchange.said}

    def repeats(line: str) -> bool:
        return (match := RECORD.match(line)) is not None and match[1] in here

    block = space.context(
        exchange.question, tokens=tokens, k=FOUND + min(len(here), SEEN),
        count=lambda text: 0 if repeats(text) else estimate_tokens(text),
    )  # fmt: skip
    lines = [line for line in block.split("\n") if not repeats(line)]
    return "\n".join(lines) if any(RECORD.match(line) for line in lines) else ""


def store(space: Space, messages: Sequence[Mapping[str, Any]]) -> None:
    """Store messages that are not there yet; what was erased on purpose stays away."""
    erased = space.store.was_erased([message["id"] for message in messages])
    space.add_many(message for message in messages if message["id"] not in erased)


def secret_of(root: Path) -> bytes:
    """Return the key of the ids of a root, made on first use. Raises StoreError.

    With a key, an id that follows from a text does not let guesses at it be tried on an archive, once it is erased.
    """
    path = root / FOLDER / "chats.key"
    own = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            own.touch(mode=0o600)
            own.write_bytes(secrets.token_bytes(32))
            with suppress(FileExistsError):  # another process was first
                os.link(own, path)
            own.unlink()
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot use {path} ({error.strerror}). Check that its folder is writable.") from error


def _name_of(secret: bytes, *parts: str | None) -> str:
    digest = hashlib.blake2b(json.dumps(parts).encode("ascii"), digest_size=10, key=secret, person=b"mnemos exchange")
    return base64.b32encode(digest.digest()).decode("ascii").lower()


def _role(item: Any) -> Any:
    return item.get("role") if isinstance(item, dict) else None


def _items(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [item for item in given if isinstance(_role(item), str)] if isinstance(given, list) else []


def text_of(item: Mapping[str, Any]) -> str:
    """Return the text of a message; of a list of parts only that of text parts."""
    content = item.get("content")
    if isinstance(content, list):
        parts = [p for p in content if isinstance(p, dict) and p.get("type") in TEXT_PARTS]
        content = "\n".join(p["text"] for p in parts if isinstance(p.get("text"), str))
    return clean(content.strip()) if isinstance(content, str) else ""


def answer_of(streamed: bool, body: bytes) -> str:
    """Return the text of an answer, sent whole or as events; empty when it calls tools, failed or was cut off."""
    if streamed:
        return clean(_of_events(list(_events(body)))).strip()
    data = json.loads(body)
    if "choices" not in data:
        return clean(_of_output(data)).strip()
    message = data["choices"][0]["message"]
    return "" if message.get("tool_calls") or message.get("function_call") else text_of(message)


def _events(body: bytes) -> Iterator[Any]:
    lines: list[str] = []
    for line in (*LINES.split(body.decode("utf-8", "replace")), ""):
        if line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
        elif not line and lines:
            data, lines = "\n".join(lines), []
            yield None if data.strip() == "[DONE]" else json.loads(data)


def _of_output(data: Mapping[str, Any]) -> str:
    """Return the text of a response: that of the messages after the last call of a tool."""
    texts: list[str] = []
    for item in data.get("output") or ():
        kind = str(item.get("type"))
        if kind in CALLS:
            return ""
        if kind.endswith("_call"):
            texts = []
        elif kind == "message":
            texts.append(text_of(item))
    return "\n".join(text for text in texts if text) if data.get("status") in (None, "completed", "incomplete") else ""


def _of_events(events: Sequence[Any]) -> str:
    texts: list[str] = []
    items: list[Any] = []
    ended = False
    for event in events:
        if event is None:
            ended = True
        elif event.get("error"):
            return ""
        elif event.get("type") == "response.output_item.done":
            items.append(event["item"])
        elif event.get("type") in ("response.completed", "response.incomplete"):
            return _of_output({**event["response"], "output": event["response"].get("output") or items})
        for choice in [c for c in (event or {}).get("choices") or () if not c.get("index")]:
            delta = choice.get("delta") or {}
            if delta.get("tool_calls") or delta.get("function_call"):
                return ""
            if isinstance(delta.get("content"), str):
                texts.append(delta["content"])
            ended = ended or bool(choice.get("finish_reason"))
    return "".join(texts) if ended else ""


def headers_up(given: Headers, key: str | None) -> list[tuple[bytes, bytes]]:
    """Return the headers for the upstream: what concerns this hop, this server or its keys stays here."""
    headers = [
        (name, value)
        for name, value in _passing(given, NOT_UP, (b"x-mnemos-", b"x-forwarded-"))
        if not MNEMOS_KEY.search(value) and not (key and name == b"authorization")
    ]
    if key:
        headers.append((b"authorization", f"Bearer {key}".encode()))
    return [*headers, (b"accept-encoding", b"identity")]


def headers_down(given: Headers, more: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the headers for the client: what the upstream says of itself, or to pages, stays here."""
    headers = _passing(given, NOT_DOWN, (b"x-mnemos-", b"access-control-"))
    if not any(name.lower() == b"content-encoding" for name, _ in given):
        headers += [(b"content-length", value) for name, value in given if name.lower() == b"content-length"]
    return headers + [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in more.items()]


def _passing(given: Headers, stay: set[bytes], beginnings: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    named = {n.strip() for name, v in given if name.lower() == b"connection" for n in v.lower().split(b",")}
    rows = ((name.lower(), value) for name, value in given)
    return [(n, v) for n, v in rows if n not in stay and n not in named and not n.startswith(beginnings)]
