"""A memory block for LlamaIndex's `Memory` over a space, and tools for its agents."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from mnemos.adapters.base import role_of
from mnemos.adapters.reading import context
from mnemos.distribution import install_command
from mnemos.errors import MnemosError

try:
    from llama_index.core.bridge.pydantic import Field
    from llama_index.core.llms import ChatMessage
    from llama_index.core.memory import BaseMemoryBlock
    from llama_index.core.tools import FunctionTool
except ImportError as error:
    raise MnemosError(
        f"the memory block needs the package llama-index-core: {install_command('llamaindex')}."
    ) from error

if TYPE_CHECKING:
    from mnemos.agent_tools import AgentSpace


class MnemosMemoryBlock(BaseMemoryBlock[str]):
    """Long-term memory: stores messages that leave the chat history and recalls what answers the last user message.

    Messages without text are left out. Tool results are stored as an untrusted source. When LlamaIndex has to shorten the
    prompt, it drops the whole block: a cut block would no longer be marked as data.
    """

    name: str = Field(default="mnemos", description="The name of the block in the prompt.")
    space: Any = Field(exclude=True, description="The space: a `MemorySpace`.")
    tokens: int = Field(default=800, description="Token budget of the block.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments of Space.context, such as filters and k."
    )

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        questions = [m.content or "" for m in messages or [] if m.role.value == "user" and (m.content or "").strip()]
        if not questions:
            return ""
        return await asyncio.to_thread(context, self.space, questions[-1], **{"tokens": self.tokens, **self.options})

    async def _aput(self, messages: list[ChatMessage]) -> None:
        drafts = [
            {
                "content": m.content, "role": role_of(m.role.value), "session": m.additional_kwargs.get("session_id"),
                "source": "tool:llamaindex" if role_of(m.role.value) == "tool" else None,
            }
            for m in messages
            if (m.content or "").strip()
        ]  # fmt: skip
        if drafts:
            await asyncio.to_thread(self.space.add_many, drafts)


def memory_tools(
    space: AgentSpace, *, agent: str | None = None, only: Collection[str] | None = None
) -> list[FunctionTool]:
    """Return tools with which a model remembers, recalls, and keeps tasks, cases, a working context and beliefs.

    `agent` names who writes, where several agents do; `only` chooses among the tools by name. Raises InvalidInput for an
    unknown name.
    """
    from mnemos.adapters.tools import tools_of

    return [
        FunctionTool.from_defaults(
            fn=tool.run, async_fn=tool.arun, name=tool.name, description=tool.description, fn_schema=tool.arguments
        )
        for tool in tools_of(space, agent, only)
    ]
