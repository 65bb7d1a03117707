"""Exports of products: ChatGPT and Claude accounts, mem0, and the MCP memory server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.source import Item, dicts, is_list_of, stable_id

_LEFT_OUT = ("system", "tool", "developer")  # roles of ChatGPT whose messages are not imported
_TEXTUAL = (None, "text", "multimodal_text")  # what else ChatGPT calls a content is a call of a tool or its thoughts


def is_chatgpt(value: Any) -> bool:
    """Tell whether a JSON value is conversations.json of a ChatGPT account export."""
    return is_list_of(value, "mapping")


def chatgpt(value: Any, where: str) -> Iterator[Item]:
    """Yield the messages on the current branch of every conversation; system, tool and hidden ones are left out."""
    for number, conversation in enumerate(value):
        place = f"{where}[{number}]"
        nodes = conversation.get("mapping") if isinstance(conversation, Mapping) else None
        if not isinstance(nodes, Mapping):
            yield Item(place, None, "no 'mapping' of messages")
            continue
        session = str(conversation.get("conversation_id") or conversation.get("id") or stable_id("chatgpt", number))
        branch, problems = _branch(nodes, conversation.get("current_node"), place)
        yield from problems
        last = conversation.get("create_time")
        for name in branch:
            message, at = nodes[name].get("message", ...), f"{place}.{name}"
            if message is None:
                continue
            if not isinstance(message, Mapping):
                yield Item(at, None, "there is no 'message'")
                continue
            role = dicts(message, "author").get("role")
            if role in _LEFT_OUT or dicts(message, "metadata").get("is_visually_hidden_from_conversation"):
                continue
            content = dicts(message, "content")
            kind = content.get("content_type")
            if isinstance(kind, str) and kind not in _TEXTUAL and "parts" not in content:
                continue
            text, problem = _text(content.get("parts"), "content_type")
            if problem:
                yield Item(at, None, f"content.parts: {problem}")
            if not text.strip():
                continue
            if role not in ("user", "assistant"):
                yield Item(at, None, f"role {role!r:.60} is not known")
                continue
            last = message.get("create_time") or last
            yield Item(
                at,
                {
                    "id": str(message.get("id") or name), "content": text, "role": role, "at": last, "session": session,
                    "source": "chatgpt", "metadata": {"title": str(conversation.get("title") or "")},
                },
            )  # fmt: skip


def _branch(nodes: Mapping[str, Any], current: Any, place: str) -> tuple[list[str], list[Item]]:
    """Return the names of the nodes from the root to the current one, and what is wrong with the tree.

    Where a node does not say its parent, the parent is the node that counts it among its children.
    """
    problems = [
        Item(f"{place}.{name}", None, "not a node of a conversation") for name, n in nodes.items() if not _node(n)
    ]
    parents: dict[str, str] = {}
    for name, node in nodes.items():
        children = node.get("children") if _node(node) else None
        for child in children if isinstance(children, list) else []:
            if isinstance(child, str):
                parents.setdefault(child, name)
    if not isinstance(current, str) or current not in nodes:
        if current:
            problems.append(
                Item(place, None, f"'current_node' {current!r:.60} does not exist; the last branch was used")
            )
        current = _last_leaf(nodes)
    branch: list[str] = []
    seen: set[str] = set()
    while current is not None and current not in seen:
        seen.add(current)
        node = nodes[current]
        given = node.get("parent") if _node(node) else None
        if _node(node):
            branch.append(current)
        above = given if isinstance(given, str) and given in nodes else parents.get(current)
        if above in seen or (above is None and given is not None):
            problems.append(
                Item(f"{place}.{current}", None, f"its parent {given!r:.60} is missing, and so is everything before it")
            )
        current = above
    return branch[::-1], problems


def _node(value: Any) -> bool:
    return isinstance(value, Mapping)


def _last_leaf(nodes: Mapping[str, Any]) -> str | None:
    leaves = [name for name, node in nodes.items() if _node(node) and not node.get("children")]
    return next(reversed(leaves or list(nodes)), None)


def _text(parts: Any, tag: str) -> tuple[str, str]:
    """Return the texts among the parts of a message, and what could not be read; pictures and files are left out.

    A part without text must say under `tag` what it is.
    """
    if isinstance(parts, str):
        return parts, ""
    if not isinstance(parts, list):
        return "", f"expected a list of parts, got {type(parts).__name__}"
    texts = [p.get("text") if isinstance(p, Mapping) else p for p in parts]
    odd = [i for i, t in enumerate(texts) if not isinstance(t, str | None) or (t is None and _unknown(parts[i], tag))]
    problem = f"part {odd[0]} is no text: {parts[odd[0]]!r:.60}" if odd else ""
    return "\n".join(t for t in texts if isinstance(t, str) and t), problem


def _unknown(part: Any, tag: str) -> bool:
    return isinstance(part, Mapping) and not isinstance(part.get(tag), str)


def is_claude(value: Any) -> bool:
    """Tell whether a JSON value is conversations.json of a Claude account export."""
    return is_list_of(value, "chat_messages")


def claude(value: Any, where: str) -> Iterator[Item]:
    """Yield the messages of every conversation; empty ones are left out."""
    for number, conversation in enumerate(value):
        messages = conversation.get("chat_messages") if isinstance(conversation, Mapping) else None
        if not isinstance(messages, list):
            yield Item(f"{where}[{number}]", None, "no list 'chat_messages'")
            continue
        session = str(conversation.get("uuid") or stable_id("claude", number))
        for i, message in enumerate(messages):
            place = f"{where}[{number}].chat_messages[{i}]"
            if not isinstance(message, Mapping) or not ("text" in message or "content" in message):
                yield Item(place, None, "not a message with a text")
                continue
            text, problem = "", ""
            for key in ("content", "text"):  # newer exports have both; "text" alone has all but the tools' part
                if not text.strip() and message.get(key) is not None:
                    text, wrong = _text(message[key], "type")
                    problem = problem or (wrong and f"{key}: {wrong}")
            if problem:
                yield Item(place, None, problem)
            if not text.strip():
                continue
            sender = message.get("sender")
            yield Item(
                place,
                {
                    "id": str(message.get("uuid") or stable_id("claude", session, i, text)), "content": text,
                    "role": "user" if sender == "human" else "assistant" if sender == "assistant" else None,
                    "at": message.get("created_at"), "session": session, "source": "claude",
                    "metadata": {"title": str(conversation.get("name") or "")},
                },
            )  # fmt: skip


def is_mem0(value: Any) -> bool:
    """Tell whether a JSON value is what mem0's get_all returns, or its list of results."""
    return is_list_of(_results(value), "memory")


