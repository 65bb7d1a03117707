"""A LangChain retriever over a space, and tools for its agents and those of LangGraph."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from mnemos.adapters.base import Quarantines
from mnemos.cube import Hit
from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, MnemosError, NotFound

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.tools import BaseTool, StructuredTool
    from pydantic import Field
except ImportError as error:
    raise MnemosError(f"the retriever needs the package langchain-core: {install_command('langchain')}.") from error

if TYPE_CHECKING:
    from mnemos.agent_tools import AgentSpace


class MnemosRetriever(BaseRetriever):
    """Returns the cubes that answer a question as Documents, best first.

    A Document's metadata is the cube's own plus id, score, why, time, speaker, session, role, kind and source.
    """

    space: Any  # a `MemorySpace`
    k: int = 10  # documents to return
    options: dict[str, Any] = Field(default_factory=dict)  # further arguments of `Space.search`, such as filters
    quarantine: bool = True  # leave out what `Space.context` would withhold

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        options = {"k": self.k, **self.options, **options}
        try:
            hits: list[Hit] = self.space.search(query, **options)
        except NotFound:
            return []  # a served space exists only after the first write
        if self.quarantine:
            if not isinstance(self.space, Quarantines):
                raise InvalidInput("this space cannot tell which hits to withhold. Pass quarantine=False to get all.")
            withheld = self.space.quarantined(query, hits)
            hits = [hit for hit in hits if hit.cube.id not in withheld]
        return [to_document(hit) for hit in hits]


def to_document(hit: Hit) -> Document:
    """Return a hit as a Document."""
    cube = hit.cube
    header = {
        "id": cube.id, "score": hit.score, "why": dict(hit.why), "time": cube.at.isoformat(), "speaker": cube.speaker,
        "session": cube.session, "role": cube.role, "kind": cube.kind, "source": cube.source,
    }  # fmt: skip
    return Document(id=cube.id, page_content=cube.text, metadata={**cube.metadata, **header})


def memory_tools(space: AgentSpace, *, agent: str | None = None, only: Collection[str] | None = None) -> list[BaseTool]:
    """Return tools with which a model remembers, recalls, and keeps tasks, cases, a working context and beliefs.

    `agent` names who writes, where several agents do; `only` chooses among the tools by name. For `bind_tools`,
    `create_agent` and LangGraph's `ToolNode`. Raises InvalidInput for an unknown name.
    """
    from mnemos.adapters.tools import tools_of

    return [
        StructuredTool.from_function(
            func=tool.run, coroutine=tool.arun, name=tool.name, description=tool.description, args_schema=tool.arguments
        )
        for tool in tools_of(space, agent, only)
    ]
