"""Chats that Open WebUI exports (Settings, Data controls, Export chats; backend/open_webui/models/chats.py, v0.6).

A chat's messages are a tree in `chat.history.messages` with `parentId`; what was said is the branch that ends in
`currentId`, and the other answers of several models are left out. The text of an attached file is a document. Reasoning and calls
of tools, which stand in the text in <details>, are removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.parts import read_parts
from mnemos.transfer.roles import DOCUMENT, known_role
from mnemos.transfer.sections import sections
from mnemos.transfer.source import Conversation, Item, Message, Read, dicts, first_dict, has
from mnemos.transfer.times import time_of
from mnemos.transfer.trees import branch, left_behind, linked

SOURCE = "open-webui"
_DETAILS = re.compile(r"<details type=\"(?:reasoning|tool_calls|code_interpreter)\"[^>]{0,2000}>")


def is_openwebui(value: Any) -> bool:
    """Tell whether a JSON value is an export of chats of Open WebUI."""
    first = first_dict(value)
    chat = dicts(first, "chat") if isinstance(first, Mapping) else {}
    return has(chat.get("history"), "messages") or (has(first, "chat") and isinstance(chat.get("messages"), list))


def openwebui(value: Any, where: str) -> Iterator[Read]:
    """Yield every chat."""
    for number, row in enumerate(value if isinstance(value, list) else [value]):
        place = f"{where}[{number}]" if isinstance(value, list) else where
        chat = dicts(row, "chat") if isinstance(row, Mapping) else {}
        history = dicts(chat, "history")
        given = history.get("messages", chat.get("messages"))
        if not isinstance(given, Mapping | list):
            yield Item(place, None, "no 'chat.history.messages'")
            continue
        pairs = list(given.items()) if isinstance(given, Mapping) else [(str(i), m) for i, m in enumerate(given)]
        messages = {str(m.get("id") or name) if isinstance(m, Mapping) else str(name): m for name, m in pairs}
        nodes = linked((n, m.get("parentId")) for n, m in messages.items() if isinstance(m, Mapping))
        tree = None
        if any(node["parent"] for node in nodes.values()):
            tree = branch(nodes, history.get("currentId"), place)
            yield from tree.problems
        order = [*tree.current, *tree.left] if tree else list(nodes)
        order += [name for name in messages if name not in nodes]
        left, title = set(tree.left) if tree else set(), str(row.get("title") or chat.get("title") or "")
        items = []
        for name in order:
            for item in _items(messages[name], name, f"{place}.{name}", title):
                items.append(left_behind(item) if name in left else item)
        own = time_of({k: row.get(k) for k in ("created_at", "updated_at")}) or time_of(chat)
        yield Conversation(place, SOURCE, str(row["id"]) if row.get("id") else None, items, own)


def _items(message: Any, name: str, where: str, title: str) -> Iterator[Item]:
    if not isinstance(message, Mapping):
        yield Item(where, None, "not a message")
        return
    parts = read_parts(message.get("content"))
    if parts.problem:
        yield Item(where, None, f"content: {parts.problem}")
        return
    text, cut = _without_details(parts.text)
    common: Message = {
        "at": time_of(message), "kind": "turn", "source": SOURCE, "metadata": {"title": title} if title else {},
    }  # fmt: skip
    role = known_role(message.get("role"))
    if not text.strip():
        yield Item(
            where, None, left_out="no text but reasoning or calls of tools" if cut else parts.remark or "no text"
        )
    elif role is None:
        yield Item(where, None, f"role {message.get('role')!r:.60} is not known")
    elif role == "system":
        yield Item(where, None, left_out="a system message")
    else:
        said = {**common, "id": name, "content": text.strip(), "role": role}
        yield Item(where, said, remark=parts.remark or ("reasoning or calls of tools" if cut else ""))
    files = message.get("files")
    for n, file in enumerate(files if isinstance(files, list) else []):
        held = dicts(dicts(file, "file"), "data").get("content") if isinstance(file, Mapping) else None
        if not isinstance(held, str) or not held.strip():
            yield Item(f"{where}.files[{n}]", None, left_out="a file without text")
            continue
        shown = str(file.get("name") or dicts(file, "file").get("filename") or "file")
        for number, (_, part) in enumerate(sections(held)):
            yield Item(
                f"{where}.files[{n}]#{number + 1}",
                {
                    **common, "id": f"{name}#{n}.{number}", "content": part, "role": DOCUMENT, "kind": "attachment",
                    "source": f"open-webui/{shown}"[:1_000], "metadata": {**common["metadata"], "file": shown},
                },
            )  # fmt: skip


def _without_details(text: str) -> tuple[str, bool]:
    """Return a text without its reasoning and calls of tools, and whether there were any."""
    first, *rest = _DETAILS.split(text)
    return first + "".join(p.partition("</details>")[2] if "</details>" in p else p for p in rest), bool(rest)
