"""Chats as JSON: a list of messages, an object with messages, a list of such, or one of these a line.

The shapes of chat APIs and frameworks are known: OpenAI's and Anthropic's messages, the `parts` of the Vercel AI SDK (UIMessage,
v4 to v6), LangChain's, ShareGPT's, and a wrapper around any of them. Answers of tools inside a message become messages of a tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.parts import Parts, read_parts
from mnemos.transfer.roles import known_role
from mnemos.transfer.source import LOOK, Conversation, Item, Read, has
from mnemos.transfer.times import OWN, time_of, wrong_time

_TEXT = ("content", "text", "parts", "value", "message")
_LISTS = ("messages", "conversations", "conversation", "history", "turns", "chat_history")
_WRAPPERS = ("conversations", "chats", "data", "threads", "items", "results", "sessions")
_ROLE = ("role", "from", "sender", "author", "type")
_PEOPLE = ("sender", "from", "user", "username", "user_name", "sender_name", "nick", "user_id", "sender_id")
_OF_MESSAGES = (
    "role",
    "speaker",
    "author",
    "tool_calls",
    "function_call",
    "parts",
)  # of one that may go without a text
_SESSION = (
    "session",
    "session_id",
    "sessionId",
    "conversation_id",
    "conversationId",
    "chat_id",
    "chatId",
    "thread_id",
    "threadId",
)
_ID = ("id", "uuid", "_id", "message_id", "messageId")


def is_chats(value: Any) -> bool:
    """Tell whether a JSON value holds messages with a text each."""
    value = _unwrapped(value)
    items = value[:LOOK] if isinstance(value, list) else [value]
    return any(_list_of(item) or any(has(item, key) for key in ("messages", *_TEXT)) for item in items)


def chats(value: Any, where: str) -> Iterator[Read]:
    """Yield all conversations; messages without text (such as calls of tools) are left out."""
    value = _unwrapped(value)
    if _list_of(value):
        yield from _conversation(value, where)
        return
    loose: dict[str, Conversation] = {}  # messages that are not in a list of their own, by session
    found: list[Read] = []
    for number, item in enumerate(value if isinstance(value, list) else [value]):
        place = f"{where}[{number}]"
        if _list_of(item):
            found += _conversation(item, place)
            continue
        name = next((str(item[k]) for k in _SESSION if item.get(k)), "") if isinstance(item, Mapping) else ""
        if name not in loose:
            loose[name] = Conversation(where, "chats", name[:1_000] or None, [])
            found.append(loose[name])
        loose[name].items += _message(item, place)
    for name, chat in loose.items():
        roles = {i.message.get("role") for i in chat.items if i.message}
        chat.session = bool(name) or {"user", "assistant"} <= roles
    yield from found


def _unwrapped(value: Any) -> Any:
    """Return the list in an object that only wraps it."""
    if isinstance(value, Mapping) and not _list_of(value):
        for key in _WRAPPERS:
            inner = value.get(key)
            if isinstance(inner, list) and any(_list_of(i) or any(has(i, k) for k in _TEXT) for i in inner[:LOOK]):
                return inner
    return value


def _list_of(item: Any) -> str:
    """Return the name under which a conversation has its messages; "" when it is none."""
    if has(item, "messages"):
        return "messages"
    if not isinstance(item, Mapping) or any(item.get(k) for k in ("content", "text")):
        return ""
    for key in _LISTS:
        inner = item.get(key)
        if isinstance(inner, list) and any(
            any(has(m, k) for k in (*_TEXT, *_ROLE)) and not _list_of(m) for m in inner[:LOOK]
        ):
            return key
    return ""


def _conversation(conversation: Any, where: str) -> Iterator[Read]:
    key = _list_of(conversation)
    messages = conversation[key]
    if isinstance(messages, Mapping):
        messages = list(messages.values())
    if not isinstance(messages, list):
        yield Item(where, None, "no list of messages")
        return
    name = next((conversation[k] for k in (*_SESSION, *_ID) if conversation.get(k)), None)
    items = [i for n, m in enumerate(messages) for i in _message(m, f"{where}.{key}[{n}]")]
    scalars = {k: v for k, v in conversation.items() if k != key}
    usable = isinstance(name, str | int) and not isinstance(name, bool)
    yield Conversation(where, "chats", str(name)[:1_000] if usable else None, items, time_of(scalars))


def _message(message: Any, place: str) -> Iterator[Item]:
    if not isinstance(message, Mapping):
        yield Item(place, None, f"expected a message, got {type(message).__name__}")
        return
    if isinstance(message.get("data"), Mapping) and known_role(message.get("type")):  # LangChain's
        message = {**message["data"], "role": message["type"]}
    key = next((k for k in _TEXT if not _empty(message.get(k))), None)
    if key is None:
        if not any(k in message for k in (*_TEXT, *_OF_MESSAGES)):
            yield Item(place, None, "neither 'content' nor 'text': not a message")
        else:
            yield Item(place, None, left_out="no text")
        return
    full = {k: v for k, v in message.items() if k not in (*_TEXT, *_SESSION)}
    if key == "message" and isinstance(message[key], Mapping):  # {"message": {"role": ..., "content": ...}}
        yield from _message({**full, **message[key]}, place)
        return
    role = _take_role(full)
    parts = read_parts(message[key]) if isinstance(message[key], str | list) else Parts()
    full["content"] = parts.text if isinstance(message[key], str | list) else message[key]  # `add` says what is wrong
    if (at := time_of(message)) is not None or wrong_time(message) is None:
        full = {k: v for k, v in full.items() if k not in OWN} | {"at": at}
    full["id"] = next((message[k] for k in _ID if message.get(k)), None)
    if role is not None:
        full["role"] = role
        if role == "tool" and not full.get("source"):
            full["source"] = f"tool:{message.get('name') or message.get('tool_name') or 'chats'}"[:1_000]
    if parts.problem:
        yield Item(place, None, parts.problem)
    elif isinstance(message[key], list) and not parts.text.strip():
        if not parts.answers:
            yield Item(place, None, left_out=parts.remark or "no text")
    else:
        yield Item(place, full, remark=parts.remark)
    for n, answer in enumerate(a for a in parts.answers if a.strip()):
        name = f"{full['id']}#{n}" if full.get("id") else None
        yield Item(place, {"id": name, "content": answer, "role": "tool", "source": "tool:chats", "at": full.get("at")})


def _take_role(full: dict[str, Any]) -> str | None:
    """Return the role of a message and remove what says it; another name there is a speaker."""
    author = full.get("author")
    if isinstance(author, Mapping):
        full["author"] = author.get("role") or author.get("name")
    for key in _ROLE:
        if (role := known_role(full.get(key))) is not None:
            del full[key]
            return role
    if not any(full.get(k) for k in ("speaker", "name", "author")):  # a person's name: his words are not the user's
        named = next((k for k in _PEOPLE if isinstance(full.get(k), str) and full[k].strip()), None)
        if named is not None:
            full["speaker"] = full.pop(named)
    return None


def _empty(text: Any) -> bool:
    return text is None or text in ([], {}) or (isinstance(text, str) and not text.strip())
