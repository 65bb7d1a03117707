"""conversations.json of a ChatGPT account export (Settings, Data controls, Export), as of 2026.

A conversation is a tree in `mapping`; what was said is the branch that ends in `current_node`. Taken are texts, spoken ones
too, of the user and the assistant; a page that the user quotes is a document; custom instructions are the user's, and the memory
(`bio`, `model_editable_context`) is the assistant's. Left out, and told, are system and hidden messages, reasoning, calls and
answers of tools, and branches that were left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.parts import read_parts
from mnemos.transfer.products.marks import without_marks
from mnemos.transfer.roles import ASSISTANT, DOCUMENT, USER
from mnemos.transfer.source import Conversation, Item, Message, Read, dicts, is_list_of, stable_id
from mnemos.transfer.times import time_of
from mnemos.transfer.trees import branch, left_behind

SOURCE = "chatgpt"
_TEXTUAL = (None, "text", "multimodal_text", "code", "tether_quote")  # other contents are calls of tools, or thoughts
_MEMORY = re.compile(r"^\s*\d{1,5}\. \[(\d{4}-\d\d-\d\d)\]\.? *", re.MULTILINE)


def is_chatgpt(value: Any) -> bool:
    """Tell whether a JSON value is conversations.json of a ChatGPT account export."""
    return is_list_of(value, "mapping")


def chatgpt(value: Any, where: str) -> Iterator[Read]:
    """Yield every conversation, and what ChatGPT keeps about its user."""
    kept: set[str] = set()
    for number, conversation in enumerate(value):
        place = f"{where}[{number}]"
        nodes = conversation.get("mapping") if isinstance(conversation, Mapping) else None
        if not isinstance(nodes, Mapping):
            yield Item(place, None, "no 'mapping' of messages")
            continue
        own = time_of({k: conversation.get(k) for k in ("create_time", "update_time")})
        tree = branch(nodes, conversation.get("current_node"), place)
        yield from tree.problems
        title = str(conversation.get("title") or "")
        items = [i for name in tree.current for i in _items(nodes[name], name, f"{place}.{name}", title)]
        for name in tree.left:
            items += [_left(i) for i in _items(nodes[name], name, f"{place}.{name}", title)]
        name = conversation.get("conversation_id") or conversation.get("id")
        said = [i for i in items if not (i.message and i.message["kind"] != "turn")]
        yield Conversation(place, SOURCE, str(name) if name else None, said, own)
        for item in items:  # the same in every conversation: once is enough
            if item.message and item.message["kind"] != "turn" and item.message["id"] not in kept:
                kept.add(item.message["id"])
                yield Item(item.where, {**item.message, "at": item.message.get("at") or own})


def _left(item: Item) -> Item:
    return left_behind(item) if item.message and item.message["kind"] == "turn" else item


def _items(node: Mapping[str, Any], name: str, where: str, title: str) -> list[Item]:
    message = node.get("message", ...)
    if message is None:
        return []
    if not isinstance(message, Mapping):
        return [Item(where, None, "there is no 'message'")]
    role, metadata = dicts(message, "author").get("role"), dicts(message, "metadata")
    content, at = dicts(message, "content"), time_of({k: message.get(k) for k in ("create_time", "update_time")})
    kind = content.get("content_type")
    if kind in ("user_editable_context", "model_editable_context") or metadata.get("user_context_message_data"):
        return [Item(where, m) for m in _kept(content, dicts(metadata, "user_context_message_data"), at)]
    if role == "assistant" and message.get("recipient") == "bio":
        return [Item(where, _memory(read_parts(content.get("parts") or content.get("text")).text, at))]
    if why := _why_left(role, kind, message, metadata, content):
        return [Item(where, None, left_out=why)]
    if content.get("parts") is None and not isinstance(content.get("text"), str):
        return [Item(where, None, "its content has neither 'parts' nor a 'text'")]
    parts = read_parts(content["parts"] if content.get("parts") is not None else content["text"])
    found = [Item(where, None, f"content.parts: {parts.problem}")] if parts.problem else []
    text = without_marks(parts.text)
    if not text.strip():
        return found or [Item(where, None, left_out=parts.remark or "no text")]
    if role not in ("user", "assistant"):
        return [*found, Item(where, None, f"role {role!r:.60} is not known")]
    quoted = kind == "tether_quote"
    said: Message = {
        "id": str(message.get("id") or name), "content": text, "role": DOCUMENT if quoted else role, "at": at,
        "kind": "turn", "source": str(content.get("url") or "chatgpt:quote") if quoted else SOURCE,
        "metadata": {"title": title} if title else {},
    }  # fmt: skip
    return [*found, Item(where, said, remark=parts.remark)]


def _why_left(
    role: Any, kind: Any, message: Mapping[str, Any], metadata: Mapping[str, Any], content: Mapping[str, Any]
) -> str:
    """Return why a message is left out, or ""."""
    if role in ("system", "developer"):
        return "a system message"
    if role == "tool":
        return "an answer of a tool"
    if metadata.get("is_visually_hidden_from_conversation"):
        return "hidden by ChatGPT"
    if role == "assistant" and message.get("recipient") not in (None, "all"):
        return "a call of a tool"
    if isinstance(kind, str) and kind not in _TEXTUAL and "parts" not in content:
        return f"{kind.replace('_', ' ')[:40]}, no text of the conversation"
    return ""


def _kept(content: Mapping[str, Any], told: Mapping[str, Any], at: Any) -> Iterator[Message]:
    """Yield custom instructions, in the user's words, and the memories that ChatGPT lists."""
    for text in (content.get("user_profile"), content.get("user_instructions"), *told.values()):
        if isinstance(text, str) and text.strip():
            yield {
                "id": stable_id("chatgpt instructions", text), "content": text, "role": USER, "kind": "note", "at": at,
                "source": SOURCE, "metadata": {"from": "custom instructions"},
            }  # fmt: skip
    listed = content.get("model_set_context")
    dates = _MEMORY.split(listed) if isinstance(listed, str) else []
    for day, text in zip(dates[1::2], dates[2::2], strict=False):
        if text.strip():
            yield _memory(text.strip(), day)


def _memory(text: str, at: Any) -> Message:
    return {
        "id": stable_id("chatgpt memory", text.strip()), "content": text, "role": ASSISTANT, "kind": "fact", "at": at,
        "source": SOURCE, "metadata": {"from": "memory"},
    }  # fmt: skip