def _results(value: Any) -> Any:
    return value.get("results") if isinstance(value, Mapping) else value


def mem0(value: Any, where: str) -> Iterator[Item]:
    """Yield mem0's memories as facts; its users, agents and runs are kept in the metadata."""
    for i, memory in enumerate(_results(value)):
        place = f"{where}[{i}]"
        if not isinstance(memory, Mapping) or not isinstance(memory.get("memory"), str):
            yield Item(place, None, "no text under 'memory'")
            continue
        extra = {k: memory[k] for k in ("user_id", "agent_id", "run_id", "categories") if memory.get(k)}
        given = memory.get("metadata")
        if given and not isinstance(given, Mapping):
            given = {"metadata": given}
        yield Item(
            place,
            {
                "id": str(memory.get("id") or stable_id("mem0", memory["memory"])), "content": memory["memory"],
                "kind": "fact", "at": memory.get("updated_at") or memory.get("created_at"), "source": "mem0",
                "session": memory.get("run_id"), "metadata": {**(given or {}), **extra},
            },
        )  # fmt: skip
    if isinstance(value, Mapping) and value.get("relations"):
        yield Item(f"{where}.relations", None, "the relations of mem0's graph are not imported")


def is_mcp_memory(lines: Any) -> bool:
    """Tell whether the lines of a file are those of the MCP memory server's memory.jsonl."""
    return is_list_of(lines, "type") and any(dicts(lines, i).get("type") in ("entity", "relation") for i in range(20))


def mcp_memory(lines: list[Any], where: str) -> Iterator[Item]:
    """Yield every observation and every relation of the graph as a fact."""
    for number, line in enumerate(lines, 1):
        place = f"{where}:{number}"
        if not isinstance(line, Mapping):
            yield Item(place, None, "neither an entity nor a relation")
        elif line.get("type") == "entity":
            yield from _entity(line, place)
        elif line.get("type") == "relation":
            names = [line.get(k) for k in ("from", "relationType", "to")]
            if not all(isinstance(n, str) and n.strip() for n in names):
                yield Item(place, None, "a relation needs the names 'from', 'relationType' and 'to'")
                continue
            source, relation, target = (str(n).strip() for n in names)
            metadata = {"from": source, "relation": relation, "to": target}
            yield Item(place, _fact(f"{source} {relation.replace('_', ' ')} {target}.", metadata))
        else:
            yield Item(place, None, f"type {line.get('type')!r:.60} is neither entity nor relation")


def _entity(line: Mapping[str, Any], place: str) -> Iterator[Item]:
    name, kind = str(line.get("name") or "").strip(), str(line.get("entityType") or "").strip()
    observations = line.get("observations")
    if not isinstance(observations, list) or not observations:
        yield Item(place, None, f"the entity {name!r:.60} has no list of observations")
        return
    about = f"{name} ({kind}): " if name and kind else f"{name or kind}: " if name or kind else ""
    for text in observations:
        if isinstance(text, str) and text.strip():
            yield Item(place, _fact(about + text, {"entity": name, "entity_type": kind}))
        else:
            yield Item(place, None, f"the observation {text!r:.60} is no text")


def _fact(content: str, metadata: dict[str, str]) -> dict[str, Any]:
    return {
        "id": stable_id("mcp-memory", content), "content": content, "kind": "fact", "source": "mcp-memory",
        "metadata": metadata,
    }  # fmt: skip
