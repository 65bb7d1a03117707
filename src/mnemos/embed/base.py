"""The contract of an embedder: texts in, unit vectors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[int], None]
Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors. `name`, `revision` and `dimension` say which model made them.

    Vectors of two embedders can be compared only if all three agree; a space keeps them apart.
    """

    @property
    def name(self) -> str:
        """The name of the model."""

    @property
    def revision(self) -> str:
        """The version of the model's weights."""

    @property
    def dimension(self) -> int:
        """The numbers of a vector. Raises EmbedderError where that cannot be known now."""

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return (n, D) rows of unit length, in the order of the texts.

        `progress` is called with the number of texts done since its last call. Raises EmbedderError.
        """


class Tokens(NamedTuple):
    """The tokens of a text, or of a window of a long one, and what the model made of them."""

    spans: NDArray[np.int64]  # (L, 2) characters of the text
    states: Vectors  # (L, D)


TakeTokens = Callable[[int, Tokens], None]


@runtime_checkable
class TokenEmbedder(Embedder, Protocol):
    """An embedder that gives the states of tokens from the forward pass that makes the vectors."""

    def embed_tokens(self, texts: Sequence[str], take: TakeTokens, *, progress: Progress | None = None) -> Vectors:
        """Return the vectors that `embed` returns, and call `take` with the number of a text and its tokens.

        A long text comes in several windows, which may overlap. States are given and not collected: of many texts they
        would not fit into memory. Raises EmbedderError.
        """


@runtime_checkable
class EmbedsQuestions(Protocol):
    """An embedder whose vector of a question is another than that of the same words as a text."""

    def embed_questions(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return (n, D) rows of unit length, to be compared with those of `embed`. Raises EmbedderError."""


def embed_questions(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    """Return the vectors of questions, (n, D); most embedders treat them as texts. Raises EmbedderError."""
    return embedder.embed_questions(texts) if isinstance(embedder, EmbedsQuestions) else embedder.embed(texts)


@runtime_checkable
class EmbedsParts(Protocol):
    """An embedder that also has vectors of the parts of a long text: a question is often about one of them."""

    def embed_parts(self, texts: Sequence[str], *, progress: Progress | None = None) -> list[Vectors]:
        """Return for each text (1 + parts, D) rows of unit length, the first of the whole text. Raises EmbedderError."""


def embed_parts(embedder: Embedder, texts: Sequence[str], progress: Progress | None = None) -> list[Vectors]:
    """Return the vector of each text, (D,); of one whose parts the embedder knows too, (1 + parts, D)."""
    if isinstance(embedder, EmbedsParts):
        return [v[0] if len(v) == 1 else v for v in embedder.embed_parts(texts, progress=progress)]
    return list(embedder.embed(texts, progress=progress))


@runtime_checkable
class CachesVectors(Protocol):
    """An embedder that caches the vectors of single questions."""

    def knows(self, text: str) -> bool:
        """Tell whether the vector of a question is cached, without blocking."""


def knows(embedder: Embedder | None, text: str) -> bool:
    """Tell whether a question needs no embedding: its vector is cached, or there is no embedder."""
    return embedder is None or (isinstance(embedder, CachesVectors) and embedder.knows(text))


def unit_rows(vectors: NDArray[np.floating]) -> Vectors:
    """Return the rows scaled to length 1; a row of zeros is returned as it is."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)
