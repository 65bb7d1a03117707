"""memory.jsonl of the MCP memory server (modelcontextprotocol/servers, src/memory, 2025)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.roles import ASSISTANT
from mnemos.transfer.source import Conversation, Item, Message, dicts, is_list_of, stable_id


def is_mcp_memory(lines: Any) -> bool:
    """Tell whether the lines of a file are those of the MCP memory server's memory.jsonl."""
    return is_list_of(lines, "type") and any(dicts(lines, i).get("type") in ("entity", "relation") for i in range(20))


def mcp_memory(lines: list[Any], where: str) -> Iterator[Conversation]:
    """Yield every observation and every relation of the graph as a fact, in the assistant's words: it wrote them."""
    yield Conversation(where, "mcp-memory", None, list(_items(lines, where)), session=False)


def _items(lines: list[Any], where: str) -> Iterator[Item]:
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


def _fact(content: str, metadata: dict[str, str]) -> Message:
    return {
        "id": stable_id("mcp-memory", content), "content": content, "role": ASSISTANT, "kind": "fact",
        "source": "mcp-memory", "metadata": metadata,
    }  # fmt: skip
