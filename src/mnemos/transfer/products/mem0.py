"""What mem0's `get_all` returns, or its list of results (mem0ai 1 and 2; the same rows come from its platform's export)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.roles import ASSISTANT, known_role
from mnemos.transfer.source import Conversation, Item, is_list_of, stable_id
from mnemos.transfer.times import time_of


def is_mem0(value: Any) -> bool:
    """Tell whether a JSON value is what mem0's get_all returns, or its list of results."""
    return is_list_of(_results(value), "memory")


def _results(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return next((value[k] for k in ("results", "memories") if isinstance(value.get(k), list)), None)


def mem0(value: Any, where: str) -> Iterator[Item | Conversation]:
    """Yield mem0's memories as facts; its users, agents and runs are kept in the metadata.

    A memory is a model's words about the user, so that its role is the assistant's where mem0 does not say another one.
    """
    items = []
    for i, memory in enumerate(_results(value)):
        place = f"{where}[{i}]"
        if not isinstance(memory, Mapping) or not isinstance(memory.get("memory"), str):
            items.append(Item(place, None, "no text under 'memory'"))
            continue
        extra = {k: memory[k] for k in ("user_id", "agent_id", "run_id", "categories") if memory.get(k)}
        given = memory.get("metadata")
        if given and not isinstance(given, Mapping):
            given = {"metadata": given}
        actor = memory.get("actor_id")
        message = {
            "id": str(memory.get("id") or stable_id("mem0", memory["memory"])), "content": memory["memory"],
            "role": known_role(memory.get("role") or (given or {}).get("role")) or ASSISTANT, "kind": "fact",
            "at": time_of({"at": memory.get("updated_at"), "created_at": memory.get("created_at")}), "source": "mem0",
            "speaker": actor if isinstance(actor, str) and actor else None, "session": memory.get("run_id"),
            "metadata": {**(given or {}), **extra},
        }  # fmt: skip
        items.append(Item(place, message))
    yield Conversation(where, "mem0", None, items, session=False)
    if isinstance(value, Mapping) and value.get("relations"):
        yield Item(f"{where}.relations", None, "the relations of mem0's graph are not imported")
