"""The systems of the side-by-side run behind one small interface. All get the same messages and the same embedder.

Each is used as its documentation says for a local program that keeps its memory on the disk, with its defaults,
without an LLM (`infer=False` in mem0) and without telemetry. A *plain* layout keeps all conversations in one store and
filters each search by conversation (the layout of mem0); a *split* one gives each conversation a store of its own
where the system has such a thing (a Chroma collection, a Mnemos space).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from mnemos import Mnemos
from mnemos.embed import Embedder, load

Message = Mapping[str, Any]


class System(Protocol):
    """One memory system: store one message, search one conversation. Ids are those of the messages."""

    def add(self, conversation: str, message: Message) -> None:
        """Store one message; it is on the disk when this returns."""

    def search(self, conversation: str, question: str, k: int) -> list[str]:
        """Return the ids of the best `k` messages of a conversation, best first."""

    def close(self) -> None:
        """Release the files."""


class MnemosSystem:
    """Mnemos: a space a conversation ("split"), or one space filtered by source ("plain")."""

    def __init__(self, root: Path, split: bool) -> None:
        self.memory = Mnemos(root, timezone="UTC")
        self.split = split

    def add(self, conversation: str, message: Message) -> None:
        """One durable add."""
        name = conversation if self.split else "all"
        self.memory.space(name).add(**{**message, "id": f"{conversation}/{message['id']}", "source": conversation})

    def search(self, conversation: str, question: str, k: int) -> list[str]:
        """One hybrid search."""
        if self.split:
            hits = self.memory.space(conversation).search(question, k)
        else:
            hits = self.memory.space("all").search(question, k, source=conversation)
        return [hit.cube.id.split("/", 1)[1] for hit in hits]

    def close(self) -> None:
        """Close the files."""
        self.memory.close()


class ChromaSystem:
    """Chroma's PersistentClient, cosine space: a collection a conversation, or one filtered by metadata."""

    def __init__(self, root: Path, split: bool) -> None:
        import chromadb
        from chromadb.api.types import EmbeddingFunction
        from chromadb.config import Settings

        model = embedder()

        class Bundled(EmbeddingFunction[Any]):
            def __init__(self) -> None: ...

            def __call__(self, input: list[str]) -> Any:
                return list(model.embed(input))

            @staticmethod
            def name() -> str:
                return "mnemos-bundled"

            @staticmethod
            def build_from_config(config: dict[str, Any]) -> Any:
                return Bundled()

            def get_config(self) -> dict[str, Any]:
                return {}

        self.client = chromadb.PersistentClient(str(root), settings=Settings(anonymized_telemetry=False))
        self.function = Bundled()
        self.split = split
        self.collections: dict[str, Any] = {}

    def collection(self, conversation: str) -> Any:
        """Return the collection that holds a conversation."""
        name = conversation if self.split else "all"
        if name not in self.collections:
            self.collections[name] = self.client.get_or_create_collection(
                name, embedding_function=self.function, configuration={"hnsw": {"space": "cosine"}}
            )
        return self.collections[name]

    def add(self, conversation: str, message: Message) -> None:
        """One `collection.add` with the message's header as metadata."""
        self.collection(conversation).add(
            ids=[f"{conversation}/{message['id']}"],
            documents=[message["content"]],
            metadatas=[{"conversation": conversation, **header(message)}],
        )

    def search(self, conversation: str, question: str, k: int) -> list[str]:
        """One `collection.query`."""
        where = None if self.split else {"conversation": conversation}
        found = self.collection(conversation).query(query_texts=[question], n_results=k, where=where)
        return [item.split("/", 1)[1] for item in found["ids"][0]]

    def close(self) -> None:
        """Nothing to do: Chroma writes as it goes."""


class Mem0System:
    """mem0 with its embedded default store (Qdrant in a folder, history in SQLite); a `user_id` a conversation."""

    def __init__(self, root: Path) -> None:
        os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": str(root)}  # read when mem0 is imported
        from mem0 import Memory
        from mem0.embeddings.base import EmbeddingBase

        logging.getLogger("mem0").setLevel(logging.ERROR)
        model = embedder()

        class Bundled(EmbeddingBase):
            def embed(self, text: str, memory_action: str | None = None) -> list[float]:
                return model.embed([text])[0].tolist()

        unused = {"provider": "openai", "config": {"api_key": "never-called"}}
        store = {"path": str(root / "qdrant"), "embedding_model_dims": model.dimension}
        config = {
            "llm": unused,
            "embedder": unused,
            "vector_store": {"provider": "qdrant", "config": store},
            "history_db_path": str(root / "history.db"),
        }
        self.memory = Memory.from_config(config)
        self.memory.embedding_model = Bundled()

    def add(self, conversation: str, message: Message) -> None:
        """One `Memory.add` without inference."""
        turn = {"role": message.get("role") or "user", "content": message["content"]}
        if message.get("speaker"):
            turn["name"] = message["speaker"]
        metadata = {"message": message["id"], **header(message)}
        self.memory.add([turn], user_id=conversation, metadata=metadata, infer=False)

    def search(self, conversation: str, question: str, k: int) -> list[str]:
        """One `Memory.search`."""
        found = self.memory.search(question, top_k=k, filters={"user_id": conversation})
        return [item["metadata"]["message"] for item in found["results"]]

    def close(self) -> None:
        """Close the files."""
        self.memory.vector_store.client.close()


