"""Chats as JSON: a list of messages, an object with messages, a list of such, or one of these a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.source import LOOK, Item, has, stable_id

_TEXT = ("content", "text")
_OF_MESSAGES = ("role", "speaker", "author", "tool_calls", "function_call")  # a message that may go without a text


def is_chats(value: Any) -> bool:
    """Tell whether a JSON value holds messages with a text each."""
    items = value[:LOOK] if isinstance(value, list) else [value]
    return any(has(item, "messages") or has(item, "content") or has(item, "text") for item in items)


def chats(value: Any, where: str) -> Iterator[Item]:
    """Yield the messages of all conversations; those without text (such as calls of tools) are left out."""
    if has(value, "messages"):
        yield from _conversation(value, where, stable_id("chats", where))
        return
    seen: Counter[str] = Counter()
    for number, item in enumerate(value if isinstance(value, list) else [value]):
        place = f"{where}[{number}]"
        if has(item, "messages"):
            yield from _conversation(item, place, stable_id("chats", where, number))
        else:
            yield from _message(item, place, {}, seen)


def _conversation(conversation: Any, where: str, otherwise: str) -> Iterator[Item]:
    if not isinstance(conversation["messages"], list):
        yield Item(where, None, "no list of messages")
        return
    session = next(
        (conversation[k] for k in ("session", "session_id", "id", "conversation_id") if conversation.get(k)), otherwise
    )
    seen: Counter[str] = Counter()
    for i, message in enumerate(conversation["messages"]):
        yield from _message(message, f"{where}.messages[{i}]", {"session": session}, seen)


def _message(message: Any, place: str, common: dict[str, Any], seen: Counter[str]) -> Iterator[Item]:
    if not isinstance(message, Mapping):
        yield Item(place, None, f"expected a message, got {type(message).__name__}")
        return
    key = next((k for k in _TEXT if not _empty(message.get(k))), None)
    if key is None:
        if not any(k in message for k in (*_TEXT, *_OF_MESSAGES)):
            yield Item(place, None, "neither 'content' nor 'text': not a message")
        return
    full = {**common, **message}
    if key == "text" and "content" in full:
        del full["content"]  # it is empty
    if not full.get("id"):
        parts = [str(full.get(k, "")) for k in ("session", "session_id", "role", "speaker", "name", "timestamp", "at")]
        name = stable_id("chats", *parts, full[key])
        seen[name] += 1  # the same words said again in one conversation are another message
        full["id"] = name if seen[name] == 1 else stable_id(name, seen[name])
    yield Item(place, full)


def _empty(text: Any) -> bool:
    return text is None or text == [] or (isinstance(text, str) and not text.strip())
