"""A conversation that LibreChat exports as JSON (client/src/hooks/Conversations/useExportConversation.ts, v0.8).

Messages are nested in `messagesTree` or `messages` when it was exported recursively, or a flat list with
`parentMessageId`. What was said is the branch of the newest message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.parts import read_parts
from mnemos.transfer.roles import ASSISTANT, USER
from mnemos.transfer.source import Conversation, Item, Message, Read, first_dict, has
from mnemos.transfer.times import time_of
from mnemos.transfer.trees import branch, left_behind, linked

SOURCE = "librechat"


def is_librechat(value: Any) -> bool:
    """Tell whether a JSON value is a conversation of LibreChat, or a list of them."""
    first = first_dict(value)
    if (
        not isinstance(first, Mapping)
        or not has(first, "conversationId")
        or not (has(first, "messages") or has(first, "messagesTree"))
    ):
        return False
    found = next(_flat(first.get("messagesTree", first.get("messages")), None), (None, None))[0]
    return found is None or has(found, "isCreatedByUser") or has(found, "messageId")


def librechat(value: Any, where: str) -> Iterator[Read]:
    """Yield every conversation."""
    for number, conversation in enumerate(value if isinstance(value, list) else [value]):
        place = f"{where}[{number}]" if isinstance(value, list) else where
        given = (
            conversation.get("messagesTree") or conversation.get("messages")
            if isinstance(conversation, Mapping)
            else None
        )
        if not isinstance(given, list | Mapping):
            yield Item(place, None, "no 'messages'")
            continue
        messages = list(_flat(given, None))
        names = [str(m.get("messageId") or f"message {i}") for i, (m, _) in enumerate(messages)]
        nodes = linked(zip(names, (parent for _, parent in messages), strict=True))
        times = [time_of(m) for m, _ in messages]
        newest = max(range(len(names)), key=lambda i: (times[i] is not None, times[i] or 0, i)) if all(times) else -1
        tree = branch(nodes, names[newest], place) if names else branch({}, None, place)
        yield from tree.problems
        left, title = set(tree.left), str(conversation.get("title") or "")
        items = []
        for i, (name, (message, _)) in enumerate(zip(names, messages, strict=True)):
            item = _item(message, f"{place}.messages[{i}]", title)
            items.append(left_behind(item) if name in left else item)
        name = conversation.get("conversationId")
        yield Conversation(place, SOURCE, str(name) if name else None, items, time_of(conversation))


def _flat(messages: Any, parent: str | None) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """Yield (message, name of its parent), children after their parents."""
    stack = [(m, parent) for m in reversed(messages if isinstance(messages, list) else [messages])]
    while stack:
        message, above = stack.pop()
        if not isinstance(message, Mapping):
            continue
        given = message.get("parentMessageId")
        yield message, above or (given if isinstance(given, str) else None)
        children = message.get("children")
        name = str(message.get("messageId") or "") or above
        stack += [(m, name) for m in reversed(children if isinstance(children, list) else [])]


def _item(message: Mapping[str, Any], where: str, title: str) -> Item:
    content = message.get("content")
    parts = read_parts(content if isinstance(content, list) and content else message.get("text") or content)
    if parts.problem:
        return Item(where, None, parts.problem)
    if not parts.text.strip():
        return Item(where, None, left_out=parts.remark or "no text")
    if message.get("error"):
        return Item(where, None, left_out="an error message")
    user = message.get("isCreatedByUser")
    mine = user if isinstance(user, bool) else str(message.get("sender") or "").casefold() == "user"
    said: Message = {
        "id": str(message["messageId"]) if message.get("messageId") else None, "content": parts.text,
        "role": USER if mine else ASSISTANT, "at": time_of(message), "kind": "turn", "source": SOURCE,
        "metadata": {"title": title} if title else {},
    }  # fmt: skip
    return Item(where, said, remark=parts.remark)