class LangMemSystem:
    """LangMem's tools for memories on LangGraph's store in memory (nothing is on the disk); a namespace a conversation."""

    def __init__(self, root: Path) -> None:
        from langgraph.store.memory import InMemoryStore

        model = embedder()

        def embed(texts: list[str]) -> list[list[float]]:
            return [vector.tolist() for vector in model.embed(texts)]

        self.known: dict[str, dict[str, str]] = {}  # the message of each memory, by conversation
        self.store = InMemoryStore(index={"embed": embed, "dims": model.dimension, "fields": ["content"]})

    def add(self, conversation: str, message: Message) -> None:
        """One call of the tool that creates a memory."""
        from langmem import create_manage_memory_tool

        tool = create_manage_memory_tool(namespace=("memories", conversation), store=self.store)
        said = str(tool.invoke({"content": message["content"], "action": "create"}))  # "created memory KEY"
        self.known.setdefault(conversation, {})[said.rpartition(" ")[2]] = message["id"]

    def search(self, conversation: str, question: str, k: int) -> list[str]:
        """One call of the tool that searches."""
        found = self.store.search(("memories", conversation), query=question, limit=k)
        return [self.known[conversation][item.key] for item in found]

    def close(self) -> None:
        """Nothing to do: it is in memory."""


class EngravaSystem:
    """Engrava: `remember` and `recall` on an SQLite file for each conversation, with its default weights."""

    def __init__(self, root: Path) -> None:
        import asyncio

        self.loop, self.root = asyncio.new_event_loop(), root
        self.stores: dict[str, Any] = {}

    async def opened(self, conversation: str) -> Any:
        """Return the store of a conversation."""
        if conversation not in self.stores:
            import aiosqlite
            from engrava import CallbackProvider, SqliteEngravaCore

            model = embedder()
            connection = await aiosqlite.connect(self.root / f"{conversation}.db")
            connection.row_factory = aiosqlite.Row
            provider = CallbackProvider(lambda text: model.embed([text])[0].tolist(), model.dimension, "mnemos-bundled")
            store = SqliteEngravaCore(connection, embedding_provider=provider)
            await store.ensure_schema()
            self.stores[conversation] = store, connection
        return self.stores[conversation][0]

    def add(self, conversation: str, message: Message) -> None:
        """One `remember`."""

        async def write() -> None:
            store = await self.opened(conversation)
            await store.remember(message["content"], metadata={"message": message["id"], **header(message)})

        self.loop.run_until_complete(write())

    def search(self, conversation: str, question: str, k: int) -> list[str]:
        """One `recall`, and the thoughts that it names."""

        async def read() -> list[str]:
            store = await self.opened(conversation)
            found = await store.recall(question, top_k=k)
            thoughts = [await store.get_thought(name) for name, _ in found.results]
            return [str(thought.metadata["message"]) for thought in thoughts if thought is not None]

        return self.loop.run_until_complete(read())

    def close(self) -> None:
        """Close the files."""
        for _, connection in self.stores.values():
            self.loop.run_until_complete(connection.close())
        self.loop.close()


class LlamaIndexSystem:
    """LlamaIndex: a `VectorStoreIndex` for each conversation over its simple store, which is in memory until persisted."""

    def __init__(self, root: Path) -> None:
        from llama_index.core.embeddings import BaseEmbedding

        model = embedder()

        class Bundled(BaseEmbedding):  # type: ignore[misc]
            def _get_text_embedding(self, text: str) -> list[float]:
                return model.embed([text])[0].tolist()

            def _get_query_embedding(self, query: str) -> list[float]:
                return model.embed([query])[0].tolist()

            async def _aget_query_embedding(self, query: str) -> list[float]:
                return self._get_query_embedding(query)

        self.model, self.root = Bundled(), root
        self.indexes: dict[str, Any] = {}

    def index(self, conversation: str) -> Any:
        """Return the index of a conversation."""
        if conversation not in self.indexes:
            from llama_index.core import VectorStoreIndex

            self.indexes[conversation] = VectorStoreIndex([], embed_model=self.model)
        return self.indexes[conversation]

    def add(self, conversation: str, message: Message) -> None:
        """One `insert_nodes`."""
        from llama_index.core.schema import TextNode

        node = TextNode(id_=f"{conversation}/{message['id']}", text=message["content"])
        self.index(conversation).insert_nodes([node])

    def search(self, conversation: str, question: str, k: int) -> list[str]:
        """One `retrieve`."""
        found = self.index(conversation).as_retriever(similarity_top_k=k).retrieve(question)
        return [item.node.node_id.split("/", 1)[1] for item in found]

    def close(self) -> None:
        """Write the indexes, so that their size counts."""
        for name, index in self.indexes.items():
            index.storage_context.persist(str(self.root / name))


