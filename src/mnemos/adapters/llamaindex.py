"""A memory block for LlamaIndex's `Memory` over a space."""

from __future__ import annotations

import asyncio
from typing import Any

from mnemos.adapters.reading import context
from mnemos.errors import MnemosError

try:
    from llama_index.core.bridge.pydantic import Field
    from llama_index.core.llms import ChatMessage
    from llama_index.core.memory import BaseMemoryBlock
except ImportError as gone:
    raise MnemosError(
        "the memory block needs the package llama-index-core: pip install 'mnemos[llamaindex]'."
    ) from gone


class MnemosMemoryBlock(BaseMemoryBlock[str]):
    """Long-term memory: keeps what leaves the chat history, and gives back what answers the last user message.

    `space` is a `Space` or anything with its verbs; `tokens` limits what is given back, `options` are others of
    `Space.context` (filters, `k`). Messages without text are left out. Tools' answers are kept as an untrusted source. When
    LlamaIndex has to shorten, it drops the block as a whole: half a block would not be marked as data.
    """

    name: str = Field(default="mnemos", description="The name of the block in the prompt.")
    space: Any = Field(exclude=True, description="The space that remembers.")
    tokens: int = Field(default=800, description="How much the block may take of a prompt.")
    options: dict[str, Any] = Field(default_factory=dict, description="Other options of Space.context.")

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        asked = [m.content or "" for m in messages or [] if m.role.value == "user" and (m.content or "").strip()]
        if not asked:
            return ""
        return await asyncio.to_thread(context, self.space, asked[-1], **{"tokens": self.tokens, **self.options})

    async def _aput(self, messages: list[ChatMessage]) -> None:
        drafts = [
            {
                "content": m.content, "role": m.role.value, "session": m.additional_kwargs.get("session_id"),
                "source": "tool:llamaindex" if m.role.value in ("tool", "function") else None,
            }
            for m in messages
            if (m.content or "").strip()
        ]  # fmt: skip
        if drafts:
            await asyncio.to_thread(self.space.add_many, drafts)
