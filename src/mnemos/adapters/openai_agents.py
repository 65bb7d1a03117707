"""A session of the OpenAI Agents SDK in a space: the exact conversation, which is also memory like any other; and tools."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

from mnemos.adapters.base import MemorySpace, role_of
from mnemos.adapters.reading import context, cubes
from mnemos.cube import MemCube
from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, MnemosError, NotFound

try:
    from agents import FunctionTool
    from agents.items import TResponseInputItem
    from agents.memory import SessionABC, SessionSettings
    from agents.memory.session_settings import resolve_session_limit
except ImportError as error:
    raise MnemosError(f"the session needs the package openai-agents: {install_command('openai-agents')}.") from error

if TYPE_CHECKING:
    from mnemos.agent_tools import AgentSpace

MARK = {"by": "openai-agents"}  # in the metadata: distinguishes items from other cubes of the session
TOOLS = ("mcp_call", "mcp_list_tools", "file_search_call", "web_search_call", "code_interpreter_call")  # with results
SEARCHED = 2_000  # characters of a tool call or its result that are indexed


class MnemosSession(SessionABC):
    """The items of one conversation, in order, in a space's session of the same name.

    Messages are turns: searched, summarised and compared with known facts, as if added by hand. Everything else (tool
    calls and their results, reasoning) has the kind "item", and tool results an untrusted source. Items come back
    exactly, except for secrets, which the space redacts unless its setting keeps them. `pop_item` and `clear_session`
    erase. `recall` searches the whole space, other sessions included.
    """

    def __init__(self, session_id: str, space: MemorySpace, *, session_settings: SessionSettings | None = None) -> None:
        if not isinstance(session_id, str) or not session_id.strip():  # None would mean the items of all sessions
            raise InvalidInput(f"session_id is {session_id!r:.60}, expected the name of a conversation.")
        self.session_id = session_id
        self.space = space
        self.session_settings = session_settings or SessionSettings()
        self._last = 0

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the items, oldest first; with a limit the latest."""
        count = resolve_session_limit(limit, self.session_settings)
        if count is not None and count <= 0:
            return []
        found = await asyncio.to_thread(self._cubes)
        return [_item(cube) for cube in (found if count is None else found[-count:])]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Store items, all or none."""
        if items:
            drafts = [self._draft(cast("Mapping[str, Any]", item), i) for i, item in enumerate(items)]
            if not self._last:
                await asyncio.to_thread(self._cubes)
            # neither rows, which an update moves, nor a clock, which may go back, have the order of the items
            first = max(time.time_ns(), self._last + 1)
            self._last = first + len(drafts)
            for n, draft in enumerate(drafts, first):
                draft["metadata"]["order"] = n
            await asyncio.to_thread(self.space.add_many, drafts)

    async def pop_item(self) -> TResponseInputItem | None:
        """Erase the latest item and return it; None if there is none."""
        return await asyncio.to_thread(self._pop)

    async def clear_session(self) -> None:
        """Erase the items of this session."""
        await asyncio.to_thread(self._clear)

    async def recall(self, question: str, **options: Any) -> str:
        """Return a block for instructions from the whole space: see `Space.context` for the options."""
        return await asyncio.to_thread(context, self.space, question, **options)

    def _cubes(self) -> list[MemCube]:
        # "any": a superseded item is still part of the conversation
        found = cubes(self.space, session=self.session_id, where=MARK, state="any")
        ordered = sorted(found, key=lambda cube: int(cube.metadata["order"]))
        self._last = max(self._last, int(ordered[-1].metadata["order"]) if ordered else 0)
        return ordered

    def _pop(self) -> TResponseInputItem | None:
        while found := self._cubes():
            try:
                self.space.delete(found[-1].id)
            except NotFound:
                continue  # another process took it
            return _item(found[-1])
        return None

    def _clear(self) -> None:
        try:
            self.space.forget(session=self.session_id, where=MARK)
        except NotFound:
            return  # the session was empty

    def _draft(self, item: Mapping[str, Any], i: int) -> dict[str, Any]:
        try:
            encoded = json.dumps(item, allow_nan=False, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"items[{i}] is not valid JSON ({error}). Nothing was stored.") from error
        kind = str(item.get("type") or "message")
        text = _text(item.get("content")) if item.get("role") and kind == "message" else ""
        from_tool = kind.endswith("_output") or kind in TOOLS
        return {
            "content": text if text.strip() else encoded[:SEARCHED],
            "kind": "turn" if text.strip() else "item",
            "role": "tool" if from_tool else role_of(item.get("role") or "assistant"), "session": self.session_id,
            "source": f"tool:{kind}" if from_tool else None,
            "metadata": {**MARK, "item": dict(item)},
        }  # fmt: skip


def memory_tools(
    space: AgentSpace, *, agent: str | None = None, only: Collection[str] | None = None
) -> list[FunctionTool]:
    """Return tools with which a model remembers, recalls, and keeps tasks, cases, a working context and beliefs.

    `agent` names who writes, where several agents do; `only` chooses among the tools by name. Values of a task are free, so
    the schemas are not strict. Raises InvalidInput for an unknown name.
    """
    from mnemos.adapters.tools import Tool, tools_of

    def made(tool: Tool) -> FunctionTool:
        async def invoke(_: Any, arguments: str) -> str:
            return await tool.arun_json(arguments)

        schema = tool.arguments.model_json_schema()
        return FunctionTool(tool.name, tool.description, schema, invoke, strict_json_schema=False)

    return [made(tool) for tool in tools_of(space, agent, only)]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(p["text"] for p in parts if isinstance(p, Mapping) and isinstance(p.get("text"), str))


def _item(cube: MemCube) -> TResponseInputItem:
    return cast("TResponseInputItem", cube.metadata["item"])
