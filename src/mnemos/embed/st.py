"""Any sentence-transformers model as an embedder."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mnemos.embed.base import Progress, Vectors, unit_rows
from mnemos.errors import EmbedderError

BATCH = 64


class SentenceTransformerEmbedder:
    """A model of the sentence-transformers library, by its name on the hub or its folder; loaded on first use.

    The library truncates a text at the model's limit. Raises EmbedderError when it is not installed or cannot load.
    """

    def __init__(self, model: str, revision: str = "main") -> None:
        self.name = model
        self.revision = revision
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[object, ...]:
        return SentenceTransformerEmbedder, (self.name, self.revision)

    @cached_property
    def _model(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise EmbedderError(
                f"the embedder st:{self.name} needs sentence-transformers: pip install sentence-transformers."
            ) from error
        try:
            return SentenceTransformer(self.name, revision=self.revision)
        except Exception as error:  # the library raises many types: a missing model, no network, a broken file
            raise EmbedderError(f"sentence-transformers cannot load {self.name!r}: {error}") from error

    @property
    def dimension(self) -> int:
        """The numbers of a vector."""
        return int(self._model.get_sentence_embedding_dimension())

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return (n, D) unit vectors."""
        rows = []
        with self._lock:
            for start in range(0, len(texts), BATCH):
                part = list(texts[start : start + BATCH])
                rows.append(np.asarray(self._model.encode(part, show_progress_bar=False), dtype=np.float32))
                if progress:
                    progress(len(part))
            return unit_rows(np.concatenate(rows)) if rows else np.zeros((0, self.dimension), dtype=np.float32)
