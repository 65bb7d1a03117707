"""Chats as JSON: a list of messages, an object with messages, a list of such, or one of these a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.source import Item, has, is_list_of, stable_id

_TEXT = ("content", "text")


def is_chats(value: Any) -> bool:
    """Tell whether a JSON value holds messages with a text each."""
    return (
        has(value, "messages")
        or is_list_of(value, "messages")
        or (isinstance(value, list) and bool(value) and all(isinstance(m, Mapping) for m in value) and _has_text(value))
        or (isinstance(value, Mapping) and _has_text([value]))
    )


def _has_text(messages: list[Any]) -> bool:
    return any(key in m for m in messages[:50] for key in _TEXT)


def chats(value: Any, where: str) -> Iterator[Item]:
    """Yield the messages of all conversations; those without text (such as calls of tools) are left out."""
    if has(value, "messages"):
        yield from _conversation(value, where, stable_id("chats", where))
    elif is_list_of(value, "messages"):
        for number, conversation in enumerate(value):
            yield from _conversation(conversation, f"{where}[{number}]", stable_id("chats", where, number))
    else:
        yield from _messages([value] if isinstance(value, Mapping) else value, where, {})


def _conversation(conversation: Any, where: str, otherwise: str) -> Iterator[Item]:
    if not has(conversation, "messages") or not isinstance(conversation["messages"], list):
        yield Item(where, None, "no list of messages")
        return
    session = next(
        (conversation[k] for k in ("session", "session_id", "id", "conversation_id") if conversation.get(k)), otherwise
    )
    yield from _messages(conversation["messages"], where + ".messages", {"session": session})


def _messages(messages: list[Any], where: str, common: dict[str, Any]) -> Iterator[Item]:
    seen: Counter[str] = Counter()
    for i, message in enumerate(messages):
        place = f"{where}[{i}]"
        if not isinstance(message, Mapping):
            yield Item(place, None, f"expected a message, got {type(message).__name__}")
            continue
        text = next((message[k] for k in _TEXT if k in message), None)
        if text is None or text == [] or (isinstance(text, str) and not text.strip()):
            continue
        full = {**common, **message}
        if not full.get("id"):
            parts = [
                str(full.get(k, "")) for k in ("session", "session_id", "role", "speaker", "name", "timestamp", "at")
            ]
            name = stable_id("chats", *parts, text)
            seen[name] += 1  # the same words said again in one conversation are another message
            full["id"] = name if seen[name] == 1 else stable_id(name, seen[name])
        yield Item(place, full)
