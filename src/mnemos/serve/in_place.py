"""Memories that stay where they were first shown, so that the prefix cache of a model server hits.

A chat API is stateless: the client sends the history without what the proxy added to it. Here the proxy remembers which
block it put before which message of the user, and puts it there again; a new block, of records that no earlier one has,
stands before the newest message. So a prompt begins with the whole prompt of the turn before. What was erased or changed
since leaves its block at once, and where all blocks would be too large they begin again (`text.recall.further`).

Blocks are kept in RAM only, for the conversations used last: after a restart a conversation starts with one block.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakSet

from mnemos.serve.conversation import Exchange, Field
from mnemos.space import Space
from mnemos.store.base import Store
from mnemos.text.context import Packing, further, still_there
from mnemos.text.recall.context import without
from mnemos.text.recall.filters import Filters

CONVERSATIONS = 2_000  # whose blocks are kept
Shown = OrderedDict[str, str]  # the place of a message of the user -> the block before it


class BlocksInPlace:
    """The blocks of conversations, by space and conversation. Safe for threads."""

    def __init__(self, on_erase: Callable[[str], None] = lambda space: None) -> None:
        self.on_erase = on_erase  # told the name of a space when something of it is gone
        self.most: int | None = None  # tokens of all blocks of a conversation; None: that of `Space.context`
        self._shown: OrderedDict[tuple[str, str], Shown] = OrderedDict()
        self._heard: WeakSet[Store] = WeakSet()  # stores that say when something is erased
        self._lock = threading.Lock()

    def recall(self, space: Space, exchange: Exchange, root: str, tokens: int, filters: Filters) -> Shown:
        """Return the blocks of a request by the place of the message that each stands before."""
        self._listen(space)
        places = [turn.chain for turn in exchange.turns if turn.role == "user"]
        now = exchange.turn_key
        with self._lock:
            known = self._shown.get((space.name, root), Shown())
            before = Shown((at, known[at]) for at in places if at in known)
        blocks, new = list(before.values()), ""
        if now in before:  # asked again, or with results of tools: nothing is added to what stands there
            kept = still_there(space.text, exchange.question, blocks)
        else:
            in_prompt = set(exchange.ids(root))
            packing = Packing.beside(in_prompt, tokens, filters)
            found = further(space.text, exchange.question, blocks, packing, most=self.most)
            kept, new = found.kept, without(found.new, in_prompt) if found.new else ""
        shown = Shown((at, block) for at, block in zip(before, kept, strict=True) if block)
        if now is not None and new:
            shown[now] = new
        if kept != blocks:
            self.on_erase(space.name)  # here or elsewhere
        with self._lock:
            self._shown[space.name, root] = shown
            self._shown.move_to_end((space.name, root))
            while len(self._shown) > CONVERSATIONS:
                self._shown.popitem(last=False)
        return shown

    def forget(self, name: str) -> None:
        """Drop the blocks of a space: something of it was erased."""
        with self._lock:
            for key in [key for key in self._shown if key[0] == name]:
                del self._shown[key]
        self.on_erase(name)

    def _listen(self, space: Space) -> None:
        with self._lock:
            if space.store in self._heard:
                return
            self._heard.add(space.store)
        name = space.name
        space.store.on_erase(lambda forms: self.forget(name))


def with_blocks(data: Mapping[str, Any], field: Field, exchange: Exchange, shown: Mapping[str, str]) -> bytes:
    """Return the body of a request with each block at the beginning of its message."""
    given = data[field]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    real = [i for i, item in enumerate(items) if isinstance(item, dict)]  # as `Exchange.read` counts them
    kind = "text" if field == "messages" else "input_text"
    for turn in exchange.turns:
        if turn.role == "user" and (block := shown.get(turn.chain)):
            at = real[turn.item]
            content = items[at]["content"]
            whole = f"{block}\n\n{content}" if isinstance(content, str) else [{"type": kind, "text": block}, *content]
            items[at] = {**items[at], "content": whole}
    return json.dumps({**data, field: items}, separators=(",", ":")).encode("ascii")
