"""Exports of products: ChatGPT and Claude accounts, mem0, and the MCP memory server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.source import Item, is_list_of, stable_id


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
        branch, node, seen = [], conversation.get("current_node") or _last_leaf(nodes), set()
        while isinstance(node, str) and node in nodes and node not in seen:
            seen.add(node)
            branch.append(node)
            node = nodes[node].get("parent") if isinstance(nodes[node], Mapping) else None
        last = conversation.get("create_time")
        for name in reversed(branch):
            message = nodes[name].get("message") or {}
            role = (message.get("author") or {}).get("role")
            hidden = (message.get("metadata") or {}).get("is_visually_hidden_from_conversation")
            text = _text((message.get("content") or {}).get("parts") or [])
            if role not in ("user", "assistant") or hidden or not text.strip():
                continue
            last = message.get("create_time") or last
            yield Item(
                f"{place}.{name}",
                {
                    "id": str(message.get("id") or name), "content": text, "role": role, "at": last, "session": session,
                    "source": "chatgpt", "metadata": {"title": str(conversation.get("title") or "")},
                },
            )  # fmt: skip


def _last_leaf(nodes: Mapping[str, Any]) -> str | None:
    leaves = [name for name, node in nodes.items() if isinstance(node, Mapping) and not node.get("children")]
    return leaves[-1] if leaves else None


def _text(parts: Any) -> str:
    texts = [p if isinstance(p, str) else p.get("text") for p in parts if isinstance(p, str | Mapping)]
    return "\n".join(t for t in texts if isinstance(t, str) and t)


def is_claude(value: Any) -> bool:
    """Tell whether a JSON value is conversations.json of a Claude account export."""
    return is_list_of(value, "chat_messages")


def claude(value: Any, where: str) -> Iterator[Item]:
    """Yield the messages of every conversation; empty ones are left out."""
    for number, conversation in enumerate(value):
        session = (
            str(conversation.get("uuid") or stable_id("claude", number)) if isinstance(conversation, Mapping) else ""
        )
        messages = conversation.get("chat_messages") if isinstance(conversation, Mapping) else None
        if not isinstance(messages, list):
            yield Item(f"{where}[{number}]", None, "no list 'chat_messages'")
            continue
        for i, message in enumerate(messages):
            place = f"{where}[{number}].chat_messages[{i}]"
            if not isinstance(message, Mapping):
                yield Item(place, None, "not a message")
                continue
            text = _text(message.get("content") or []) or str(message.get("text") or "")
            if not text.strip():
                continue
            role = "user" if message.get("sender") == "human" else "assistant"
            yield Item(
                place,
                {
                    "id": str(message.get("uuid") or stable_id("claude", session, i, text)), "content": text,
                    "role": role, "at": message.get("created_at"), "session": session, "source": "claude",
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
        given = memory.get("metadata") if isinstance(memory.get("metadata"), Mapping) else {}
        yield Item(
            place,
            {
                "id": str(memory.get("id") or stable_id("mem0", memory["memory"])), "content": memory["memory"],
                "kind": "fact", "at": memory.get("updated_at") or memory.get("created_at"), "source": "mem0",
                "session": memory.get("run_id"), "metadata": {**(given or {}), **extra},
            },
        )  # fmt: skip


def is_mcp_memory(lines: Any) -> bool:
    """Tell whether the lines of a file are those of the MCP memory server's memory.jsonl."""
    known = ("entity", "relation")
    return is_list_of(lines, "type") and all(isinstance(v, Mapping) and v.get("type") in known for v in lines[:20])


def mcp_memory(lines: list[Any], where: str) -> Iterator[Item]:
    """Yield every observation and every relation of the graph as a fact."""
    for number, line in enumerate(lines, 1):
        place = f"{where}:{number}"
        if not isinstance(line, Mapping):
            yield Item(place, None, "neither an entity nor a relation")
        elif line.get("type") == "entity":
            name, kind = str(line.get("name") or "").strip(), str(line.get("entityType") or "").strip()
            for text in line.get("observations") or []:
                content = f"{name} ({kind}): {text}" if kind else f"{name}: {text}"
                metadata = {"entity": name, "entity_type": kind}
                yield Item(place, _fact(content, metadata))
        elif line.get("type") == "relation":
            source, relation, target = (str(line.get(k) or "").strip() for k in ("from", "relationType", "to"))
            metadata = {"from": source, "relation": relation, "to": target}
            yield Item(place, _fact(f"{source} {relation.replace('_', ' ')} {target}.", metadata))
        else:
            yield Item(place, None, f"type {line.get('type')!r} is neither entity nor relation")


def _fact(content: str, metadata: dict[str, str]) -> dict[str, Any]:
    return {
        "id": stable_id("mcp-memory", content), "content": content, "kind": "fact", "source": "mcp-memory",
        "metadata": metadata,
    }  # fmt: skip
