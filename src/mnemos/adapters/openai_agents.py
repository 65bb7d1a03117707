"""A session of the OpenAI Agents SDK in a space: the conversation is kept exactly, and is memory like any other."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, cast

from mnemos.adapters.reading import context, cubes
from mnemos.cube import MemCube
from mnemos.errors import InvalidInput, MnemosError, NotFound

try:
    from agents.items import TResponseInputItem
    from agents.memory import SessionABC, SessionSettings
    from agents.memory.session_settings import resolve_session_limit
except ImportError as gone:
    raise MnemosError("the session needs the package openai-agents: pip install 'mnemos[openai-agents]'.") from gone

MARK = {"by": "openai-agents"}  # in the metadata: tells items from other cubes of the session
SHOWN = 2_000  # characters of a tool's call or answer that are searched


class MnemosSession(SessionABC):
    """The items of one conversation, in order, in a space's session of the same name.

    What was said is a turn: searched, summed up and compared with what is known, as if it had been added by hand. All
    else (calls of tools and their answers, reasoning) is of the kind "item", a tool's answer from an untrusted source.
    Items come back exactly, but for secrets, which the space redacts unless its policy keeps them. `pop_item` and
    `clear_session` erase. `recall` asks the whole space, other sessions included.
    """

    def __init__(self, session_id: str, space: Any, *, session_settings: SessionSettings | None = None) -> None:
        self.session_id = session_id
        self.space = space
        self.session_settings = session_settings or SessionSettings()
        self._last = 0

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the items, oldest first; with a limit the latest ones."""
        count = resolve_session_limit(limit, self.session_settings)
        if count is not None and count <= 0:
            return []
        found = await asyncio.to_thread(self._cubes)
        return [_item(cube) for cube in (found if count is None else found[-count:])]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Store items, all or none."""
        if items:
            drafts = [self._draft(cast("Mapping[str, Any]", item), i) for i, item in enumerate(items)]
            first = self._last = max(time.time_ns(), self._last + 1)  # cubes may be written anew: rows tell no order
            self._last += len(drafts)
            for n, draft in enumerate(drafts, first):
                draft["metadata"]["order"] = n
            await asyncio.to_thread(self.space.add_many, drafts)

    async def pop_item(self) -> TResponseInputItem | None:
        """Erase the latest item and return it; None where there is none."""
        return await asyncio.to_thread(self._pop)

    async def clear_session(self) -> None:
        """Erase the items of this session."""
        await asyncio.to_thread(self._clear)

    async def recall(self, question: str, **options: Any) -> str:
        """Return a block for instructions from all that the space knows: see `Space.context` for the options."""
        return await asyncio.to_thread(context, self.space, question, **options)

    def _cubes(self) -> list[MemCube]:
        # "any": an item that something newer superseded is part of the conversation still
        found = cubes(self.space, session=self.session_id, where=MARK, state="any")
        return sorted(found, key=lambda cube: int(cube.metadata["order"]))

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
            return  # it was empty

    def _draft(self, item: Mapping[str, Any], i: int) -> dict[str, Any]:
        try:
            spelled = json.dumps(item, allow_nan=False, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"items[{i}] cannot be written as JSON ({error}). Nothing was stored.") from error
        role = item.get("role")
        said = _said(item.get("content")) if role and item.get("type", "message") == "message" else ""
        answered = str(item.get("type", "")).endswith("_output")
        return {
            "content": said if said.strip() else spelled[:SHOWN],
            "kind": "turn" if said.strip() else "item",
            "role": role, "session": self.session_id, "source": f"tool:{item['type']}" if answered else None,
            "metadata": {**MARK, "item": dict(item)},
        }  # fmt: skip


def _said(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(p["text"] for p in parts if isinstance(p, Mapping) and isinstance(p.get("text"), str))


def _item(cube: MemCube) -> TResponseInputItem:
    return cast("TResponseInputItem", cube.metadata["item"])