class MemoryServiceSystem:
    """mcp-memory-service: its SQLite store with its hybrid search (words and vectors), a file for each conversation.

    Its check for alike memories is off, as it is for whoever names a conversation: turns resemble each other.
    """

    def __init__(self, root: Path) -> None:
        import asyncio

        logging.disable(logging.WARNING)  # it logs a line an add
        self.loop, self.root = asyncio.new_event_loop(), root
        self.stores: dict[str, Any] = {}
        self.known: dict[str, dict[str, str]] = {}  # the message of each content, by conversation

    async def opened(self, conversation: str) -> Any:
        """Return the store of a conversation."""
        if conversation not in self.stores:
            from mcp_memory_service.storage.sqlite_vec import SqliteVecMemoryStorage

            model = embedder()

            class Bundled:
                embedding_dimension = model.dimension

                def encode(self, texts: list[str], convert_to_numpy: bool = False, **more: Any) -> Any:
                    return model.embed(list(texts))

            class Store(SqliteVecMemoryStorage):  # type: ignore[misc]
                async def _initialize_embedding_model(self) -> None:
                    self.embedding_model, self.embedding_dimension = Bundled(), model.dimension

            store = Store(str(self.root / f"{conversation}.db"))
            await store.initialize()
            self.stores[conversation] = store
        return self.stores[conversation]

    def add(self, conversation: str, message: Message) -> None:
        """One `store`."""
        self.loop.run_until_complete(self._add(conversation, message))

    async def _add(self, conversation: str, message: Message) -> None:
        from mcp_memory_service.models.memory import Memory
        from mcp_memory_service.utils.hashing import generate_content_hash

        name = generate_content_hash(message["content"])
        self.known.setdefault(conversation, {}).setdefault(name, message["id"])
        store = await self.opened(conversation)
        await store.store(Memory(message["content"], name, metadata=header(message)), skip_semantic_dedup=True)

    def search(self, conversation: str, question: str, k: int) -> list[str]:
        """One `retrieve_hybrid`."""

        async def read() -> Any:
            return await (await self.opened(conversation)).retrieve_hybrid(question, k)

        found = self.loop.run_until_complete(read())
        return [self.known[conversation][hit.memory.content_hash] for hit in found]

    def close(self) -> None:
        """Close the files."""
        for store in self.stores.values():
            self.loop.run_until_complete(store.close())
        self.loop.close()


def header(message: Message) -> dict[str, str]:
    """Return a message's speaker, session and time as the strings that every store's metadata can take."""
    return {name: str(message[name]) for name in ("speaker", "session", "at") if message.get(name) is not None}


def embedder() -> Embedder:
    """Return the embedder that all systems share: Mnemos's bundled one."""
    model = load(None)
    assert model is not None
    return model


SYSTEMS: dict[str, Callable[[Path], System]] = {
    "mnemos: a space per conversation": lambda root: MnemosSystem(root, split=True),
    "mnemos: one space": lambda root: MnemosSystem(root, split=False),
    "chroma: a collection per conversation": lambda root: ChromaSystem(root, split=True),
    "chroma: one collection": lambda root: ChromaSystem(root, split=False),
    "mem0 (infer=False)": Mem0System,
    "langmem (in memory)": LangMemSystem,
    "engrava": EngravaSystem,
    "llama-index (in memory)": LlamaIndexSystem,
    "mcp-memory-service (hybrid)": MemoryServiceSystem,
}
ENVIRONMENT = {  # the environment of each peer; the others run where Mnemos does
    "chroma: a collection per conversation": "chroma", "chroma: one collection": "chroma", "mem0 (infer=False)": "mem0",
    "langmem (in memory)": "langmem", "engrava": "engrava", "llama-index (in memory)": "llamaindex",
    "mcp-memory-service (hybrid)": "mcp-memory-service",
}  # fmt: skip
