"""One writer or reader of benchmarks/store/postgres_load.py: a process of Mnemos or of mem0 on a Postgres database.

It runs as a script, with the packages of its system only. It reads "go SECONDS" from its input, works for so long, and prints the
seconds that each call took, as a list in JSON; at "end" it ends.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

DIMENSION = 384
WORDS = 2_000
K = 10


class WordVectors:
    """A trivial embedder: the sum of a random vector for each word. It costs 30 us a text, so that the store is measured."""

    name, revision, dimension = "words", "1", DIMENSION

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def _word(self, word: str) -> Any:
        if word not in self._known:
            self._known[word] = np.random.default_rng(zlib.crc32(word.encode())).standard_normal(DIMENSION)
        return self._known[word]

    def embed(self, texts: Iterable[str], *, progress: Any = None) -> Any:
        """Return (n, D) rows of unit length."""
        rows = np.array(
            [np.sum([self._word(w) for w in text.lower().split()] or [self._word("")], axis=0) for text in texts]
        )
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def sentence(random_: random.Random) -> str:
    """Return a made text: fifteen words, frequent ones more often."""
    return " ".join(f"w{int(WORDS ** random_.random())}" for _ in range(15))


def question(random_: random.Random) -> str:
    """Return a made question: three words of such texts."""
    return " ".join(f"w{int(WORDS ** random_.random())}" for _ in range(3))


def mnemos(url: str, space: str) -> tuple[Callable[[str], Any], Callable[[str], Any]]:
    """Return add and search of Mnemos."""
    from mnemos import Mnemos

    found = Mnemos(url, embedder=WordVectors()).space(space)
    return found.add, lambda text: found.search(text, K)


def mem0(url: str, space: str) -> tuple[Callable[[str], Any], Callable[[str], Any]]:
    """Return add and search of mem0 with its pgvector store (HNSW) and without inference."""
    folder = tempfile.mkdtemp(prefix="mnemos-mem0-")
    os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": folder}  # read when mem0 is imported
    from mem0 import Memory
    from mem0.embeddings.base import EmbeddingBase

    vectors = WordVectors()

    class Words(EmbeddingBase):  # type: ignore[misc]
        def embed(self, text: str, memory_action: str | None = None) -> list[float]:
            return list(vectors.embed([text])[0].tolist())

        def embed_batch(self, texts: list[str], memory_action: str | None = None) -> list[list[float]]:
            return [list(row.tolist()) for row in vectors.embed(texts)]

    unused = {"provider": "openai", "config": {"api_key": "never-called"}}
    store = {"connection_string": url, "collection_name": "memories", "embedding_model_dims": DIMENSION, "hnsw": True}
    memory = Memory.from_config(
        {
            "llm": unused, "embedder": unused, "vector_store": {"provider": "pgvector", "config": store},
            "history_db_path": f"{folder}/history.db",
        }
    )  # fmt: skip
    memory.embedding_model = Words()

    def add(text: str) -> Any:
        return memory.add([{"role": "user", "content": text}], user_id=space, infer=False)

    return add, lambda text: memory.search(text, top_k=K, filters={"user_id": space})


def main(system: str, url: str, space: str, role: str, seed: int, preload: int) -> None:
    """Work as the input says."""
    add, search = {"mnemos": mnemos, "mem0": mem0}[system](url, space)
    source = random.Random(seed)
    for _ in range(preload):
        add(sentence(source))
    search(question(source))
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        until, took = time.perf_counter() + float(line.split()[1]), []
        while (start := time.perf_counter()) < until:
            if role == "writer":
                add(sentence(source))
            else:
                search(question(source))
            took.append(round(time.perf_counter() - start, 6))
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))
