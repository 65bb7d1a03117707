"""A LangChain retriever over a space."""

from __future__ import annotations

from typing import Any

from mnemos.cube import Hit
from mnemos.errors import MnemosError, NotFound

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from pydantic import Field
except ImportError as gone:
    raise MnemosError("the retriever needs the package langchain-core: pip install 'mnemos[langchain]'.") from gone


class MnemosRetriever(BaseRetriever):
    """Returns the cubes that answer a question as Documents, best first.

    `space` is a `Space` or anything with its verbs, `k` how many, `options` what else `Space.search` takes (filters,
    `asked_at`). A Document's metadata is the cube's own, and: id, score, why, time, speaker, session, role, kind,
    source. With `quarantine` what `Space.context` keeps out of prompts is left out here too, where the space can say.
    """

    space: Any
    k: int = 10
    options: dict[str, Any] = Field(default_factory=dict)
    quarantine: bool = True

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        options = {"k": self.k, **self.options, **options}
        try:
            hits: list[Hit] = self.space.search(query, **options)
        except NotFound:
            return []  # a served space is there once something was written
        judge = getattr(self.space, "quarantined", None)
        if self.quarantine and judge is not None:
            bad = judge(query, hits)
            hits = [hit for hit in hits if hit.cube.id not in bad]
        return [to_document(hit) for hit in hits]


def to_document(hit: Hit) -> Document:
    """Return a hit as a Document."""
    cube = hit.cube
    header = {
        "id": cube.id, "score": hit.score, "why": dict(hit.why), "time": cube.at.isoformat(), "speaker": cube.speaker,
        "session": cube.session, "role": cube.role, "kind": cube.kind, "source": cube.source,
    }  # fmt: skip
    return Document(id=cube.id, page_content=cube.text, metadata={**cube.metadata, **header})
